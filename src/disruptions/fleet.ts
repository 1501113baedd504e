import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT, ColumnStore } from '../core/columns.ts'
import { type Cut, CutColumn, RowStretches } from '../core/cut.ts'
import type { SeriesTable } from '../core/series.ts'
import type { SeriesPart } from '../core/series-records.ts'
import { Ceilings } from './ceiling.ts'
import {
  clearEntities,
  clearInstances,
  type EntityColumns,
  entityColumns,
  type Gathering,
  gather,
  grown,
  type InstanceColumns,
  instanceColumns,
  ROW_COLUMNS,
} from './evidence.ts'
import { FRONT_DOOR, PLACE_LABELS, placeOf } from './families.ts'
import type { TenantGraphs } from './tenant-graphs.ts'

/** What is remembered of an entity from window to window. JSON-safe: NaN is null. */
export interface EntityMemory {
  readonly tenant: string
  readonly name: string
  readonly namespace: string
  readonly firstSeenMs: number
  /** Evidence of the last three windows, newest first. */
  recent: [number, number, number]
  /** Start of the present run of strange windows, Unix ms; null when there is none. */
  onsetMs: number | null
  lastStrangeMs: number
  /** Traffic per window, slowly averaged, for shares of impact. */
  traffic: number | null
}

export interface InstanceMemory {
  readonly entity: number
  readonly name: string
  /** A newcomer replaces an instance that left at about the same time. */
  readonly firstSeenMs: number
}

/** Entity of everything of a tenant that is beyond the limit. */
const OVERFLOW = '(more)'
/** Instances that are told apart, at most, per entity that may be. */
const INSTANCES_EACH = 16
/** A place of an instance that nobody has. */
const NOBODY: InstanceMemory = { entity: -1, name: '', firstSeenMs: Number.NEGATIVE_INFINITY }
/** Windows after which a silent series is no longer missed: an hour at ten seconds. */
const MISSED_WINDOWS = 360
/** Marks a row that measures a call for which the graph had no room; writes beyond a typed array do nothing. */
const NO_EDGE = 0xffff_ffff

/** Entities, their instances, and which series belongs to which: everything that turns rows into evidence. */
export class Fleet {
  readonly entities: EntityMemory[] = []
  /** By number; of a number that is free, `NOBODY`. */
  readonly instances: InstanceMemory[] = []
  columns: EntityColumns = entityColumns(64)
  instanceColumns: InstanceColumns = instanceColumns(64)
  readonly rows = new ColumnStore(ROW_COLUMNS)
  readonly ceilings: Ceilings
  dropped = 0
  readonly #table: SeriesTable
  readonly #graphs: TenantGraphs
  readonly #limit: number
  readonly #forgetAfterMs: number
  readonly #ids = new Map<string, number>()
  readonly #instanceIds = new Map<string, number>()
  /** Rows of each instance: one without any has left for good, and another gets its number. */
  #instanceRows = new Uint32Array(64)
  readonly #freeInstances: number[] = []
  /** Instances of saved state; those that no row has come back to by `#claimedByMs` are forgotten. */
  #unclaimed: number[] = []
  #claimedByMs = Number.NaN
  /** Entities of each tenant, ascending. */
  readonly #own = new Map<string, number[]>()
  /** Rows measured at the entry of a tenant, and the version of its graph that they were placed by. */
  readonly #entries = new Map<string, { version: number; readonly rows: number[] }>()
  #edgeSeenMs = new Float64Array(64)
  #watched = new Uint32Array(0)
  /** What a cut that is being written still needs of the rows. */
  #cut: RowStretches | undefined

  constructor(table: SeriesTable, graphs: TenantGraphs, limit: number, stepMs: number) {
    this.#table = table
    this.ceilings = new Ceilings(table, this.rows)
    this.#graphs = graphs
    this.#limit = limit
    this.#forgetAfterMs = MISSED_WINDOWS * stepMs
  }

  id(tenant: string, name: string): number {
    return this.#ids.get(`${tenant}\n${name}`) ?? -1
  }

  /** Entities of a tenant, by index, ascending. */
  ownedBy(tenant: string): readonly number[] {
    return this.#own.get(tenant) ?? []
  }

  /** Tenants that have entities, in the order in which they were first seen. */
  tenants(): Iterable<string> {
    return this.#own.keys()
  }

