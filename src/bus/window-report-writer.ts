import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import { ForeshockError } from '../core/errors.ts'
import type { SeriesTable } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { AnomalyChange } from '../core/stages.ts'
import { partitionOf } from './partition-of.ts'
import { PART_GONE, ROTATION, type WindowPart } from './window-report.ts'
import type { ToldRows } from './window-report-column-writer.ts'
import { PartDraft } from './window-report-part.ts'

interface WriterOptions {
  readonly samplesPartition: number
  /** How many partitions the anomalies topic has. */
  readonly anomaliesPartitions: number
  readonly stepMs: number
  /** Where in the log the state of `series` began. */
  readonly epoch: number
}

/** What changed with a batch. */
interface Changed {
  /** By slot, in their order; what ended of series that are gone under −1. */
  readonly bySlot: ReadonlyMap<number, readonly AnomalyChange[]>
  /** Slots that there are, ascending. */
  readonly slots: Uint32Array
}

/** What of a batch one anomalies partition is told. */
interface Share {
  readonly rows: ToldRows
  /** Slots that have a change but no row. */
  readonly orphans: number[]
  /** What was open of series that are gone. */
  readonly ends: AnomalyChange[]
}

/**
 * Makes window reports of what the pipeline closes, for every anomalies partition one, be it empty: that is how the stage
 * learns how far this partition is. What it remembers (who was told of which series) is part of the scorer's state, so
 * that a replay makes the same bytes.
 */
export class WindowWriter {
  readonly #options: WriterOptions
  readonly #series: SeriesTable
  /** Per slot the anomalies partition + 1 that was told of it; 0 before. */
  #home = new Uint16Array(0)
  readonly #gone: number[][]
  readonly #parts: number[]
  readonly #homes = new Map<string, number>()
  readonly #draft = new PartDraft()
  /** Row numbers of the batch, those of one anomalies partition after those of the one before. */
  #order = new Uint32Array(0)
  /** Anomalies partition of each row of the batch. */
  #homeOfRow = new Uint16Array(0)
  #epoch: number
  #reportedMs = Number.NEGATIVE_INFINITY

  constructor(options: WriterOptions, series: SeriesTable) {
    if (options.anomaliesPartitions > 65_534)
      throw new ForeshockError('FS_CONFIG_INVALID', 'the anomalies topic has at most 65534 partitions')
    this.#options = options
    this.#series = series
    this.#epoch = options.epoch
    this.#gone = Array.from({ length: options.anomaliesPartitions }, () => [])
    this.#parts = new Array(options.anomaliesPartitions).fill(0)
  }

  /** End of the last window reported, Unix ms; −Infinity before the first. */
  get reportedMs(): number {
    return this.#reportedMs
  }

  get epoch(): number {
    return this.#epoch
  }

