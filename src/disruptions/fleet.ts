import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT, ColumnStore } from '../core/columns.ts'
import { type Cut, CutColumn } from '../core/cut.ts'
import { RowStretches } from '../core/row-stretches.ts'
import type { SeriesTable } from '../core/series.ts'
import type { SeriesPart } from '../core/series-records.ts'
import { STEP_ROWS } from '../core/steps.ts'
import { Ceilings } from './ceiling.ts'
import { Entities, type EntityMemory } from './entities.ts'
import { EntryRows } from './entry-rows.ts'
import {
  clearSums,
  type EntityColumns,
  type Gathering,
  gather,
  grown,
  type InstanceColumns,
  ROW_COLUMNS,
  type RowChunk,
} from './evidence.ts'
import { FRONT_DOOR, PLACE_LABELS, type Place, placeOf } from './families.ts'
import { type InstanceMemory, Instances } from './instances.ts'
import type { TenantGraphs } from './tenant-graphs.ts'

/** Instances that are told apart, at most, per entity that may be. */
const INSTANCES_EACH = 16
/** Windows after which a silent series is no longer missed: an hour at ten seconds. */
const MISSED_WINDOWS = 360
/** Marks a row that measures a call for which the graph had no room; writes beyond a typed array do nothing. */
const NO_EDGE = 0xffff_ffff

/** Entities, their instances, and which series belongs to which: everything that turns rows into evidence. */
export class Fleet {
  readonly rows = new ColumnStore(ROW_COLUMNS)
  readonly ceilings: Ceilings
  readonly #table: SeriesTable
  readonly #graphs: TenantGraphs
  readonly #forgetAfterMs: number
  readonly #entities: Entities
  readonly #instances: Instances
  readonly #entries: EntryRows
  #edgeSeenMs = new Float64Array(64)
  readonly #watched = new Uint32Array(STEP_ROWS)
  /** What a cut that is being written still needs of the rows. */
  #cut: RowStretches | undefined

  constructor(table: SeriesTable, graphs: TenantGraphs, limit: number, stepMs: number) {
    this.#table = table
    this.ceilings = new Ceilings(table, this.rows)
    this.#graphs = graphs
    this.#entities = new Entities(limit, graphs)
    this.#instances = new Instances(limit * INSTANCES_EACH)
    this.#entries = new EntryRows(graphs)
    this.#forgetAfterMs = MISSED_WINDOWS * stepMs
  }

  /** Entities by number; of a number that is free, a tenant of ''. */
  get entities(): readonly EntityMemory[] {
    return this.#entities.all
  }

  get columns(): EntityColumns {
    return this.#entities.columns
  }

  /** Goes up whenever `ownedBy` of a tenant changes but at its end. */
  get changes(): number {
    return this.#entities.changes
  }

  /** Running copies by number; of a number that is free, an entity of −1. */
  get instances(): readonly InstanceMemory[] {
    return this.#instances.all
  }

  get instanceColumns(): InstanceColumns {
    return this.#instances.columns
  }

  /** Entities and instances that did not fit, each time they were seen anew. */
  get dropped(): number {
    return this.#entities.dropped + this.#instances.dropped
  }

  id(tenant: string, name: string): number {
    return this.#entities.id(tenant, name)
  }

  /** Entities of a tenant, by index, ascending. */
  ownedBy(tenant: string): readonly number[] {
    return this.#entities.ownedBy(tenant)
  }

  /** Tenants that have entities, in no order that matters. */
  tenants(): Iterable<string> {
    return this.#entities.tenants()
  }

  /** Finds out where the rows of a batch belong that are new, or whose place was taken from them; some rows at a time. */
  *placing(batch: FeatureBatch): Generator<void> {
    this.ensure(this.#table.capacity)
    this.#placeEntryAnew()
    for (let from = 0; from < batch.length; from += STEP_ROWS) {
      this.#placeRows(batch, from, Math.min(batch.length, from + STEP_ROWS))
      yield
    }
  }

  #placeRows({ series, windowEndMs }: FeatureBatch, from: number, to: number): void {
    for (let i = from; i < to; i++) if (this.entityOf(series[i]) < 0) this.#place(series[i], windowEndMs[i])
  }

