import { type FeatureBatch, type ScoreBatch, scoreBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT } from '../core/columns.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import type { Detector, DetectorContext, DetectorVoice } from '../core/detector.ts'
import { ForeshockError } from '../core/errors.ts'
import type { ColumnData, Snapshot } from '../core/snapshot.ts'
import { TINY_BLOCK, TINY_ROWS, TINY_SCRATCH_ROWS, TINY_SHIFT } from '../kernels/tiny.ts'
import { EVIDENCE_MAX, type EvidenceSource } from './deviation.ts'
import { KindClasses } from './kind-classes.ts'
import { PlainRows, type SavedRows } from './plain-rows.ts'
import { plainSegment, YOUNG_WINDOWS } from './plain-segment.ts'
import { PooledCalibration } from './pooled-calibration.ts'
import { DONE, rowsNeeded } from './runs.ts'
import { ScoredRows } from './scored-rows.ts'
import { convertRow, type SlotRow } from './slot-convert.ts'
import { phaseOf, type SlotRates, shapeRing, slotRates, TINY_PROFILE } from './slot-profile.ts'
import { decodeShape } from './slot-shapes.ts'

const ID = 'plain@1'
const VERSION = 1
/** A move in the good direction is this much as strange, as in deviation@1. */
const GOOD_SHARE = 0.25
const VOICES = ['score', 'point', 'incident'] as const

/** Windows that `recent` can give back at most: as many as the ring of shapes holds. */
export const RECENT_WINDOWS = shapeRing(TINY_PROFILE)

interface Saved extends SavedRows {
  readonly zone: string
  /** End of the window learned last, Unix ms. */
  readonly windowEndMs: number | null
  /** Names of the classes that each voice's pools are of. */
  readonly classes: Readonly<Record<(typeof VOICES)[number], readonly string[]>>
}

/**
 * What every series has that is not rich: the daily shape of `tiny@1`, in WebAssembly, and calibrations pooled by kind of
 * metric, which is fair since evidence is in units of the series' own usual loudest hour. State lies under the rows of the
 * series table. A series of less than a day is watched by how far it is from its level. As in a profile, every window
 * teaches at full weight: updates are clipped by themselves.
 */
