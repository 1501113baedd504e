import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import { ByteWriter } from '../core/byte-writer.ts'
import { ForeshockError } from '../core/errors.ts'
import type { SeriesTable } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { AnomalyChange } from '../core/stages.ts'
import { hashText } from '../math/hash.ts'
import { partitionOf } from './partition-of.ts'
import { PART_BYTES, PART_GONE, PART_ROWS, ROTATION, type WindowPart, writeHeader } from './window-report.ts'
import { columnScratch, writeBytes, writeDoubles, writeSingles } from './window-report-columns.ts'
import { CHANGE_BYTES, describe, writeChange } from './window-report-entries.ts'

/** Bytes of a row at most: its slot and columns. */
const ROW_BYTES = 64
/** Where hashing of keys begins, for reader and writer alike. */
export const KEY_SEED = 0x666f7265

interface WriterOptions {
  readonly samplesPartition: number
  /** How many partitions the anomalies topic has. */
  readonly anomaliesPartitions: number
  readonly stepMs: number
  /** Where in the log the state of `series` began. */
  readonly epoch: number
}

/** What one part will hold. */
interface Draft {
  readonly slots: number[]
  readonly entries: Uint8Array[]
  readonly changes: AnomalyChange[]
  readonly gone: number[]
  bytes: number
}

/** What of a batch one anomalies partition is told. */
interface Share {
  /** Row numbers of the batch. */
  readonly order: Uint32Array
  /** Slots that have a change but no row. */
  readonly orphans: number[]
  /** What was open of series that are gone. */
  readonly ends: AnomalyChange[]
}