  /** Some rows at a time. `disrupted`: 1 for entities, by index, of which a disruption is told already. */
  *observing(batch: FeatureBatch, opinions: OpinionBatch, disrupted: Uint8Array): Generator<void> {
    this.ensure(this.#table.capacity)
    this.#placeEntryAnew()
    if (this.#cut?.isOpen) this.#cut.touchRows(batch.series, batch.length)
    else this.#cut = undefined
    for (let from = 0; from < batch.length; from += STEP_ROWS) {
      this.#observeRows(batch, opinions, disrupted, from, Math.min(batch.length, from + STEP_ROWS))
      yield
    }
  }

  /** Rows from..to, STEP_ROWS at most. */
  #observeRows(
    batch: FeatureBatch,
    opinions: OpinionBatch,
    disrupted: Uint8Array,
    from: number,
    to: number,
  ): void {
    let count = 0
    for (let at = from; at < to; ) {
      const into = this.#gathering(count)
      at = gather(batch, opinions, into, at, to)
      count = into.watchedCount
      for (let i = at; i < to && this.entityOf(batch.series[i]) < 0; i++)
        this.#place(batch.series[i], batch.windowEndMs[i])
    }
    this.ceilings.raise(batch, this.#watched, count, this.columns, disrupted)
  }

  /** Makes room for so many rows, none of them heard yet. */
  ensure(rows: number): void {
    const had = this.rows.chunks.length
    this.rows.ensure(rows)
    for (let c = had; c < this.rows.chunks.length; c++)
      this.rows.chunks[c].lastLiveMs.fill(Number.NEGATIVE_INFINITY)
  }

  /** Ends a window: sums go back to zero, last-seen times to the graph. */
  endWindow(nowMs: number): void {
    this.#entities.endWindow(nowMs)
    clearSums(this.instanceColumns)
    for (let edge = 0; edge < this.#graphs.extent && edge < this.#edgeSeenMs.length; edge++) {
      if (this.#edgeSeenMs[edge] > 0) this.#graphs.seen(edge, this.#edgeSeenMs[edge])
    }
  }

  /** Nobody is missed and nothing is strange until it is seen again. */
  letGo(): void {
    this.#cut?.touchAll()
    for (const { lastLiveMs } of this.rows.chunks) lastLiveMs.fill(Number.NEGATIVE_INFINITY)
    this.#entities.letGo()
  }

  /**
   * Forgets learned calls that have been silent for an hour of windows, entities that have been for long but those `held`, and
   * instances that did not outlive a restart. Their series, should they come back, are placed anew.
   */
  expire(nowMs: number, held: ReadonlySet<number>): void {
    const edges = this.#graphs.expire(nowMs - this.#forgetAfterMs)
    this.#instances.expire(nowMs, this.#forgetAfterMs)
    const entities = this.#entities.expire(nowMs, held)
    for (const index of edges) if (index < this.#edgeSeenMs.length) this.#edgeSeenMs[index] = 0
    if (edges.length > 0 || entities.size > 0) this.#displace(new Set(edges), entities)
    if (entities.size > 0) this.#instances.forget(entities)
  }

  /** Nobody knows any more whose the rows are that measure these calls or are of these entities, until they are placed again. */
  #displace(edges: ReadonlySet<number>, entities: ReadonlySet<number>): void {
    for (const chunk of this.rows.chunks) {
      for (let at = 0; at < chunk.edge.length; at++) {
        const isGone = chunk.entity[at] > 0 && entities.has(chunk.entity[at] - 1)
        if (isGone) this.#leave(chunk, at)
        if (isGone || (chunk.edge[at] !== 0 && edges.has(chunk.edge[at] - 1))) chunk.entity[at] = 0
      }
    }
  }

  forget(row: number): void {
    if (row >= this.rows.rows) return
    this.#cut?.touch(row)
    this.ceilings.forget(row)
    const chunk = this.rows.chunks[row >> CHUNK_SHIFT]
    const at = row & CHUNK_MASK
    this.#leave(chunk, at)
    this.rows.clear(row)
    chunk.lastLiveMs[at] = Number.NEGATIVE_INFINITY
  }

  /** When each of the first so many rows was last heard, as a copy. */
  lastLiveMs(rows: number): Float64Array {
    this.ensure(rows)
    const out = new Float64Array(rows)
    for (const [c, { lastLiveMs }] of this.rows.chunks.entries()) {
      const from = c << CHUNK_SHIFT
      if (from < rows) out.set(lastLiveMs.subarray(0, rows - from), from)
    }
    return out
  }

  /** Nothing is known of any row; there is room for so many. */
  letGoRows(rows: number): void {
    this.#cut?.touchAll()
    this.#instances.letGoRows()
    this.rows.chunks.length = 0
    this.ensure(rows)
  }

  /** Signs of life of all rows of the table. */
  cutRows(cut: Cut): CutColumn {
    const rows = this.#table.capacity
    this.ensure(rows)
    const { chunks } = this.rows
    const column = new CutColumn(Float64Array, rows)
    this.#cut?.touchAll()
    this.#cut = new RowStretches(cut, rows, CHUNK_SHIFT, (from, to) => [
      { column, at: from, values: chunks[from >> CHUNK_SHIFT].lastLiveMs.subarray(0, to - from) },
    ])
    return column
  }

  /** When a series of each entity was last heard, as a copy. */
  heardMs(): Float64Array {
    return this.#entities.heardMs()
  }

  /** All entities of saved state under their old numbers, as `Entities.restore`; the rows find them again by name. */
  restore(
    entities: readonly EntityMemory[],
    heardMs: Float64Array | undefined,
    nowMs: number,
    instances: readonly InstanceMemory[],
  ): void {
    this.#entries.clear()
    for (const { entity, instance } of this.rows.chunks) {
      entity.fill(0)
      instance.fill(0)
    }
    this.#entities.restore(entities, heardMs, nowMs)
    this.#instances.restore(instances)
  }

  bytes(): number {
    const arrays = [this.columns, this.instanceColumns].flatMap(part => Object.values(part))
    return arrays.reduce(
      (sum, array) => sum + array.byteLength,
      this.entities.length * 250 + this.ceilings.bytes() + this.rows.bytes(),
    )
  }

  /** Entity index of a row, −1 when the row was never seen. */
  entityOf(row: number): number {
    return row < this.rows.rows ? this.rows.chunks[row >> CHUNK_SHIFT].entity[row & CHUNK_MASK] - 1 : -1
  }

  /**
   * As `entityOf`, also of a row that nobody has heard since a restart: where its labels will place it. −1 of an entity that is not
   * known and of a call that was forgotten. Nothing changes by it, so neither does it matter who asks, and when.
   */
  ownerOf(row: number): number {
    const placed = this.entityOf(row)
    if (placed >= 0) return placed
    const meta = this.#table.part(row, PLACE_LABELS)
    const { entity, caller } = this.#placeOf(meta)
    if (caller !== undefined && !this.#graphs.of(meta.tenant).callees(caller).includes(entity)) return -1
    return this.id(meta.tenant, entity === FRONT_DOOR ? this.frontDoor(meta.tenant) : entity)
  }

  /** Family of a row that was seen. */
  familyOf(row: number): number {
    return this.rows.chunks[row >> CHUNK_SHIFT].family[row & CHUNK_MASK]
  }

  /**
   * The entity that users meet first: the only one that calls others, is called by none, and has series of its
   * own. What is measured at the entry is its evidence. `__entry__` itself where that is not so.
   */
  frontDoor(tenant: string): string {
    const graph = this.#graphs.of(tenant)
    let found = ''
    for (const entity of this.ownedBy(tenant)) {
      const { name } = this.entities[entity]
      if (graph.callees(name).length === 0) continue
      if (graph.callers(name).some(caller => this.id(tenant, caller) >= 0)) continue
      if (found !== '') return FRONT_DOOR
      found = name
    }
    return found === '' ? FRONT_DOOR : found
  }

  /** What is measured at an entry that may have become another's is placed anew. */
  #placeEntryAnew(): void {
    this.#entries.takeStale(row => {
      this.rows.chunks[row >> CHUNK_SHIFT].entity[row & CHUNK_MASK] = 0
    })
  }

  #placeEntry(tenant: string, row: number): string {
    this.#entries.add(tenant, row, this.#table.capacity)
    return this.frontDoor(tenant)
  }

  /** Columns as they are now: placing a row may make room in other ones. */
  #gathering(watchedCount: number): Gathering {
    if (this.#graphs.extent > this.#edgeSeenMs.length) {
      const longer = new Float64Array(grown(this.#graphs.extent, this.#edgeSeenMs.length))
      longer.set(this.#edgeSeenMs)
      this.#edgeSeenMs = longer
    }
    return {
      chunks: this.rows.chunks,
      entities: this.columns,
      instances: this.instanceColumns,
      edgeSeenMs: this.#edgeSeenMs,
      forgetAfterMs: this.#forgetAfterMs,
      watched: this.#watched,
      watchedCount,
    }
  }

  #place(row: number, timeMs: number): void {
    const meta = this.#table.part(row, PLACE_LABELS)
    const place = this.#placeOf(meta)
    const name = place.entity === FRONT_DOOR ? this.#placeEntry(meta.tenant, row) : place.entity
    const entity = this.#intern(meta, name, timeMs)
    const chunk = this.rows.chunks[row >> CHUNK_SHIFT]
    const at = row & CHUNK_MASK
    chunk.entity[at] = entity + 1
    chunk.family[at] = place.family
    const instance = place.instance === '' ? -1 : this.#instances.intern(entity, place.instance, timeMs)
    if (instance >= 0) this.#instances.join(instance)
    this.#leave(chunk, at)
    chunk.instance[at] = instance + 1
    chunk.edge[at] = 0
    if (place.caller !== undefined) {
      this.#intern(meta, place.caller, timeMs)
      const edge = this.#graphs.own(meta.tenant).add(place.caller, place.entity, timeMs)
      // A call that the full graph does not hold must still not count as a sign of life of the callee.
      chunk.edge[at] = edge < 0 ? NO_EDGE : edge + 1
    }
  }

  #placeOf(meta: SeriesPart): Place {
    return placeOf(meta, name => this.id(meta.tenant, name) >= 0)
  }

  #intern({ tenant, labels }: SeriesPart, name: string, timeMs: number): number {
    const namespace = labels.namespace ?? labels.service_namespace ?? ''
    return this.#entities.intern(tenant, name, namespace, timeMs)
  }

  /** A row is of its instance no more. */
  #leave({ instance: ids }: RowChunk, at: number): void {
    const instance = ids[at] - 1
    ids[at] = 0
    if (instance >= 0) this.#instances.leave(instance)
  }

  /** Instances that there are, in the order of their numbers. */
  knownInstances(): InstanceMemory[] {
    return this.#instances.known()
  }
}
