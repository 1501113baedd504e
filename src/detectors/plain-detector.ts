import { type FeatureBatch, type OpinionBatch, type ScoreBatch, scoreBatch } from '../core/batch.ts'
import type { RowTable } from '../core/columns.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import type { DetectorContext, DetectorVoice } from '../core/detector.ts'
import { ForeshockError } from '../core/errors.ts'
import type { SeriesRows } from '../core/series.ts'
import type { ColumnData, Snapshot } from '../core/snapshot.ts'
import { TINY_BLOCK, TINY_ROWS, TINY_SCRATCH_ROWS, TINY_SHIFT } from '../kernels/tiny.ts'
import type { EvidenceSource } from './deviation.ts'
import { KindClasses } from './kind-classes.ts'
import type { OpinionSource } from './opinion-source.ts'
import { PlainRows, type SavedRows } from './plain-rows.ts'
import { plainSegment, YOUNG_WINDOWS } from './plain-segment.ts'
import { PlainVoices, type SavedVoices, voicesKernel } from './plain-voices.ts'
import { DONE } from './runs.ts'
import { ScoredRows } from './scored-rows.ts'
import { convertRow, type SlotRow } from './slot-convert.ts'
import { phaseOf, type SlotRates, shapeRing, slotRates, TINY_PROFILE } from './slot-profile.ts'
import { decodeShape } from './slot-shapes.ts'

const ID = 'plain@1'
const VERSION = 1

/** Windows that `recent` can give back at most: as many as the ring of shapes holds. */
export const RECENT_WINDOWS = shapeRing(TINY_PROFILE)

interface Saved extends SavedRows {
  readonly zone: string
  /** End of the window learned last, Unix ms. */
  readonly windowEndMs: number | null
  /** Names of the classes that each voice's pools are of. */
  readonly classes: SavedVoices['classes']
}

/**
 * What every series has that is not rich: the daily shape of `tiny@1`, in WebAssembly, and calibrations pooled by kind of
 * metric, which is fair since evidence is in units of the series' own usual loudest hour. State lies under the rows of the
 * series table. A series of less than a day is watched by how far it is from its level. As in a profile, every window
 * teaches at full weight: updates are clipped by themselves.
 */
export class PlainDetector implements OpinionSource, EvidenceSource {
  readonly id = ID
  readonly width = 0
  readonly warmUpWindows = YOUNG_WINDOWS
  readonly voices: readonly DetectorVoice[] = [
    { column: 'score', feeds: ['surprise', 'point'], calibrated: true },
    { column: 'point', feeds: ['surprise', 'point'], calibrated: true },
    { column: 'incident', feeds: ['surprise', 'incident'], calibrated: true },
  ]
  /**
   * By row of the batch scored last: how far in the bad direction, in units of what is usual. Of a young series that is its distance
   * over what 97 of 100 windows of its kind stay below, later the point evidence, which is over its own usual loudest.
   */
  evidence = new Float32Array(0)
  readonly #context: DetectorContext
  readonly #rates: SlotRates
  readonly #rows: PlainRows
  readonly #classes: KindClasses
  readonly #voices: PlainVoices
  /** Where rows that were scored and not yet learned have their place in the kernels' scratch. */
  readonly #scored = new ScoredRows(0)
  #spare: ScoreBatch | undefined
  /** The window that is worked at: its number since 1970 and its place in the day, by the clocks of people. */
  #window = 0
  #phase = 0
  #learnedMs = Number.NaN
  #held = 0

  /** `segment` makes the place where rows live, `kernel` fuses what they say: in WebAssembly where it can be had. */
  constructor(context: DetectorContext, segment = plainSegment, kernel = voicesKernel) {
    this.#context = context
    this.#rates = slotRates(TINY_PROFILE, context.stepMs)
    this.#rows = new PlainRows(this.#rates, segment)
    this.#classes = new KindClasses(context.series, context.direction)
    this.#voices = new PlainVoices(this.#classes, kernel())
  }

