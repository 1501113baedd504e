import type { CallEdge } from '../core/topology.ts'
import { CallGraph, compare, compareEdges, EdgePlaces, type KnownEdge } from './graph.ts'

/** Stands for whose an edge is that people gave: everybody's. */
const EVERYBODY = ''

/**
 * The call graph of each tenant: what its own series told of, and what people gave, which every tenant has a copy of. What one
 * tenant's services are called, and whom they call, is nothing to another's; only the room for edges is shared.
 */
export class TenantGraphs {
  readonly #places: EdgePlaces
  readonly #given = new Map<string, CallEdge & { readonly timeMs: number }>()
  readonly #graphs = new Map<string, CallGraph>()
  /** What was given, for tenants that nothing else is known of. */
  readonly #nobody: CallGraph

  /** `limit`: edges of all tenants together. */
  constructor(limit: number) {
    this.#places = new EdgePlaces(limit)
    this.#nobody = new CallGraph(limit)
  }

  /** Edges of all tenants. */
  get size(): number {
    return this.#places.size
  }

  /** One more than the largest number of an edge. */
  get extent(): number {
    return this.#places.extent
  }

  get dropped(): number {
    return this.#places.dropped
  }

  /** To ask; whoever has no entities has only what was given. */
  of(tenant: string): CallGraph {
    return this.#graphs.get(tenant) ?? this.#nobody
  }

  /** To add to. */
  own(tenant: string): CallGraph {
    const known = this.#graphs.get(tenant)
    if (known) return known
    const graph = new CallGraph(this.#places)
    for (const { source, target, timeMs } of this.#given.values()) graph.add(source, target, timeMs, true)
    this.#graphs.set(tenant, graph)
    return graph
  }

  /** An edge that people gave. */
  give(source: string, target: string, timeMs: number): void {
    const known = this.#given.get(JSON.stringify([source, target]))
    const edge = { source, target, timeMs: Math.max(known?.timeMs ?? timeMs, timeMs) }
    if (this.#nobody.add(source, target, timeMs, true) < 0) return
    this.#given.set(JSON.stringify([source, target]), edge)
    for (const graph of this.#graphs.values()) graph.add(source, target, timeMs, true)
  }

  seen(index: number, timeMs: number): void {
    this.#places.seen(index, timeMs)
  }

  /** As `CallGraph.expire`, of all. */
  expire(beforeMs: number): number[] {
    return [...this.#graphs.values()].flatMap(graph => graph.expire(beforeMs))
  }

  /** Of a tenant, or of all, each call once; sorted by source, then target. */
  edges(tenant?: string): KnownEdge[] {
    if (tenant !== undefined) return this.of(tenant).edges()
    const all = new Map<string, KnownEdge>()
    for (const graph of [this.#nobody, ...this.#graphs.values()]) {
      for (const edge of graph.edges()) {
        const pair = JSON.stringify([edge.source, edge.target])
        const known = all.get(pair)
        if (!known || edge.lastSeenMs > known.lastSeenMs) all.set(pair, edge)
      }
    }
    return [...all.values()].sort(compareEdges)
  }

  /** Everything, with whose it is, for `keep`. */
  kept(): (KnownEdge & { readonly tenant: string })[] {
    const given = this.#nobody.edges().map(edge => ({ ...edge, tenant: EVERYBODY }))
    const own = [...this.#graphs]
      .sort(([a], [b]) => compare(a, b))
      .flatMap(([tenant, graph]) => graph.edges().map(edge => ({ ...edge, tenant })))
    return [...given, ...own]
  }

  /** Takes back what `kept` gave. Older snapshots say of given edges whose series told of them first. */
  keep({ source, target, lastSeenMs, given }: KnownEdge, tenant: string): void {
    if (given) this.give(source, target, tenant === EVERYBODY ? lastSeenMs : 0)
    if (tenant !== EVERYBODY) this.own(tenant).add(source, target, lastSeenMs, given)
  }
}
