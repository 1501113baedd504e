import { type FeatureBatch, featureBatch, type OpinionBatch, opinionBatch } from '../core/batch.ts'
import type { SeriesTable } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { AnomalyChange } from '../core/stages.ts'
import { RadixSort } from '../math/radix-sort.ts'
import { ByteCursor } from './byte-cursor.ts'
import { PART_GONE, PART_ROWS, readHeader, type WindowHeader } from './window-report.ts'
import { readBytes, readDoubles, readSingles } from './window-report-column-reader.ts'
import { columnScratch } from './window-report-columns.ts'
import {
  changeOfGone,
  changeOfSeries,
  described,
  NO_SLOT,
  type ReadChange,
  readChange,
} from './window-report-entries.ts'
import { type Entry, holds, type Slots, WindowSlots } from './window-report-slots.ts'

/** A part of a window, in rows of the reader's own table. Batch and opinions are lent until the next `read`. */
export interface WindowReport extends WindowHeader {
  /** In ascending order of series. */
  readonly batch: FeatureBatch
  readonly opinions: OpinionBatch
  readonly changes: readonly AnomalyChange[]
  /** Rows and changes left out because nobody has said yet what series they are of, or the table is full. */
  readonly unknown: number
}

type Rows = Pick<WindowReport, 'batch' | 'opinions'>

/** Slots beyond this are not believed: a scorer holds fewer series. */
const SLOTS_MAX = NO_SLOT - 1
/** Samples partitions beyond this are not believed. */
const PARTITIONS_MAX = 65_536

/**
 * Reads window reports of all samples partitions into one series table. The reports of a samples partition are to be read
 * in order and each once, be it to drop them: their dictionaries count. Repeats are for the caller to leave out
 * (`compareParts`).
 */
export class WindowReader {
  readonly #series: SeriesTable
  readonly #slots: WindowSlots
  /** Rows as they came. */
  readonly #read: Rows = { batch: featureBatch(PART_ROWS, 0), opinions: opinionBatch(PART_ROWS) }
  /** The same in another order, where the own table has one. */
  readonly #sorted: Rows = { batch: featureBatch(PART_ROWS, 0), opinions: opinionBatch(PART_ROWS) }
  readonly #order = new Uint32Array(PART_ROWS)
  readonly #sort = new RadixSort(PART_ROWS)
  readonly #scratch = columnScratch(PART_ROWS)

  /** `evict`: a series is no more; everybody is to forget its row, and then the table. */
  constructor(series: SeriesTable, evict: (row: number) => void) {
    this.#series = series
    this.#slots = new WindowSlots(series, evict)
  }

  /**
   * The reason when it cannot be read; nothing has changed then. `sinceMs`: end of the first window whose rows are used of
   * what it describes, Unix ms, where that is a later one.
   */
  read(bytes: Uint8Array, sinceMs = Number.NEGATIVE_INFINITY): WindowReport | string {
    const from = new ByteCursor(bytes)
    const header = readHeader(from)
    if (typeof header === 'string') return header
    if (header.samplesPartition >= PARTITIONS_MAX) return 'a window report of no samples partition'
    const gone = readGone(from)
    if (typeof gone === 'string') return gone
    const entries = this.#readEntries(from, header)
    if (typeof entries === 'string') return entries
    const rows = this.#readRows(from)
    if (typeof rows === 'string') return rows
    const changes = readChanges(from)
    if (typeof changes === 'string') return changes
    if (from.left > 0) return 'a window report with something behind its end'
    return this.#take(header, gone, entries, rows, changes, Math.max(sinceMs, header.windowEndMs))
  }

  /**
   * The rows of a part that was read before, as far as their slots still hold what they held then; for reading the past
   * once more. Nothing is learned from it. The reason when it cannot be read; undefined when it is of another life of its
   * scorer.
   */
  past(bytes: Uint8Array): Rows | string | undefined {
    const from = new ByteCursor(bytes)
    const header = readHeader(from)
    if (typeof header === 'string') return header
    const slots = this.#slots.get(header.samplesPartition)
    if (slots?.epoch !== header.epoch) return undefined
    const gone = readGone(from)
    if (typeof gone === 'string') return gone
    skipEntries(from)
    const rows = this.#readRows(from)
    if (typeof rows === 'string') return rows
    return this.#translate(slots, rows, header.windowEndMs, header.windowEndMs)
  }

  /** As `WindowSlots.knownSinceMs`. */
  knownSinceMs(): Float64Array {
    return this.#slots.knownSinceMs()
  }

  bytes(): number {
    return this.#slots.bytes()
  }

  snapshot(): Snapshot[] {
    return [this.#slots.snapshot()]
  }

  restore(parts: readonly Snapshot[]): void {
    this.#slots.restore(parts)
  }

  /** Descriptions are parsed only where they say something new: a rotation repeats what is known. */
  #readEntries(from: ByteCursor, { samplesPartition, epoch }: WindowHeader): Entry[] | string {
    const known = this.#slots.get(samplesPartition)
    const entries: Entry[] = []
    for (let left = from.varint(); left > 0 && !from.broken; left--) {
      const slot = from.varint()
      const high = from.varint()
      const low = from.varint()
      const text = from.take(from.varint())
      if (slot > SLOTS_MAX || high > 0xffff_ffff || low > 0xffff_ffff) return 'a slot that cannot be'
      if (from.broken) break
      const isKnown = known?.epoch === epoch && holds(known, slot, high, low)
      const meta = isKnown ? undefined : described(text)
      if (typeof meta === 'string') return meta
      entries.push({ slot, high, low, text, meta })
    }
    return from.broken ? 'the dictionary of a window report ends too early' : entries
  }

