import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import { ByteWriter } from '../core/byte-writer.ts'
import type { SeriesMeta } from '../core/series.ts'
import type { AnomalyChange } from '../core/stages.ts'
import { hashText } from '../math/hash.ts'
import { PART_BYTES, PART_ROWS, type WindowHeader, writeHeader } from './window-report.ts'
import { type ToldRows, writeBytes, writeDoubles, writeSingles } from './window-report-column-writer.ts'
import { columnScratch } from './window-report-columns.ts'
import { CHANGE_BYTES, describe, writeChange } from './window-report-entries.ts'

/** Bytes of a row at most: its slot and columns. */
const ROW_BYTES = 64
/** Bytes of an entry of the dictionary beside the description, about. */
const ENTRY_BYTES = 16
/** Bytes of a slot that is gone, about. */
const GONE_BYTES = 5
/** Bytes of the header and all counts, about. */
const HEAD_BYTES = 64
/** Where hashing of keys begins, for reader and writer alike. */
const KEY_SEED = 0x666f7265

/** A part of a window report as it is put together; memory that is used again for the next one. */
export class PartDraft {
  readonly #out = new ByteWriter(65_536)
  readonly #entries = new ByteWriter(65_536)
  readonly #scratch = columnScratch(PART_ROWS)
  readonly #gaps = new Uint32Array(PART_ROWS)
  readonly #hash = new Int32Array(2)
  #described = 0
  #gone: readonly number[] = []
  #changes: AnomalyChange[] = []
  /** Without rows, about. */
  #bytes = 0

  /** `gone`: slots that hold their series no more. */
  begin(gone: readonly number[]): void {
    this.#entries.clear()
    this.#described = 0
    this.#gone = gone
    this.#changes = []
    this.#bytes = HEAD_BYTES + GONE_BYTES * gone.length
  }

  /** Whether it says anything beside its rows. */
  get isEmpty(): boolean {
    return this.#gone.length === 0 && this.#changes.length === 0
  }

  /** Rows that it has room for. */
  get rowsMax(): number {
    return Math.min(PART_ROWS, Math.ceil((PART_BYTES - this.#bytes) / ROW_BYTES))
  }

  /** Whether nothing more goes into it beside so many rows. */
  isFull(rows: number): boolean {
    return this.#bytes + ROW_BYTES * rows >= PART_BYTES
  }

  /** Says what a slot holds; `hasOwnKey` as `SeriesTable.hasOwnKey`. */
  describe(slot: number, meta: SeriesMeta, hasOwnKey: boolean): void {
    const entries = this.#entries
    hashText(meta.key, KEY_SEED, this.#hash)
    entries.varint(slot)
    entries.varint(this.#hash[0] >>> 0)
    entries.varint(this.#hash[1] >>> 0)
    const length = entries.string(describe(meta, hasOwnKey))
    this.#described++
    this.#bytes += length + ENTRY_BYTES
  }

  change(change: AnomalyChange): void {
    this.#changes.push(change)
    this.#bytes += CHANGE_BYTES
  }

  /** Its bytes, with these rows of a batch. */
  take(header: WindowHeader, batch: FeatureBatch, opinions: OpinionBatch, rows: ToldRows): Uint8Array {
    const out = this.#out
    out.clear()
    writeHeader(out, header)
    out.varint(this.#gone.length)
    for (const slot of this.#gone) out.varint(slot)
    out.varint(this.#described)
    out.bytes(this.#entries.lend())
    this.#slots(batch.series, rows)
    this.#columns(batch, opinions, rows)
    out.varint(this.#changes.length)
    for (const change of this.#changes) writeChange(out, change)
    return out.take()
  }

  #slots(series: Uint32Array, { order, from, to }: ToldRows): void {
    const gaps = this.#gaps
    let next = 0
    for (let i = from; i < to; i++) {
      const slot = series[order[i]]
      gaps[i - from] = slot - next
      next = slot + 1
    }
    this.#out.varint(to - from)
    this.#out.varints(gaps, to - from)
  }

  #columns(batch: FeatureBatch, opinions: OpinionBatch, rows: ToldRows): void {
    const out = this.#out
    const scratch = this.#scratch
    const { expected, lower, upper, surprise, point, incident, score, evidence } = opinions
    writeDoubles(out, batch.observed, rows, scratch)
    writeSingles(out, batch.coverage, rows, scratch)
    for (const column of [expected, lower, upper]) writeDoubles(out, column, rows, scratch)
    for (const column of [surprise, point, incident, score, evidence])
      writeSingles(out, column, rows, scratch)
    writeBytes(out, opinions.direction, rows, scratch)
    writeBytes(out, opinions.strongest, rows, scratch)
  }
}