export class PlainDetector implements Detector, EvidenceSource {
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
  readonly #pools = {
    score: new PooledCalibration(),
    point: new PooledCalibration(),
    // The level shift in it is an average over 61 windows.
    incident: new PooledCalibration(30),
  }
  /** The bins of the three voices by row that was scored and not yet learned. */
  readonly #bins = new ScoredRows(VOICES.length)
  readonly #nameOf = (kind: number) => this.#classes.nameOf(kind)
  #kinds = new Uint8Array(0)
  #spare: ScoreBatch | undefined
  /** The window that is worked at: its number since 1970 and its place in the day, by the clocks of people. */
  #window = 0
  #phase = 0
  #learnedMs = Number.NaN
  #held = 0

  /** `segment` makes the place where rows live: the kernel where it can be had. */
  constructor(context: DetectorContext, segment = plainSegment) {
    this.#context = context
    this.#rates = slotRates(TINY_PROFILE, context.stepMs)
    this.#rows = new PlainRows(this.#rates, segment)
    this.#classes = new KindClasses(context.series, context.direction)
  }

  score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    this.#scoreAt(batch, out, this.#bins.begin(batch))
    return DONE
  }

  #scoreAt(batch: FeatureBatch, out: ScoreBatch, offset: number): void {
    const { length } = batch
    out.length = length
    if (length === 0) return
    this.#enter(batch)
    for (let from = 0; from < length; ) {
      const to = blockEnd(batch.series, from, length)
      this.#scoreBlock(batch, out, from, to, offset + from)
      from = to
    }
    this.#weighDirection(batch, out)
    for (const [v, name] of VOICES.entries()) {
      const at = offset * VOICES.length + v
      this.#pools[name].surprise(
        out[name],
        this.#kinds,
        length,
        this.#bins.values,
        at,
        VOICES.length,
        this.#nameOf,
      )
    }
  }

  #scoreBlock(batch: FeatureBatch, out: ScoreBatch, from: number, to: number, place: number): void {
    const segment = this.#rows.segments[batch.series[from] >> TINY_SHIFT]
    if (segment === undefined) {
      for (const column of [out.score, out.point, out.incident, out.expected, out.lower, out.upper])
        column.fill(Number.NaN, from, to)
      return
    }
    const said = segment.batch
    const length = to - from
    said.row.set(batch.series.subarray(from, to))
    said.value.set(batch.observed.subarray(from, to))
    segment.score(length, scratchPlace(place), this.#window, this.#phase)
    copy(said.young, length, out.score, from)
    copy(said.point, length, out.point, from)
    copy(said.incident, length, out.incident, from)
    copy(said.expected, length, out.expected, from)
    copy(said.lower, length, out.lower, from)
    copy(said.upper, length, out.upper, from)
  }

  /** A latency that falls is strange, but nobody's trouble. Notes the classes of the rows too, and their evidence. */
  #weighDirection(batch: FeatureBatch, out: ScoreBatch): void {
    const { length, observed } = batch
    this.#noteKinds(batch)
    const { bad } = this.#classes
    const { score, point, incident, expected } = out
    const kinds = this.#kinds
    if (this.evidence.length < length) this.evidence = new Float32Array(batch.capacity)
    const { evidence } = this
    for (let i = 0; i < length; i++) {
      const strength = Number.isNaN(score[i]) ? point[i] : score[i] / (1 + this.#pools.score.usual(kinds[i]))
      // `min`, not a choice: a choice between a number and a constant of another module puts the number on the heap.
      evidence[i] = strength > 0 ? Math.min(EVIDENCE_MAX, strength) : 0
      if (!((observed[i] - expected[i]) * bad[kinds[i]] < 0)) continue
      evidence[i] = 0
      score[i] *= GOOD_SHARE
      point[i] *= GOOD_SHARE
      incident[i] *= GOOD_SHARE
    }
  }

  #noteKinds({ length, capacity, series }: FeatureBatch): void {
    if (this.#kinds.length < length) this.#kinds = new Uint8Array(capacity)
    this.#classes.ensure(rowsNeeded(series, length))
    const { chunks } = this.#classes
    for (let i = 0; i < length; i++) {
      const known = chunks[series[i] >> CHUNK_SHIFT].of[series[i] & CHUNK_MASK]
      this.#kinds[i] = known === 0 ? this.#classes.classOf(series[i]) : known
    }
  }

  learn(batch: FeatureBatch, weight: Float32Array): void {
    const { length } = batch
    if (length === 0) return
    let offset = this.#bins.take(batch)
    const isScored = offset >= 0
    if (!isScored) {
      // Only what was said can be counted.
      offset = this.#bins.begin(batch)
      this.#spare = this.#spare && this.#spare.capacity >= length ? this.#spare : scoreBatch(batch.capacity)
      this.#scoreAt(batch, this.#spare, offset)
    } else this.#enter(batch)
    this.#foldBefore(batch.windowEndMs[0])
    for (const [v, name] of VOICES.entries()) {
      const at = offset * VOICES.length + v
      this.#pools[name].learn(length, this.#bins.values, at, VOICES.length, weight)
    }
    for (let from = 0; from < length; ) {
      const to = blockEnd(batch.series, from, length)
      const segment = this.#rows.use(batch.series[from], batch.series[to - 1])
      const given = segment.batch
      given.row.set(batch.series.subarray(from, to))
      given.value.set(batch.observed.subarray(from, to))
      given.weight.fill(1, 0, to - from)
      this.#held += segment.learn(to - from, scratchPlace(offset + from), true, this.#window, this.#phase)
      from = to
    }
    if (!isScored) this.#bins.clear()
  }

  #foldBefore(windowEndMs: number): void {
    if (windowEndMs === this.#learnedMs) return
    const elapsedMs = Number.isNaN(this.#learnedMs) ? 0 : Math.max(0, windowEndMs - this.#learnedMs)
    for (const name of VOICES) this.#pools[name].fold(elapsedMs)
    this.#learnedMs = windowEndMs
  }

  /** Number and phase of the batch's window. Profiles are given local times: see profile-member.ts. */
  #enter(batch: FeatureBatch): void {
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
    this.#bins.clear()
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
    this.#bins.clear()
    this.#classes.forget(series)
    if (!this.#rows.forget(series) || --this.#held > 0) return
    // What pools have counted of series that are all gone says nothing about others.
    for (const name of VOICES) this.#pools[name].clear()
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
    const { saved, columns } = this.#rows.cut(cut, this.#context.series.capacity)
    const { meta, pools } = this.#beside(saved)
    return { id: ID, version: VERSION, keys: [], rows: saved.rows, columns: { ...columns, ...pools }, meta }
  }

  /** What is saved beside the rows. */
  #beside(saved: SavedRows): { readonly meta: Saved; readonly pools: Record<string, ColumnData> } {
    const all: Record<string, ColumnData> = {}
    const classes = { score: [], point: [], incident: [] } as {
      -readonly [K in keyof Saved['classes']]: readonly string[]
    }
    for (const name of VOICES) {
      const pools = this.#pools[name].snapshot()
      classes[name] = pools.names
      for (const [field, column] of Object.entries(pools.columns)) all[`${name}.${field}`] = column
    }
    const windowEndMs = Number.isNaN(this.#learnedMs) ? null : this.#learnedMs
    return { meta: { ...saved, zone: this.#zone, windowEndMs, classes }, pools: all }
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
    this.#bins.clear()
    for (const name of VOICES) {
      const counts = from.columns[`${name}.counts`]
      const fresh = from.columns[`${name}.fresh`]
      if (!this.#pools[name].restore(saved.classes[name], { counts, fresh }))
        throw new ForeshockError('FS_SNAPSHOT_INVALID', `${ID}: pools of ${name} are of another shape`)
    }
    this.#held = this.#rows.restore(from, saved, this.#context.series)
    this.#learnedMs = saved.windowEndMs ?? Number.NaN
  }

  bytes(): number {
    const pools = VOICES.reduce((sum, name) => sum + this.#pools[name].bytes(), 0)
    return this.#rows.bytes() + this.#classes.bytes() + this.#bins.bytes() + pools
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

function copy<T extends Float32Array | Float64Array>(from: T, length: number, to: T, at: number): void {
  to.set((length === from.length ? from : from.subarray(0, length)) as never, at)
}