  /** Rows as they came, with slots for series; how many. */
  #readRows(from: ByteCursor): number | string {
    const rows = from.varint()
    if (rows > PART_ROWS) return `a window report of ${rows} rows`
    const { batch, opinions } = this.#read
    const scratch = this.#scratch
    if (!from.ascending(batch.series, rows, SLOTS_MAX)) return 'a slot that cannot be'
    const { expected, lower, upper, surprise, point, incident, score, evidence } = opinions
    readDoubles(from, batch.observed, rows, scratch)
    readSingles(from, batch.coverage, rows)
    for (const column of [expected, lower, upper]) readDoubles(from, column, rows, scratch)
    for (const column of [surprise, point, incident, score, evidence]) readSingles(from, column, rows)
    readBytes(from, opinions.direction, rows)
    readBytes(from, opinions.strongest, rows)
    return from.broken ? 'the rows of a window report end too early' : rows
  }

  #take(
    header: WindowHeader,
    gone: readonly number[],
    entries: readonly Entry[],
    rows: number,
    read: readonly ReadChange[],
    sinceMs: number,
  ): WindowReport {
    const slots = this.#slots.of(header.samplesPartition, header.epoch)
    for (const slot of gone) this.#slots.release(slots, slot)
    for (const entry of entries) this.#slots.learn(slots, entry, sinceMs)
    const own = this.#translate(slots, rows, header.windowEndMs, Number.POSITIVE_INFINITY)
    const changes: AnomalyChange[] = []
    for (const change of read) {
      const row = (slots.row[change.slot] ?? 0) - 1
      if (change.gone) changes.push(changeOfGone(change, change.gone))
      else if (row >= 0) changes.push(changeOfSeries(change, row, this.#series.meta(row)))
    }
    const unknown = rows - own.batch.length + read.length - changes.length
    if (header.last) this.#slots.endWindow(slots)
    return { ...header, ...own, changes, unknown }
  }

  /** Those of the rows whose series is known, and was known at `asOfMs`, in the order of the own table. */
  #translate(slots: Slots, rows: number, windowEndMs: number, asOfMs: number): Rows {
    const read = this.#read
    const { series } = read.batch
    const order = this.#order
    let kept = 0
    let isSorted = true
    let before = -1
    for (let i = 0; i < rows; i++) {
      const own = (slots.row[series[i]] ?? 0) - 1
      if (own < 0 || slots.sinceMs[series[i]] > asOfMs) continue
      series[i] = own
      order[kept++] = i
      if (own <= before) isSorted = false
      before = own
    }
    const used = order.subarray(0, kept)
    if (!isSorted) this.#sort.sort(used, kept, series)
    const length = isSorted ? kept : withoutTwins(series, used)
    const asCame = isSorted && kept === rows
    const { batch, opinions } = asCame ? read : this.#sorted
    if (!asCame) gather(used, length, read, batch, opinions)
    batch.windowEndMs.fill(windowEndMs, 0, length)
    batch.length = length
    opinions.length = length
    return { batch, opinions }
  }
}

/** A report that names one series twice breaks the promise of batches: the first row counts. */
function withoutTwins(series: Uint32Array, order: Uint32Array): number {
  let kept = 0
  for (let i = 0; i < order.length; i++) {
    if (kept > 0 && series[order[kept - 1]] === series[order[i]]) continue
    order[kept++] = order[i]
  }
  return kept
}

function gather(
  order: Uint32Array,
  length: number,
  { batch, opinions }: Rows,
  to: FeatureBatch,
  said: OpinionBatch,
): void {
  for (let i = 0; i < length; i++) {
    const at = order[i]
    to.series[i] = batch.series[at]
    to.observed[i] = batch.observed[at]
    to.coverage[i] = batch.coverage[at]
    said.expected[i] = opinions.expected[at]
    said.lower[i] = opinions.lower[at]
    said.upper[i] = opinions.upper[at]
    said.surprise[i] = opinions.surprise[at]
    said.point[i] = opinions.point[at]
    said.incident[i] = opinions.incident[at]
    said.score[i] = opinions.score[at]
    said.evidence[i] = opinions.evidence[at]
    said.direction[i] = opinions.direction[at]
    said.strongest[i] = opinions.strongest[at]
  }
}

function readGone(from: ByteCursor): number[] | string {
  const count = from.varint()
  if (count > PART_GONE) return `a window report of ${count} series that are gone`
  const gone: number[] = []
  for (let i = 0; i < count && !from.broken; i++) gone.push(from.varint())
  return from.broken ? 'a window report ends too early' : gone
}

/** Passes over a dictionary without a look at it. */
function skipEntries(from: ByteCursor): void {
  for (let left = from.varint(); left > 0 && !from.broken; left--) {
    from.varint()
    from.varint()
    from.varint()
    from.take(from.varint())
  }
}

function readChanges(from: ByteCursor): ReadChange[] | string {
  const changes: ReadChange[] = []
  for (let left = from.varint(); left > 0 && !from.broken; left--) {
    const change = readChange(from)
    if (typeof change === 'string') return change
    changes.push(change)
  }
  return from.broken ? 'the changes of a window report end too early' : changes
}