  /** Finds out where the rows of a batch belong that are new, or whose place was taken from them. */
  place(batch: FeatureBatch): void {
    this.ensure(this.#table.capacity)
    this.#placeEntryAnew()
    const { length, series, windowEndMs } = batch
    for (let i = 0; i < length; i++) if (this.entityOf(series[i]) < 0) this.#place(series[i], windowEndMs[i])
  }

  /** `disrupted`: 1 for entities, by index, of which a disruption is told already. */
  observe(batch: FeatureBatch, opinions: OpinionBatch, disrupted: Uint8Array): void {
    this.ensure(this.#table.capacity)
    this.#placeEntryAnew()
    if (this.#cut?.isOpen) this.#cut.touchRows(batch.series, batch.length)
    else this.#cut = undefined
    if (this.#watched.length < batch.length) this.#watched = new Uint32Array(grown(batch.length, 0))
    let count = 0
    for (let at = 0; at < batch.length; ) {
      const into = this.#gathering(count)
      at = gather(batch, opinions, into, at)
      count = into.watchedCount
      for (let i = at; i < batch.length && this.entityOf(batch.series[i]) < 0; i++)
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
  endWindow(): void {
    clearEntities(this.columns)
    clearInstances(this.instanceColumns)
    for (let edge = 0; edge < this.#graphs.extent && edge < this.#edgeSeenMs.length; edge++) {
      if (this.#edgeSeenMs[edge] > 0) this.#graphs.seen(edge, this.#edgeSeenMs[edge])
    }
  }

  /** Nobody is missed and nothing is strange until it is seen again. */
  letGo(): void {
    this.#cut?.touchAll()
    for (const { lastLiveMs } of this.rows.chunks) lastLiveMs.fill(Number.NEGATIVE_INFINITY)
    for (const memory of this.entities) {
      memory.recent = [0, 0, 0]
      memory.onsetMs = null
      memory.lastStrangeMs = 0
    }
  }

  /**
   * Forgets learned calls that have been silent for an hour of windows, and instances that did not outlive a restart. Their
   * series, should they come back, are placed anew.
   */
  expire(nowMs: number): void {
    this.#expireEdges(nowMs)
    if (this.#unclaimed.length === 0) return
    if (Number.isNaN(this.#claimedByMs)) this.#claimedByMs = nowMs + this.#forgetAfterMs
    if (nowMs < this.#claimedByMs) return
    for (const id of this.#unclaimed)
      if (this.#instanceRows[id] === 0 && this.instances[id] !== NOBODY) this.#freeInstance(id)
    this.#unclaimed = []
  }

  #expireEdges(nowMs: number): void {
    const gone = this.#graphs.expire(nowMs - this.#forgetAfterMs)
    if (gone.length === 0) return
    const places = new Set(gone.map(edge => edge + 1))
    for (const { edge, entity } of this.rows.chunks) {
      for (let row = 0; row < edge.length; row++) {
        if (edge[row] !== 0 && places.has(edge[row])) entity[row] = 0
      }
    }
    for (const index of gone) if (index < this.#edgeSeenMs.length) this.#edgeSeenMs[index] = 0
  }

  forget(row: number): void {
    if (row >= this.rows.rows) return
    this.#cut?.touch(row)
    this.ceilings.forget(row)
    this.#leave(row)
    this.rows.clear(row)
    this.rows.chunks[row >> CHUNK_SHIFT].lastLiveMs[row & CHUNK_MASK] = Number.NEGATIVE_INFINITY
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
    this.#instanceRows.fill(0)
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

  /** All entities of saved state, in their old order; the rows find them again by name. */
  restore(entities: readonly EntityMemory[], instances: readonly InstanceMemory[]): void {
    this.entities.length = 0
    this.instances.length = 0
    this.#ids.clear()
    this.#instanceIds.clear()
    this.#instanceRows.fill(0)
    this.#freeInstances.length = 0
    this.#own.clear()
    this.#entries.clear()
    for (const { entity, instance } of this.rows.chunks) {
      entity.fill(0)
      instance.fill(0)
    }
    for (const memory of entities) this.#push({ ...memory, recent: [...memory.recent] })
    this.#growEntities()
    this.#unclaimed = instances.map(({ entity, name, firstSeenMs }) =>
      this.#internInstance(entity, name, firstSeenMs),
    )
    this.#claimedByMs = Number.NaN
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

  /** A graph that has grown may have another front door: what is measured there is placed anew. */
  #placeEntryAnew(): void {
    for (const [tenant, entry] of this.#entries) {
      const { version } = this.#graphs.of(tenant)
      if (entry.version === version) continue
      entry.version = version
      for (const row of entry.rows) this.rows.chunks[row >> CHUNK_SHIFT].entity[row & CHUNK_MASK] = 0
      entry.rows.length = 0
    }
  }

  #placeEntry(tenant: string, row: number): string {
    const entry = this.#entries.get(tenant)
    if (entry) this.#enter(entry.rows, row)
    else this.#entries.set(tenant, { version: this.#graphs.of(tenant).version, rows: [row] })
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
    const place = placeOf(meta, name => this.#ids.has(`${meta.tenant}\n${name}`))
    const name = place.entity === FRONT_DOOR ? this.#placeEntry(meta.tenant, row) : place.entity
    const entity = this.#intern(meta, name, timeMs)
    const chunk = this.rows.chunks[row >> CHUNK_SHIFT]
    const at = row & CHUNK_MASK
    chunk.entity[at] = entity + 1
    chunk.family[at] = place.family
    const instance = place.instance === '' ? -1 : this.#internInstance(entity, place.instance, timeMs)
    if (instance >= 0) this.#instanceRows[instance]++
    this.#leave(row)
    chunk.instance[at] = instance + 1
    chunk.edge[at] = 0
    if (place.caller !== undefined) {
      this.#intern(meta, place.caller, timeMs)
      const edge = this.#graphs.own(meta.tenant).add(place.caller, place.entity, timeMs)
      // A call that the full graph does not hold must still not count as a sign of life of the callee.
      chunk.edge[at] = edge < 0 ? NO_EDGE : edge + 1
    }
  }

  /** Rows that are given back and placed again and again must not be remembered each time. */
  #enter(entryRows: number[], row: number): void {
    entryRows.push(row)
    if (entryRows.length <= 2 * this.#table.capacity) return
    const rows = new Set(entryRows)
    entryRows.length = 0
    for (const one of rows) entryRows.push(one)
  }

  /** Beyond the limit all new entities of a tenant share one, which is about nothing in particular. */
  #intern(meta: SeriesPart, name: string, timeMs: number): number {
    const key = `${meta.tenant}\n${name}`
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    if (this.entities.length >= this.#limit - 1 && name !== OVERFLOW) {
      this.dropped++
      return this.#intern(meta, OVERFLOW, timeMs)
    }
    const id = this.#push({
      tenant: meta.tenant,
      name,
      namespace: meta.labels.namespace ?? meta.labels.service_namespace ?? '',
      firstSeenMs: timeMs,
      recent: [0, 0, 0],
      onsetMs: null,
      lastStrangeMs: 0,
      traffic: null,
    })
    this.#growEntities()
    return id
  }

  #push(memory: EntityMemory): number {
    const { tenant, name } = memory
    const id = this.entities.length
    this.#ids.set(`${tenant}\n${name}`, id)
    this.entities.push(memory)
    const own = this.#own.get(tenant)
    if (own) own.push(id)
    else {
      this.#own.set(tenant, [id])
      // From now on it has a graph of its own.
      this.#graphs.own(tenant)
    }
    return id
  }

  #growEntities(): void {
    const have = this.columns.recent.length
    if (this.entities.length > have) {
      this.columns = entityColumns(grown(this.entities.length, have), this.columns)
    }
  }

  #internInstance(entity: number, name: string, timeMs: number): number {
    const key = `${entity}\n${name}`
    const known = this.#instanceIds.get(key)
    if (known !== undefined) return known
    if (this.#freeInstances.length === 0 && this.instances.length >= this.#limit * INSTANCES_EACH) {
      this.dropped++
      return -1
    }
    const id = this.#freeInstances.pop() ?? this.instances.length
    this.#instanceIds.set(key, id)
    this.instances[id] = { entity, name, firstSeenMs: timeMs }
    const have = this.instanceColumns.recent.length
    if (this.instances.length > have) {
      this.instanceColumns = instanceColumns(grown(this.instances.length, have), this.instanceColumns)
      const rows = new Uint32Array(this.instanceColumns.recent.length)
      rows.set(this.#instanceRows)
      this.#instanceRows = rows
    }
    return id
  }

  /** A row is of its instance no more. */
  #leave(row: number): void {
    const chunk = this.rows.chunks[row >> CHUNK_SHIFT]
    const instance = chunk.instance[row & CHUNK_MASK] - 1
    if (instance >= 0 && --this.#instanceRows[instance] === 0) this.#freeInstance(instance)
  }

  #freeInstance(id: number): void {
    const { entity, name } = this.instances[id]
    this.#instanceIds.delete(`${entity}\n${name}`)
    this.instances[id] = NOBODY
    this.#freeInstances.push(id)
  }

  /** Instances that there are, in the order of their numbers. */
  knownInstances(): InstanceMemory[] {
    return this.instances.filter(one => one !== NOBODY)
  }
}
