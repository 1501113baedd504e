import { ForeshockError } from '../core/errors.ts'
import type { SeriesMeta, SeriesTable } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { ROTATION } from './window-report.ts'
import { described } from './window-report-entries.ts'

/** A line of a report's dictionary: what a slot holds from now on. */
export interface Entry {
  readonly slot: number
  /** The 64 bits of its key's hash. */
  readonly high: number
  readonly low: number
  readonly text: Uint8Array
  /** Undefined where the slot is known to hold it. */
  readonly meta: SeriesMeta | undefined
}

/** What slots of one samples partition hold, as far as it is known. */
export interface Slots {
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

/**
 * What the slots of all samples partitions hold, as rows of one series table. A row is given up when no slot says any more
 * that it holds it.
 */
export class WindowSlots {
  readonly #series: SeriesTable
  readonly #evict: (row: number) => void
  readonly #byPartition = new Map<number, Slots>()
  /** How many slots say that they hold a row. */
  #holders = new Uint16Array(0)

  /** `evict`: a series is no more; everybody is to forget its row, and then the table. */
  constructor(series: SeriesTable, evict: (row: number) => void) {
    this.#series = series
    this.#evict = evict
  }

  /** Those of a samples partition, of whatever epoch. */
  get(samplesPartition: number): Slots | undefined {
    return this.#byPartition.get(samplesPartition)
  }

  /** Slots of another epoch are of another series each. */
  of(samplesPartition: number, epoch: number): Slots {
    const known = this.#byPartition.get(samplesPartition)
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
    this.#byPartition.set(samplesPartition, slots)
    return slots
  }

  /** A window of a partition was read to its end; what its former epoch had is given up in time. */
  endWindow(slots: Slots): void {
    if (++slots.windows < ROTATION) return
    for (const row of slots.former) this.#drop(row)
    slots.former.length = 0
  }

  /** A slot holds what an entry describes. */
  learn(slots: Slots, entry: Entry, sinceMs: number): void {
    const { slot, high, low, meta } = entry
    if (holds(slots, slot, high, low)) return
    this.release(slots, slot)
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

  /** A slot holds nothing any more. */
  release(slots: Slots, slot: number): void {
    const row = (slots.row[slot] ?? 0) - 1
    if (row < 0) return
    slots.row[slot] = 0
    this.#drop(row)
  }

  #drop(row: number): void {
    if (--this.#holders[row] === 0) this.#evict(row)
  }

  /**
   * By row of the table, the end of the first window from which on `past` knows it, Unix ms; +Infinity for those that nobody
   * has told of in the present life of their scorer.
   */
  knownSinceMs(): Float64Array {
    const out = new Float64Array(this.#series.capacity).fill(Number.POSITIVE_INFINITY)
    for (const { row, sinceMs } of this.#byPartition.values()) {
      for (let slot = 0; slot < row.length; slot++)
        if (row[slot] > 0 && sinceMs[slot] < out[row[slot] - 1]) out[row[slot] - 1] = sinceMs[slot]
    }
    return out
  }

  bytes(): number {
    let sum = this.#holders.byteLength
    for (const { row } of this.#byPartition.values()) sum += 20 * row.length
    return sum
  }

  snapshot(): Snapshot {
    const keys = this.#series.keys()
    const columns = {
      partition: new Uint32Array(keys.length),
      slot: new Uint32Array(keys.length),
      high: new Uint32Array(keys.length),
      low: new Uint32Array(keys.length),
      former: new Uint32Array(keys.length),
      sinceMs: new Float64Array(keys.length),
    }
    const meta: SavedMeta & { others: Other[]; formers: Former[] } = { epochs: [], others: [], formers: [] }
    for (const [partition, { epoch, windows, former, row, high, low, sinceMs }] of this.#byPartition) {
      meta.epochs.push([partition, epoch, windows])
      for (const at of former) {
        if (columns.former[at] > 0) meta.formers.push([at, partition])
        else columns.former[at] = partition + 1
      }
      for (let slot = 0; slot < row.length; slot++) {
        if (row[slot] === 0) continue
        const at = row[slot] - 1
        if (columns.partition[at] > 0) {
          meta.others.push([at, partition, slot, high[slot], low[slot], sinceMs[slot]])
          continue
        }
        columns.partition[at] = partition + 1
        columns.slot[at] = slot
        columns.high[at] = high[slot]
        columns.low[at] = low[slot]
        columns.sinceMs[at] = sinceMs[slot]
      }
    }
    return { id: 'window-reader', version: 1, keys, columns, meta }
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
    const { epochs, others = [], formers = [] } = from.meta as SavedMeta
    for (const [samplesPartition, epoch, windows] of epochs)
      this.of(samplesPartition, epoch).windows = windows
    const hold = ([at, samplesPartition, ...held]: Other) => {
      const [row, slots] = [this.#series.row(from.keys[at]), this.#byPartition.get(samplesPartition)]
      const [slot, high, low, sinceMs] = held
      if (row >= 0 && slots) this.#hold(slots, slot, row, high, low, sinceMs ?? Number.NEGATIVE_INFINITY)
    }
    const holdFormer = ([at, samplesPartition]: Former) => {
      const [row, slots] = [this.#series.row(from.keys[at]), this.#byPartition.get(samplesPartition)]
      if (row < 0 || !slots) return
      slots.former.push(row)
      this.#count(row)
    }
    for (let i = 0; i < from.keys.length; i++) {
      if (partition[i] > 0) hold([i, partition[i] - 1, slot[i], high[i], low[i], sinceMs[i]])
      if (former[i] > 0) holdFormer([i, former[i] - 1])
    }
    for (const other of others) hold(other)
    for (const one of formers) holdFormer(one)
    for (const { former } of this.#byPartition.values()) former.sort((a, b) => a - b)
  }
}

/** A further slot that holds a row: which row, samples partition and slot; hash of the key, since when (null: since ever). */
type Other = readonly [number, number, number, number, number, number | null]
/** A further samples partition whose former epoch had a row. */
type Former = readonly [row: number, samplesPartition: number]

/** Of a row that several hold, as one does whose entity has moved to another samples partition, the columns say the first. */
interface SavedMeta {
  readonly epochs: (readonly [samplesPartition: number, epoch: number, windows: number])[]
  readonly others?: readonly Other[]
  readonly formers?: readonly Former[]
}

export function holds(slots: Slots, slot: number, high: number, low: number): boolean {
  return (
    slot < slots.row.length && slots.row[slot] > 0 && slots.high[slot] === high && slots.low[slot] === low
  )
}

function grown(column: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(length)
  larger.set(column)
  return larger
}
