import type { CallEdge } from '../core/topology.ts'

/** Tenant of an edge that people gave and that no series told of yet. */
const NOBODY = ''

/**
 * Who calls whom, with when each call was last seen. Edges given by people stay; learned ones are refreshed by
 * their series and forgotten when those have been silent for long. Capped: what does not fit is counted in
 * `dropped`. Unknown entities are simply not in it. Each tenant's
 * series tell of edges of their own; who is asked about by name alone is answered of all tenants.
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
  readonly #tenants: string[] = []
  /** Edges of a source and target: one of each tenant whose series told of the call. */
  readonly #pairs = new Map<string, number[]>()
  #size = 0
  readonly #callees = new Map<string, string[]>()
  readonly #callers = new Map<string, string[]>()

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Edges that are there. */
  get size(): number {
    return this.#size
  }

  /** One more than the largest index of an edge: forgotten ones leave gaps. */
  get extent(): number {
    return this.#sources.length
  }

  /**
   * Index of the edge, made when new; −1 when the graph is full or the edge is none. `given` edges were told by
   * people and are never forgotten.
   */
  add(
    source: string,
    target: string,
    timeMs: number,
    given = false,
    tenant = given ? NOBODY : 'default',
  ): number {
    if (source === '' || target === '' || source === target) return -1
    const key = JSON.stringify([source, target])
    const pair = this.#pairs.get(key) ?? []
    if (given) for (const index of pair) this.#given[index] = true
    const known =
      pair.find(index => this.#tenants[index] === tenant) ??
      (tenant === NOBODY ? pair[0] : pair.find(index => this.#tenants[index] === NOBODY))
    if (known !== undefined) {
      // What was given is of the first whose series tell of it, too.
      if (this.#tenants[known] === NOBODY) this.#tenants[known] = tenant
      if (timeMs > this.#seenMs[known]) this.#seenMs[known] = timeMs
      return known
    }
    if (this.#size >= this.#limit) {
      this.dropped++
      return -1
    }
    const index = this.#free.pop() ?? this.#sources.length
    this.#sources[index] = source
    this.#targets[index] = target
    this.#seenMs[index] = timeMs
    this.#tenants[index] = tenant
    this.#given[index] = given || pair.some(other => this.#given[other])
    this.#size++
    if (pair.length === 0) {
      this.#pairs.set(key, pair)
      link(this.#callees, source, target)
      link(this.#callers, target, source)
    }
    pair.push(index)
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
    for (const index of [...this.#pairs.values()].flat()) {
      if (!this.#given[index] && this.#seenMs[index] < beforeMs) out.push(index)
    }
    for (const index of out) {
      const [source, target] = [this.#sources[index], this.#targets[index]]
      this.#size--
      const key = JSON.stringify([source, target])
      const left = (this.#pairs.get(key) ?? []).filter(one => one !== index)
      if (left.length > 0) this.#pairs.set(key, left)
      else {
        this.#pairs.delete(key)
        unlink(this.#callees, source, target)
        unlink(this.#callers, target, source)
      }
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

  /**
   * Sorted by source, then target, each once. Of a tenant: what its own series told of, and what was given, which counts as
   * seen only where its own series saw it.
   */
  edges(tenant?: string): KnownEdge[] {
    const out: KnownEdge[] = []
    for (const pair of this.#pairs.values()) {
      const own =
        tenant === undefined
          ? pair
          : pair.filter(i => this.#tenants[i] === tenant || this.#tenants[i] === NOBODY)
      const given = this.#given[pair[0]]
      if (own.length === 0 && !given) continue
      const lastSeenMs = own.reduce((latest, i) => Math.max(latest, this.#seenMs[i]), 0)
      out.push({ source: this.#sources[pair[0]], target: this.#targets[pair[0]], lastSeenMs, given })
    }
    return out.sort(compareEdges)
  }

  /** Every edge with whose series told of it, to be added again. */
  kept(): (KnownEdge & { readonly tenant: string })[] {
    const all = [...this.#pairs.values()].flat().map(i => ({
      source: this.#sources[i],
      target: this.#targets[i],
      lastSeenMs: this.#seenMs[i],
      given: this.#given[i],
      tenant: this.#tenants[i],
    }))
    return all.sort((a, b) => compareEdges(a, b) || compare(a.tenant, b.tenant))
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
    for (const [i] of this.#pairs.values()) {
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

type KnownEdge = CallEdge & { readonly lastSeenMs: number; readonly given: boolean }

function compareEdges(a: CallEdge, b: CallEdge): number {
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