  score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    this.#scoreAt(batch, out, this.#scored.begin(batch))
    return DONE
  }

  #scoreAt(batch: FeatureBatch, out: ScoreBatch, offset: number): void {
    const { length, series } = batch
    out.length = length
    if (length === 0) return
    this.#enter(batch)
    if (this.evidence.length < length) this.evidence = new Float32Array(batch.capacity)
    const { first, second, third, expected, evidence } = this.#voices.batch
    for (let from = 0, to = 0; from < length; from = to) {
      to = blockEnd(series, from, length)
      const count = to - from
      this.#work(batch, from, to, offset + from)
      copy(first, count, out.score, from)
      copy(second, count, out.point, from)
      copy(third, count, out.incident, from)
      copy(expected, count, out.expected, from)
      copy(evidence, count, this.evidence, from)
      this.#copyBand(series[from], count, out, from)
    }
  }

  opine(block: FeatureBatch, out: OpinionBatch, at: number, heard: readonly Float32Array[]): void {
    const { length, series } = block
    const offset = this.#scored.begin(block)
    if (length === 0) return
    this.#enter(block)
    const said = this.#voices.batch
    for (let from = 0, to = 0; from < length; from = to) {
      to = blockEnd(series, from, length)
      const count = to - from
      const place = at + from
      this.#work(block, from, to, offset + from)
      copy(said.first, count, heard[0], place)
      copy(said.second, count, heard[1], place)
      copy(said.third, count, heard[2], place)
      copy(said.surprise, count, out.surprise, place)
      copy(said.point, count, out.point, place)
      copy(said.incident, count, out.incident, place)
      copy(said.score, count, out.score, place)
      copy(said.evidence, count, out.evidence, place)
      copy(said.direction, count, out.direction, place)
      copy(said.expected, count, out.expected, place)
      this.#copyBand(series[from], count, out, place)
    }
    out.strongest.fill(0, at, at + length)
  }

  /** Scores rows from..to, which are of one segment, and leaves what is said of them in the block of the voices. */
  #work({ series, observed }: FeatureBatch, from: number, to: number, place: number): void {
    const voices = this.#voices
    const { value, expected, first, second, third, kind } = voices.batch
    const rows = series.subarray(from, to)
    const values = observed.subarray(from, to)
    const length = to - from
    value.set(values)
    this.#classes.fill(rows, length, kind)
    const segment = this.#rows.segments[series[from] >> TINY_SHIFT]
    if (segment === undefined) {
      for (const column of [expected, first, second, third]) column.fill(Number.NaN, 0, length)
    } else {
      const said = segment.batch
      said.row.set(rows)
      said.value.set(values)
      segment.score(length, scratchPlace(place), this.#window, this.#phase)
      copy(said.young, length, first, 0)
      copy(said.point, length, second, 0)
      copy(said.incident, length, third, 0)
      copy(said.expected, length, expected, 0)
    }
    voices.opine(length, scratchPlace(place))
  }

  #copyBand(row: number, count: number, out: Pick<ScoreBatch, 'lower' | 'upper'>, to: number): void {
    const said = this.#rows.segments[row >> TINY_SHIFT]?.batch
    if (said === undefined) {
      out.lower.fill(Number.NaN, to, to + count)
      out.upper.fill(Number.NaN, to, to + count)
      return
    }
    copy(said.lower, count, out.lower, to)
    copy(said.upper, count, out.upper, to)
  }

  learn(batch: FeatureBatch, weight: Float32Array): void {
    const { length, series, observed } = batch
    if (length === 0) return
    let offset = this.#scored.take(batch)
    const isScored = offset >= 0
    if (!isScored) {
      // Only what was said can be counted.
      offset = this.#scored.begin(batch)
      this.#spare = this.#spare && this.#spare.capacity >= length ? this.#spare : scoreBatch(batch.capacity)
      this.#scoreAt(batch, this.#spare, offset)
    } else this.#enter(batch)
    this.#beginWindow(batch.windowEndMs[0])
    for (let from = 0, to = 0; from < length; from = to) {
      to = blockEnd(series, from, length)
      const place = offset + from
      // What had no room of its own in the scratch was written over.
      if (offset + length > TINY_SCRATCH_ROWS) this.#work(batch, from, to, place)
      this.#voices.batch.weight.set(weight.subarray(from, to))
      this.#voices.count(to - from, scratchPlace(place))
      const segment = this.#rows.use(series[from], series[to - 1])
      const given = segment.batch
      given.row.set(series.subarray(from, to))
      given.value.set(observed.subarray(from, to))
      given.weight.fill(1, 0, to - from)
      this.#held += segment.learn(to - from, scratchPlace(place), true, this.#window, this.#phase)
    }
    if (!isScored) this.#scored.clear()
  }

  #beginWindow(windowEndMs: number): void {
    if (windowEndMs === this.#learnedMs) return
    const elapsedMs = Number.isNaN(this.#learnedMs) ? 0 : Math.max(0, windowEndMs - this.#learnedMs)
    this.#voices.begin(elapsedMs)
    this.#learnedMs = windowEndMs
  }

  /**
   * Number and phase of the batch's window. Profiles are given local times: see profile-member.ts. Pools hear of a window when
   * one after it is looked at: until then some of its rows may have to be scored yet.
   */
  #enter(batch: FeatureBatch): void {
    if (batch.windowEndMs[0] !== this.#learnedMs) this.#voices.end()
    const { stepMs, localTime } = this.#context
    const utcMs = batch.windowEndMs[0] - stepMs
    const startMs = localTime === undefined || localTime.isUtc ? utcMs : utcMs + localTime.offsetMs(utcMs)
    this.#window = Math.floor(startMs / stepMs)
    this.#phase = phaseOf(startMs, stepMs, this.#rates.day)
  }

  /** The state of a series where it lies, for another's `importRow`; undefined when nothing was learned of it. */
  exportRow(series: number): SlotRow | undefined {
    return this.#rows.at(series)
  }

  /** Takes a series in with what was learned of it elsewhere, in whatever profile. */
  importRow(series: number, from: SlotRow): void {
    this.#scored.clear()
    if (!this.#rows.forget(series)) this.#held++
    convertRow(from, this.#rows.place(series), this.#context.stepMs)
  }

  /**
   * The last windows of a series that had a value, oldest first, as many as the ring of shapes holds and `out` has room for;
   * returns how many. The last is exact; the others are decoded: codes are
   * two per cent apart, and mean and spread have moved on since, which of a series of some hundred windows is a few more.
   */
  recent(series: number, out: Float64Array): number {
    const row = this.exportRow(series)
    if (row === undefined) return 0
    const { chunk, at } = row
    const n = chunk.n[at]
    const count = Math.min(n, RECENT_WINDOWS, out.length)
    const unit = chunk.shapeDev[at] + 1e-6 * Math.abs(chunk.shapeMean[at]) + 1e-12
    for (let back = 2; back <= count; back++) {
      const code = chunk.shapes[at * RECENT_WINDOWS + ((n - back) % RECENT_WINDOWS)]
      out[count - back] = chunk.shapeMean[at] + unit * decodeShape(TINY_PROFILE, code)
    }
    if (count > 0) out[count - 1] = chunk.previous[at]
    return count
  }

  forget(series: number): void {
    this.#scored.clear()
    this.#classes.forget(series)
    if (!this.#rows.forget(series) || --this.#held > 0) return
    // What pools have counted of series that are all gone says nothing about others.
    this.#voices.clear()
    this.#learnedMs = Number.NaN
  }

  /** Windows learned of a series. */
  learned(series: number): number {
    const row = this.#rows.at(series)
    return row ? row.chunk.n[row.at] : 0
  }

  /** Series held. */
  counts(): Readonly<Record<string, number>> {
    return { series: this.#held }
  }

  /** The rows in use, a column a field, and the pools. */
  snapshot(): Snapshot {
    const { series } = this.#context
    const { saved, columns } = this.#rows.snapshot(series.capacity)
    const { meta, pools } = this.#beside(saved)
    return { id: ID, version: VERSION, keys: series.keys(), columns: { ...columns, ...pools }, meta }
  }

  cut(cut: Cut): CutSnapshot {
    const series: RowTable & SeriesRows = this.#context.series
    const { saved, columns } = this.#rows.cut(cut, series.capacity)
    const { meta, pools } = this.#beside(saved)
    const rows = series.seriesRows?.().subarray(0, saved.rows) ?? saved.rows
    return { id: ID, version: VERSION, keys: [], rows, columns: { ...columns, ...pools }, meta }
  }

  /** What is saved beside the rows. */
  #beside(saved: SavedRows): { readonly meta: Saved; readonly pools: Record<string, ColumnData> } {
    const { classes, columns: pools } = this.#voices.saved()
    const windowEndMs = Number.isNaN(this.#learnedMs) ? null : this.#learnedMs
    return { meta: { ...saved, zone: this.#zone, windowEndMs, classes }, pools }
  }

  get #zone(): string {
    return this.#context.localTime?.zone ?? 'UTC'
  }

  /** A shape of the day on other clocks is of no use: it is learned anew. */
  restore(from: Snapshot): void {
    const saved = from.meta as Saved | null
    if (from.id !== ID || from.version !== VERSION || !Array.isArray(saved?.classes?.point))
      throw new ForeshockError(
        'FS_SNAPSHOT_INVALID',
        `expected ${ID} v${VERSION}, got ${from.id} v${from.version}`,
      )
    if (saved.zone !== this.#zone) return
    this.#scored.clear()
    const wrong = this.#voices.restore({ classes: saved.classes, columns: from.columns })
    if (wrong)
      throw new ForeshockError('FS_SNAPSHOT_INVALID', `${ID}: pools of ${wrong} are of another shape`)
    this.#held = this.#rows.restore(from, saved, this.#context.series)
    this.#learnedMs = saved.windowEndMs ?? Number.NaN
  }

  bytes(): number {
    return this.#rows.bytes() + this.#classes.bytes() + this.#scored.bytes() + this.#voices.bytes()
  }

  async close(): Promise<void> {}
}

/** End of the rows from `from` that lie in one segment and fit in a block. */
function blockEnd(series: Uint32Array, from: number, length: number): number {
  let to = Math.min(length, from + TINY_BLOCK)
  const end = ((series[from] >> TINY_SHIFT) + 1) * TINY_ROWS
  while (series[to - 1] >= end) to--
  return to
}

/** Where in the kernel's scratch a block goes; one that has no room is put where it is found again by its rows, or not at all. */
function scratchPlace(place: number): number {
  return place + TINY_BLOCK <= TINY_SCRATCH_ROWS ? place : 0
}

function copy<T extends Float32Array | Float64Array | Int8Array>(
  from: T,
  length: number,
  to: T,
  at: number,
): void {
  to.set((length === from.length ? from : from.subarray(0, length)) as never, at)
}
