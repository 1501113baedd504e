import type { CallEdge } from '../core/topology.ts'

/**
 * Who calls whom, with when each call was last seen. Edges given by people stay; learned ones are refreshed by
 * their series and forgotten when those have been silent for long. Capped: what does not fit is counted in
 * `dropped`. Unknown entities are simply not in it.
 */
export class CallGraph {
  dropped = 0
  /** Goes up whenever an edge is added, so that what derives from the graph knows when to be made again. */
  version = 0
  readonly #limit: number
  readonly #sources: string[] = []
  readonly #targets: string[] = []
  readonly #seenMs: number[] = []
  readonly #given: boolean[] = []
  /** Places of edges that were forgotten, to be taken by new ones. */
  readonly #free: number[] = []
  readonly #index = new Map<string, number>()
  readonly #callees = new Map<string, string[]>()
  readonly #callers = new Map<string, string[]>()

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Edges that are there. */
  get size(): number {
    return this.#index.size
  }

  /** One more than the largest index of an edge: forgotten ones leave gaps. */
  get extent(): number {
    return this.#sources.length
  }

  /**
   * Index of the edge, made when new; −1 when the graph is full or the edge is none. `given` edges were told by
   * people and are never forgotten.
   */
  add(source: string, target: string, timeMs: number, given = false): number {
    if (source === '' || target === '' || source === target) return -1
    const key = JSON.stringify([source, target])
    const known = this.#index.get(key)
    if (known !== undefined) {
      if (timeMs > this.#seenMs[known]) this.#seenMs[known] = timeMs
      if (given) this.#given[known] = true
      return known
    }
    if (this.#index.size >= this.#limit) {
      this.dropped++
      return -1
    }
    const index = this.#free.pop() ?? this.#sources.length
    this.#sources[index] = source
    this.#targets[index] = target
    this.#seenMs[index] = timeMs
    this.#given[index] = given
    this.#index.set(key, index)
    link(this.#callees, source, target)
    link(this.#callers, target, source)
    this.version++
    return index
  }

  /** Notes that calls over an edge were just measured. */
  seen(index: number, timeMs: number): void {
    if (timeMs > this.#seenMs[index]) this.#seenMs[index] = timeMs
  }

  /** Forgets learned edges last seen before `beforeMs`. Returns their indices, which new edges may take. */
  expire(beforeMs: number): number[] {
    const out: number[] = []
    for (const index of this.#index.values()) {
      if (!this.#given[index] && this.#seenMs[index] < beforeMs) out.push(index)
    }
    for (const index of out) {
      const [source, target] = [this.#sources[index], this.#targets[index]]
      this.#index.delete(JSON.stringify([source, target]))
      unlink(this.#callees, source, target)
      unlink(this.#callers, target, source)
      this.#free.push(index)
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
  edges(): (CallEdge & { readonly lastSeenMs: number; readonly given: boolean })[] {
    const all = [...this.#index.values()].map(i => ({
      source: this.#sources[i],
      target: this.#targets[i],
      lastSeenMs: this.#seenMs[i],
      given: this.#given[i],
    }))
    return all.sort((a, b) => compare(a.source, b.source) || compare(a.target, b.target))
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
    for (const i of this.#index.values()) {
      const a = find(this.#sources[i])
      const b = find(this.#targets[i])
      const low = compare(a, b) < 0 ? a : b
      parent.set(a, low)
      parent.set(b, low)
    }
    const out = new Map<string, string>()
    for (const entity of parent.keys()) out.set(entity, find(entity))
    return out
  }
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
