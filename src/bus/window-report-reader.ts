import { type FeatureBatch, featureBatch, type OpinionBatch, opinionBatch } from '../core/batch.ts'
import { ForeshockError } from '../core/errors.ts'
import type { SeriesMeta, SeriesTable } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { AnomalyChange } from '../core/stages.ts'
import { ByteCursor } from './byte-cursor.ts'
import { PART_GONE, PART_ROWS, ROTATION, readHeader, type WindowHeader } from './window-report.ts'
import { columnScratch, readBytes, readDoubles, readSingles } from './window-report-columns.ts'
import { changeOfSeries, described, type ReadChange, readChange } from './window-report-entries.ts'

/** A part of a window, in rows of the reader's own table. Batch and opinions are lent until the next `read`. */
export interface WindowReport extends WindowHeader {
  /** In ascending order of series. */
  readonly batch: FeatureBatch
  readonly opinions: OpinionBatch
  readonly changes: readonly AnomalyChange[]
  /** Rows and changes left out because nobody has said yet what series they are of, or the table is full. */
  readonly unknown: number
}

interface Entry {
  readonly slot: number
  /** The 64 bits of its key's hash. */
  readonly high: number
  readonly low: number
  readonly text: Uint8Array
  /** Undefined where the slot is known to hold it. */
  readonly meta: SeriesMeta | undefined
}

/** What slots of one samples partition hold, as far as it is known. */
interface Slots {
  readonly epoch: number
  /** Windows of this epoch read to their end. */
  windows: number
  /** Own rows of the epoch before: given up unless they are told again soon. */
  readonly former: number[]
  /** Own row + 1; 0 where it is not known. */
  row: Uint32Array<ArrayBuffer>
  high: Uint32Array<ArrayBuffer>
  low: Uint32Array<ArrayBuffer>
  /** End of the first window whose rows may be of what the slot holds, Unix ms. */
  sinceMs: Float64Array<ArrayBuffer>
}

/** Slots beyond this are not believed: a scorer holds fewer series. */
const SLOTS_MAX = 0x00ff_ffff
/** Samples partitions beyond this are not believed. */
const PARTITIONS_MAX = 65_536

/**
 * Reads window reports of all samples partitions into one series table. The reports of a samples partition are to be read
 * in order and each once, be it to drop them: their dictionaries count. Repeats are for the caller to leave out
 * (`compareParts`).
 */
export class WindowReader {
  readonly #series: SeriesTable
  readonly #evict: (row: number) => void
  readonly #slots = new Map<number, Slots>()
  readonly #raw = featureBatch(PART_ROWS, 0)
  readonly #rawOpinions = opinionBatch(PART_ROWS)
  readonly #batch = featureBatch(PART_ROWS, 0)
  readonly #opinions = opinionBatch(PART_ROWS)
  readonly #scratch = columnScratch(PART_ROWS)
  /** How many slots say that they hold a row. */
  #holders = new Uint16Array(0)