  /**
   * The rows of a batch with what was said of them, and the window's end with its last one. A window that ends at or
   * before the last one reported makes no message: nobody would take it.
   */
  write(
    batch: FeatureBatch,
    opinions: OpinionBatch,
    changes: readonly AnomalyChange[],
    windowEndMs: number,
    last: boolean,
  ): WindowPart[] {
    if (windowEndMs <= this.#reportedMs) return []
    this.#ensure(this.#series.capacity)
    const { anomaliesPartitions } = this.#options
    const changed = changedBy(changes)
    const shares = this.#divide(batch, changed)
    const parts: WindowPart[] = []
    for (let q = 0; q < anomaliesPartitions; q++) {
      const { rows, orphans, ends } = shares[q]
      if (!last && rows.to - rows.from + orphans.length + ends.length === 0) continue
      this.#partsOf(q, batch, opinions, shares[q], changed, windowEndMs, last, parts)
    }
    if (last) {
      this.#parts.fill(0)
      this.#reportedMs = windowEndMs
    }
    return parts
  }

  /** The series of a slot is no more; readers learn it with the next window. */
  forget(slot: number): void {
    const home = this.#home[slot] ?? 0
    if (home === 0) return
    this.#home[slot] = 0
    this.#gone[home - 1].push(slot)
  }

  bytes(): number {
    return this.#home.byteLength + this.#gone.reduce((sum, slots) => sum + 8 * slots.length, 0)
  }

  snapshot(): Snapshot[] {
    if (this.#parts.some(part => part > 0))
      throw new ForeshockError('FS_ASSERTION', 'window reports are snapshotted only between two windows')
    const keys = this.#series.keys()
    const home = new Uint16Array(keys.length)
    home.set(this.#home.subarray(0, keys.length))
    const meta = {
      anomaliesPartitions: this.#options.anomaliesPartitions,
      epoch: this.#epoch,
      reportedMs: Number.isFinite(this.#reportedMs) ? this.#reportedMs : null,
      gone: this.#gone.map(slots => [...slots]),
    }
    return [{ id: 'window-report', version: 1, keys, columns: { home }, meta }]
  }

  /** With another number of partitions everybody is told anew. */
  restore(parts: readonly Snapshot[]): void {
    const from = parts.find(part => part.id === 'window-report')
    if (!from) return
    const { home } = from.columns
    if (from.version !== 1 || !(home instanceof Uint16Array) || home.length !== from.keys.length)
      throw new ForeshockError('FS_SNAPSHOT_INVALID', `window-report v${from.version} cannot be read`)
    const meta = from.meta as SavedMeta
    this.#epoch = meta.epoch
    this.#reportedMs = meta.reportedMs ?? Number.NEGATIVE_INFINITY
    if (meta.anomaliesPartitions !== this.#options.anomaliesPartitions) return
    this.#ensure(this.#series.capacity)
    for (const [q, slots] of meta.gone.entries()) this.#gone[q] = [...slots]
    for (let slot = 0; slot < home.length; slot++) {
      if (home[slot] === 0) continue
      // A series taken out of the table while this state lay on disk.
      if (this.#series.row(from.keys[slot]) !== slot) this.#gone[home[slot] - 1].push(slot)
      else this.#home[slot] = home[slot]
    }
  }

  #ensure(slots: number): void {
    if (this.#home.length >= slots) return
    const larger = new Uint16Array(Math.max(slots, 2 * this.#home.length))
    larger.set(this.#home)
    this.#home = larger
  }

  #homeOf(slot: number): number {
    return this.#homeOfTenant(this.#series.meta(slot).tenant)
  }

  #homeOfTenant(tenant: string): number {
    let q = this.#homes.get(tenant)
    if (q === undefined) {
      // Tenants come and go; the table of them is a mere shortcut.
      if (this.#homes.size > 10_000) this.#homes.clear()
      q = partitionOf(tenant, this.#options.anomaliesPartitions)
      this.#homes.set(tenant, q)
    }
    return q
  }

  /** What of a batch goes where, by anomalies partition. */
  #divide(batch: FeatureBatch, { bySlot, slots }: Changed): Share[] {
    const { series, length } = batch
    const rows = this.#rowsByHome(series, length)
    const out = rows.map((rows): Share => ({ rows, orphans: [], ends: [] }))
    if (bySlot.size === 0) return out
    for (const change of bySlot.get(-1) ?? [])
      out[this.#homeOfTenant(change.anomaly.tenant)].ends.push(change)
    if (slots.length === 0) return out
    const lone = new Set(bySlot.keys())
    for (let i = 0, c = 0; i < length && c < slots.length; i++) {
      while (c < slots.length && slots[c] < series[i]) c++
      if (slots[c] === series[i]) lone.delete(series[i])
    }
    for (const slot of lone) if (this.#series.has(slot)) out[this.#homeOf(slot)].orphans.push(slot)
    return out
  }

  /** Rows of a batch by anomalies partition, each in their order. */
  #rowsByHome(series: Uint32Array, length: number): ToldRows[] {
    if (this.#order.length < length) {
      this.#order = new Uint32Array(length)
      this.#homeOfRow = new Uint16Array(length)
    }
    const told = this.#home
    const order = this.#order
    const homes = this.#homeOfRow
    const ends = new Uint32Array(this.#options.anomaliesPartitions)
    for (let i = 0; i < length; i++) {
      const known = told[series[i]]
      homes[i] = known > 0 ? known - 1 : this.#homeOf(series[i])
      ends[homes[i]]++
    }
    let to = 0
    for (let q = 0; q < ends.length; q++) {
      const count = ends[q]
      ends[q] = to
      to += count
    }
    for (let i = 0; i < length; i++) order[ends[homes[i]]++] = i
    return Array.from(ends, (to, q) => ({ order, from: q === 0 ? 0 : ends[q - 1], to }))
  }

  #partsOf(
    q: number,
    batch: FeatureBatch,
    opinions: OpinionBatch,
    { rows, orphans, ends }: Share,
    { bySlot, slots }: Changed,
    windowEndMs: number,
    last: boolean,
    parts: WindowPart[],
  ): void {
    const draft = this.#draft
    const { order, to } = rows
    let { from } = rows
    const flush = (until: number, isLast: boolean) => {
      const told = { order, from, to: until }
      parts.push(this.#end(q, batch, opinions, told, windowEndMs, isLast))
      from = until
      this.#begin(q)
    }
    this.#begin(q)
    while (this.#gone[q].length > 0) flush(from, false)
    const turn = Math.round(windowEndMs / this.#options.stepMs)
    /** The next slot that is described whoever knows it, and the place of the next that changed. */
    let stop = 0
    let c = 0
    for (let i = from; ; i++) {
      i = nextTold(batch.series, order, i, Math.min(to, from + draft.rowsMax), this.#home, stop)
      if (i === to) break
      if (i - from >= draft.rowsMax) flush(i, false)
      const slot = batch.series[order[i]]
      const changes = bySlot.get(slot)
      if (changes || this.#home[slot] === 0 || modulo(slot - turn, ROTATION) === 0)
        this.#tell(q, slot, changes)
      while (c < slots.length && slots[c] <= slot) c++
      stop = slot + 1 + modulo(turn - slot - 1, ROTATION)
      if (c < slots.length && slots[c] < stop) stop = slots[c]
    }
    for (const slot of orphans) {
      if (draft.isFull(to - from)) flush(to, false)
      this.#tell(q, slot, bySlot.get(slot))
    }
    for (const end of ends) {
      if (draft.isFull(to - from)) flush(to, false)
      draft.change(end)
    }
    if (last || from < to || !draft.isEmpty) flush(to, last)
  }

  #begin(q: number): void {
    this.#draft.begin(this.#gone[q].splice(0, PART_GONE))
  }

  /** Says what a slot holds and what changed of it. */
  #tell(q: number, slot: number, changes: readonly AnomalyChange[] | undefined): void {
    this.#draft.describe(slot, this.#series.meta(slot), this.#series.hasOwnKey(slot))
    this.#home[slot] = q + 1
    for (const change of changes ?? []) this.#draft.change(change)
  }

  #end(
    q: number,
    batch: FeatureBatch,
    opinions: OpinionBatch,
    rows: ToldRows,
    windowEndMs: number,
    last: boolean,
  ): WindowPart {
    const { samplesPartition } = this.#options
    const header = { samplesPartition, epoch: this.#epoch, windowEndMs, part: this.#parts[q]++, last }
    return { ...header, anomaliesPartition: q, bytes: this.#draft.take(header, batch, opinions, rows) }
  }
}

interface SavedMeta {
  readonly anomaliesPartitions: number
  readonly epoch: number
  readonly reportedMs: number | null
  readonly gone: readonly (readonly number[])[]
}

function changedBy(changes: readonly AnomalyChange[]): Changed {
  const bySlot = new Map<number, AnomalyChange[]>()
  for (const change of changes) {
    const { series } = change.anomaly
    const known = bySlot.get(series)
    if (known) known.push(change)
    else bySlot.set(series, [change])
  }
  const slots = Uint32Array.from([...bySlot.keys()].filter(slot => slot >= 0)).sort()
  return { bySlot, slots }
}

/** The first of the rows from `i` to `end` whose slot is `stop` or beyond, or nobody was told of. */
function nextTold(
  series: Uint32Array,
  order: Uint32Array,
  i: number,
  end: number,
  home: Uint16Array,
  stop: number,
): number {
  let at = i
  for (; at < end; at++) {
    const slot = series[order[at]]
    if (slot >= stop || home[slot] === 0) return at
  }
  return at
}

const modulo = (value: number, by: number): number => ((value % by) + by) % by
