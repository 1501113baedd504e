import type { CallEdge } from '../core/topology.ts'

/** Numbers of edges, given out to the graphs of all tenants together: no two edges have one, and there is a limit. */
export class EdgePlaces {
  dropped = 0
  readonly #limit: number
  readonly #seenMs: number[] = []
  /** Places of edges that were forgotten, to be taken by new ones. */
  readonly #free: number[] = []

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Edges that are there. */
  get size(): number {
    return this.#seenMs.length - this.#free.length
  }

  /** One more than the largest number: forgotten ones leave gaps. */
  get extent(): number {
    return this.#seenMs.length
  }

  /** −1 when all are taken. */
  take(seenMs: number): number {
    if (this.size >= this.#limit) {
      this.dropped++
      return -1
    }
    const index = this.#free.pop() ?? this.#seenMs.length
    this.#seenMs[index] = seenMs
    return index
  }

  giveBack(index: number): void {
    this.#free.push(index)
  }

  seenMs(index: number): number {
    return this.#seenMs[index]
  }

  /** Notes that calls over an edge were measured. */
  seen(index: number, timeMs: number): void {
    if (timeMs > this.#seenMs[index]) this.#seenMs[index] = timeMs
  }
}

interface Edge {
  readonly source: string
  readonly target: string
  given: boolean
}

/**
 * Who calls whom, of one tenant, with when each call was last seen. Edges given by people stay; learned ones are refreshed by
 * their series and forgotten when those have been silent for long. Capped: what does not fit is counted in
 * `dropped`. Unknown entities are simply not in it.
 */
export class CallGraph {
  /** Goes up whenever an edge is added, so that what derives from the graph knows when to be made again. */
  version = 0
  readonly #places: EdgePlaces
  /** By number. */
  readonly #edges = new Map<number, Edge>()
  readonly #pairs = new Map<string, number>()
  readonly #callees = new Map<string, string[]>()
  readonly #callers = new Map<string, string[]>()

  constructor(places: EdgePlaces | number) {
    this.#places = typeof places === 'number' ? new EdgePlaces(places) : places
  }

  /** Edges that are there. */
  get size(): number {
    return this.#edges.size
  }

  get dropped(): number {
    return this.#places.dropped
  }

  /**
   * Number of the edge, made when new; −1 when there is no room or the edge is none. `given` edges were told by
   * people and are never forgotten.
   */
  add(source: string, target: string, timeMs: number, given = false): number {
    if (source === '' || target === '' || source === target) return -1
    const pair = JSON.stringify([source, target])
    const known = this.#pairs.get(pair)
    const edge = known === undefined ? undefined : this.#edges.get(known)
    if (known !== undefined && edge) {
      edge.given ||= given
      this.#places.seen(known, timeMs)
      return known
    }
    const index = this.#places.take(timeMs)
    if (index < 0) return -1
    this.#edges.set(index, { source, target, given })
    this.#pairs.set(pair, index)
    link(this.#callees, source, target)
    link(this.#callers, target, source)
    this.version++
    return index
  }

  /** Forgets learned edges last seen before `beforeMs`. Returns their numbers, which new edges may take. */
  expire(beforeMs: number): number[] {
    const out: number[] = []
    for (const [index, { source, target, given }] of this.#edges) {
      if (given || this.#places.seenMs(index) >= beforeMs) continue
      out.push(index)
      this.#edges.delete(index)
      this.#pairs.delete(JSON.stringify([source, target]))
      unlink(this.#callees, source, target)
      unlink(this.#callers, target, source)
      this.#places.giveBack(index)
    }
    if (out.length > 0) this.version++
    return out
  }

  has(entity: string): boolean {
    return this.#callees.has(entity) || this.#callers.has(entity)
  }

  callees(entity: string): readonly string[] {
    return this.#callees.get(entity) ?? []
  }

  callers(entity: string): readonly string[] {
    return this.#callers.get(entity) ?? []
  }

  /** Everything that calls `from`, directly or through others, without `from` itself; cycles are harmless. */
  ancestors(from: string): Set<string> {
    return reach(from, entity => this.callers(entity))
  }

  descendants(from: string): Set<string> {
    return reach(from, entity => this.callees(entity))
  }

  /** Sorted by source, then target. */
  edges(): KnownEdge[] {
    const out = Array.from(this.#edges, ([index, { source, target, given }]) => ({
      source,
      target,
      lastSeenMs: this.#places.seenMs(index),
      given,
    }))
    return out.sort(compareEdges)
  }

  /** Entities that call others and are called by none, sorted. */
  frontDoors(): string[] {
    return [...this.#callees.keys()].filter(name => !this.#callers.has(name)).sort(compare)
  }

  /** Representative of each entity's connected component: the least name in it. */
  components(): Map<string, string> {
    const parent = new Map<string, string>()
    const find = (entity: string): string => {
      let root = entity
      for (let up = parent.get(root); up !== undefined && up !== root; up = parent.get(root)) root = up
      for (let at = entity; at !== root; ) {
        const up = parent.get(at) ?? root
        parent.set(at, root)
        at = up
      }
      return root
    }
    for (const { source, target } of this.#edges.values()) {
      const a = find(source)
      const b = find(target)
      const low = compare(a, b) < 0 ? a : b
      parent.set(a, low)
      parent.set(b, low)
    }
    const out = new Map<string, string>()
    for (const entity of parent.keys()) out.set(entity, find(entity))
    return out
  }
}

export type KnownEdge = CallEdge & { readonly lastSeenMs: number; readonly given: boolean }

export function compareEdges(a: CallEdge, b: CallEdge): number {
  return compare(a.source, b.source) || compare(a.target, b.target)
}

function link(map: Map<string, string[]>, from: string, to: string): void {
  const list = map.get(from)
  if (list) list.push(to)
  else map.set(from, [to])
}

function unlink(map: Map<string, string[]>, from: string, to: string): void {
  const list = map.get(from)
  if (!list) return
  if (list.length === 1) map.delete(from)
  else list.splice(list.indexOf(to), 1)
}

function reach(from: string, next: (entity: string) => readonly string[]): Set<string> {
  const seen = new Set<string>()
  const queue = [from]
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    for (const entity of next(at)) {
      if (seen.has(entity) || entity === from) continue
      seen.add(entity)
      queue.push(entity)
    }
  }
  return seen
}

/** Orders names by code unit: the same on every machine, whatever its locale. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