  /** `evict`: a series is no more; everybody is to forget its row, and then the table. */
  constructor(series: SeriesTable, evict: (row: number) => void) {
    this.#series = series
    this.#evict = evict
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
  past(bytes: Uint8Array): Pick<WindowReport, 'batch' | 'opinions'> | string | undefined {
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
    this.#translate(slots, rows, header.windowEndMs, header.windowEndMs)
    return { batch: this.#batch, opinions: this.#opinions }
  }

  /**
   * By row of the table, the end of the first window from which on `past` knows it, Unix ms; +Infinity for those that nobody
   * has told of in the present life of their scorer.
   */
  knownSinceMs(): Float64Array {
    const out = new Float64Array(this.#series.capacity).fill(Number.POSITIVE_INFINITY)
    for (const { row, sinceMs } of this.#slots.values()) {
      for (let slot = 0; slot < row.length; slot++)
        if (row[slot] > 0 && sinceMs[slot] < out[row[slot] - 1]) out[row[slot] - 1] = sinceMs[slot]
    }
    return out
  }

  bytes(): number {
    let sum = this.#holders.byteLength
    for (const { row } of this.#slots.values()) sum += 20 * row.length
    return sum
  }

  snapshot(): Snapshot[] {
    const keys = this.#series.keys()
    const columns = {
      partition: new Uint32Array(keys.length),
      slot: new Uint32Array(keys.length),
      high: new Uint32Array(keys.length),
      low: new Uint32Array(keys.length),
      former: new Uint32Array(keys.length),
      sinceMs: new Float64Array(keys.length),
    }
    const epochs: [number, number, number][] = []
    for (const [partition, { epoch, windows, former, row, high, low, sinceMs }] of this.#slots) {
      epochs.push([partition, epoch, windows])
      for (const at of former) columns.former[at] = partition + 1
      for (let slot = 0; slot < row.length; slot++) {
        if (row[slot] === 0) continue
        const at = row[slot] - 1
        columns.partition[at] = partition + 1
        columns.slot[at] = slot
        columns.high[at] = high[slot]
        columns.low[at] = low[slot]
        columns.sinceMs[at] = sinceMs[slot]
      }
    }
    return [{ id: 'window-reader', version: 1, keys, columns, meta: { epochs } }]
  }

  restore(parts: readonly Snapshot[]): void {
    const from = parts.find(part => part.id === 'window-reader')
    if (!from) return
    const { partition, slot, high, low, former } = from.columns
    const isWhole = [partition, slot, high, low, former].every(
      column => column instanceof Uint32Array && column.length === from.keys.length,
    )
    if (from.version !== 1 || !isWhole)
      throw new ForeshockError('FS_SNAPSHOT_INVALID', `window-reader v${from.version} cannot be read`)
    // Absent in snapshots of before it was kept: since ever, as far as anybody knows.
    const sinceMs = from.columns.sinceMs ?? new Float64Array(from.keys.length).fill(Number.NEGATIVE_INFINITY)
    const { epochs } = from.meta as { readonly epochs: readonly (readonly [number, number, number])[] }
    for (const [samplesPartition, epoch, windows] of epochs)
      this.#slotsOf(samplesPartition, epoch).windows = windows
    for (let i = 0; i < from.keys.length; i++) {
      const row = this.#series.row(from.keys[i])
      if (row < 0) continue
      const slots = this.#slots.get(partition[i] - 1)
      if (slots) this.#hold(slots, slot[i], row, high[i], low[i], sinceMs[i])
      const before = this.#slots.get(former[i] - 1)
      if (!before) continue
      before.former.push(row)
      this.#count(row)
    }
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
    const raw = this.#raw
    const said = this.#rawOpinions
    const scratch = this.#scratch
    let next = 0
    for (let i = 0; i < rows; i++) {
      next += from.varint()
      if (next > SLOTS_MAX) return 'a slot that cannot be'
      raw.series[i] = next++
    }
    readDoubles(from, raw.observed, rows, scratch)
    readSingles(from, raw.coverage, rows, scratch)
    for (const column of [said.expected, said.lower, said.upper]) readDoubles(from, column, rows, scratch)
    for (const column of [said.surprise, said.point, said.incident, said.score, said.evidence])
      readSingles(from, column, rows, scratch)
    readBytes(from, said.direction, rows, scratch)
    readBytes(from, said.strongest, rows, scratch)
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
    const slots = this.#slotsOf(header.samplesPartition, header.epoch)
    for (const slot of gone) this.#release(slots, slot)
    for (const entry of entries) this.#learn(slots, entry, sinceMs)
    const unknownRows = this.#translate(slots, rows, header.windowEndMs, Number.POSITIVE_INFINITY)
    const changes: AnomalyChange[] = []
    for (const change of read) {
      const row = (slots.row[change.slot] ?? 0) - 1
      if (row >= 0) changes.push(changeOfSeries(change, row, this.#series.meta(row)))
    }
    const unknown = unknownRows + read.length - changes.length
    if (header.last && ++slots.windows >= ROTATION && slots.former.length > 0) this.#giveUp(slots)
    return { ...header, batch: this.#batch, opinions: this.#opinions, changes, unknown }
  }

  /** Slots of another epoch are of another series each. */
  #slotsOf(samplesPartition: number, epoch: number): Slots {
    const known = this.#slots.get(samplesPartition)
    if (known?.epoch === epoch) return known
    const rows = new Set(known?.former)
    if (known) {
      for (const held of known.row) {
        if (held === 0) continue
        if (rows.has(held - 1)) this.#drop(held - 1)
        rows.add(held - 1)
      }
    }
    // In this order they are given up, whether this process was restarted in between or not.
    const former = [...rows].sort((a, b) => a - b)
    const none = new Uint32Array(0)
    const sinceMs = new Float64Array(0)
    const slots: Slots = { epoch, windows: 0, former, row: none, high: none, low: none, sinceMs }
    this.#slots.set(samplesPartition, slots)
    return slots
  }

  #giveUp(slots: Slots): void {
    for (const row of slots.former) this.#drop(row)
    slots.former.length = 0
  }

  #learn(slots: Slots, entry: Entry, sinceMs: number): void {
    const { slot, high, low, meta } = entry
    if (holds(slots, slot, high, low)) return
    this.#release(slots, slot)
    // Undefined only where the same part first took the slot away and then told what was known of it.
    const told = meta ?? described(entry.text)
    if (typeof told === 'string') return
    const row = this.#series.intern(told)
    if (row >= 0) this.#hold(slots, slot, row, high, low, sinceMs)
  }

  #hold(slots: Slots, slot: number, row: number, high: number, low: number, sinceMs: number): void {
    if (slots.row.length <= slot) {
      const length = Math.max(slot + 1, 2 * slots.row.length)
      slots.row = grown(slots.row, length)
      slots.high = grown(slots.high, length)
      slots.low = grown(slots.low, length)
      const since = new Float64Array(length)
      since.set(slots.sinceMs)
      slots.sinceMs = since
    }
    slots.row[slot] = row + 1
    slots.high[slot] = high
    slots.low[slot] = low
    slots.sinceMs[slot] = sinceMs
    this.#count(row)
  }

  #count(row: number): void {
    if (this.#holders.length <= row) {
      const larger = new Uint16Array(Math.max(row + 1, 2 * this.#holders.length))
      larger.set(this.#holders)
      this.#holders = larger
    }
    this.#holders[row]++
  }

  #release(slots: Slots, slot: number): void {
    const row = (slots.row[slot] ?? 0) - 1
    if (row < 0) return
    slots.row[slot] = 0
    this.#drop(row)
  }

  #drop(row: number): void {
    if (--this.#holders[row] === 0) this.#evict(row)
  }

  /**
   * Puts the rows whose series is known, and was known at `asOfMs`, in the order of the own table; how many are left out.
   */
  #translate(slots: Slots, rows: number, windowEndMs: number, asOfMs: number): number {
    const { series } = this.#raw
    const order = new Uint32Array(rows)
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
    if (!isSorted) used.sort((a, b) => series[a] - series[b])
    const length = isSorted ? kept : withoutTwins(series, used)
    gather(used, length, this.#raw, this.#rawOpinions, this.#batch, this.#opinions)
    this.#batch.windowEndMs.fill(windowEndMs, 0, length)
    this.#batch.length = length
    this.#opinions.length = length
    return rows - length
  }
}

function holds(slots: Slots, slot: number, high: number, low: number): boolean {
  return (
    slot < slots.row.length && slots.row[slot] > 0 && slots.high[slot] === high && slots.low[slot] === low
  )
}

function grown(column: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(length)
  larger.set(column)
  return larger
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
  batch: FeatureBatch,
  opinions: OpinionBatch,
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