const draft = (): Draft => ({ slots: [], entries: [], changes: [], gone: [], bytes: 64 })

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
  readonly #out = new ByteWriter(65_536)
  readonly #scratch = columnScratch(PART_ROWS)
  readonly #hash = new Int32Array(2)
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
    const bySlot = changesBySlot(changes)
    const rows = this.#bucket(batch, bySlot)
    const parts: WindowPart[] = []
    for (let q = 0; q < anomaliesPartitions; q++) {
      const { order, orphans, ends } = rows[q]
      if (!last && order.length + orphans.length + ends.length === 0) continue
      this.#partsOf(q, batch, opinions, rows[q], bySlot, windowEndMs, last, parts)
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
  #bucket(batch: FeatureBatch, bySlot: ReadonlyMap<number, readonly AnomalyChange[]>): Share[] {
    const { anomaliesPartitions } = this.#options
    const counts = new Uint32Array(anomaliesPartitions)
    const { series, length } = batch
    const told = this.#home
    const homes = new Uint16Array(length)
    for (let i = 0; i < length; i++) {
      const known = told[series[i]]
      homes[i] = known > 0 ? known - 1 : this.#homeOf(series[i])
      counts[homes[i]]++
    }
    const out = Array.from(counts, (count): Share => {
      return { order: new Uint32Array(count), orphans: [], ends: [] }
    })
    counts.fill(0)
    for (let i = 0; i < length; i++) out[homes[i]].order[counts[homes[i]]++] = i
    if (bySlot.size === 0) return out
    for (const change of bySlot.get(-1) ?? [])
      out[this.#homeOfTenant(change.anomaly.tenant)].ends.push(change)
    const lone = new Set(bySlot.keys())
    for (let i = 0; i < length; i++) lone.delete(series[i])
    for (const slot of lone) if (this.#series.has(slot)) out[this.#homeOf(slot)].orphans.push(slot)
    return out
  }

  #partsOf(
    q: number,
    batch: FeatureBatch,
    opinions: OpinionBatch,
    { order, orphans, ends }: Share,
    bySlot: ReadonlyMap<number, readonly AnomalyChange[]>,
    windowEndMs: number,
    last: boolean,
    parts: WindowPart[],
  ): void {
    const turn = modulo(Math.round(windowEndMs / this.#options.stepMs), ROTATION)
    let from = 0
    let now = this.#begin(q)
    const flush = (to: number, isLast: boolean) => {
      parts.push(this.#encode(q, now, batch, opinions, order, from, to, windowEndMs, isLast))
      from = to
      now = this.#begin(q)
    }
    while (this.#gone[q].length > 0) flush(0, false)
    for (let i = 0; i < order.length; i++) {
      if (i - from >= PART_ROWS || now.bytes >= PART_BYTES) flush(i, false)
      const slot = batch.series[order[i]]
      now.bytes += ROW_BYTES
      const changes = bySlot.size === 0 ? undefined : bySlot.get(slot)
      if (changes || this.#home[slot] === 0 || slot % ROTATION === turn) this.#describe(now, q, slot)
      if (changes) addChanges(now, changes)
    }
    for (const slot of orphans) {
      if (now.bytes >= PART_BYTES) flush(order.length, false)
      this.#describe(now, q, slot)
      addChanges(now, bySlot.get(slot) ?? [])
    }
    for (const end of ends) {
      if (now.bytes >= PART_BYTES) flush(order.length, false)
      addChanges(now, [end])
    }
    const isHeld = from < order.length || now.changes.length > 0 || now.gone.length > 0
    if (last || isHeld) flush(order.length, last)
  }

  #begin(q: number): Draft {
    const now = draft()
    now.gone.push(...this.#gone[q].splice(0, PART_GONE))
    now.bytes += 5 * now.gone.length
    return now
  }

  #describe(now: Draft, q: number, slot: number): void {
    const text = describe(this.#series.meta(slot))
    this.#home[slot] = q + 1
    now.slots.push(slot)
    now.entries.push(text)
    now.bytes += text.length + 16
  }

  #encode(
    q: number,
    now: Draft,
    batch: FeatureBatch,
    opinions: OpinionBatch,
    order: Uint32Array,
    from: number,
    to: number,
    windowEndMs: number,
    last: boolean,
  ): WindowPart {
    const out = this.#out
    const { samplesPartition } = this.#options
    const header = { samplesPartition, epoch: this.#epoch, windowEndMs, part: this.#parts[q]++, last }
    out.clear()
    writeHeader(out, header)
    out.varint(now.gone.length)
    for (const slot of now.gone) out.varint(slot)
    out.varint(now.slots.length)
    for (const [i, slot] of now.slots.entries()) {
      hashText(this.#series.meta(slot).key, KEY_SEED, this.#hash)
      out.varint(slot)
      out.varint(this.#hash[0] >>> 0)
      out.varint(this.#hash[1] >>> 0)
      out.varint(now.entries[i].length)
      out.bytes(now.entries[i])
    }
    this.#rows(batch, opinions, order, from, to)
    out.varint(now.changes.length)
    for (const change of now.changes) writeChange(out, change)
    return { ...header, anomaliesPartition: q, bytes: out.take() }
  }

  #rows(batch: FeatureBatch, opinions: OpinionBatch, order: Uint32Array, from: number, to: number): void {
    const out = this.#out
    const scratch = this.#scratch
    out.varint(to - from)
    let next = 0
    for (let i = from; i < to; i++) {
      const slot = batch.series[order[i]]
      out.varint(slot - next)
      next = slot + 1
    }
    writeDoubles(out, batch.observed, order, from, to, scratch)
    writeSingles(out, batch.coverage, order, from, to, scratch)
    for (const column of [opinions.expected, opinions.lower, opinions.upper])
      writeDoubles(out, column, order, from, to, scratch)
    const { surprise, point, incident, score, evidence } = opinions
    for (const column of [surprise, point, incident, score, evidence])
      writeSingles(out, column, order, from, to, scratch)
    writeBytes(out, opinions.direction, order, from, to, scratch)
    writeBytes(out, opinions.strongest, order, from, to, scratch)
  }
}

interface SavedMeta {
  readonly anomaliesPartitions: number
  readonly epoch: number
  readonly reportedMs: number | null
  readonly gone: readonly (readonly number[])[]
}

function changesBySlot(changes: readonly AnomalyChange[]): Map<number, AnomalyChange[]> {
  const bySlot = new Map<number, AnomalyChange[]>()
  for (const change of changes) {
    const { series } = change.anomaly
    const known = bySlot.get(series)
    if (known) known.push(change)
    else bySlot.set(series, [change])
  }
  return bySlot
}

function addChanges(now: Draft, changes: readonly AnomalyChange[]): void {
  for (const change of changes) {
    now.changes.push(change)
    now.bytes += CHANGE_BYTES
  }
}

const modulo = (value: number, by: number): number => ((value % by) + by) % by
