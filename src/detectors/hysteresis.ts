import type { Anomaly } from '../core/anomaly.ts'
import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT, type Chunk, ColumnStore } from '../core/columns.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import type { Detector, DetectorContext } from '../core/detector.ts'
import type { SeriesMeta } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { AnomalyChange } from '../core/stages.ts'
import type { AlertPolicy } from './alert-policy.ts'
import type { EnsembleOptions } from './ensemble-options.ts'
import { type HeardVoice, type Hearing, momentOf } from './hearing.ts'
import { matters, openAnomaly, strengthen } from './judge.ts'
import { isLive, nextAbove, nextLive, pageEnd, QuietPages } from './quiet-pages.ts'
import { type HeldAnomaly, type SavedAnomalies, ToldAnomalies } from './told-anomalies.ts'

const SPEC = {
  /** Last eight windows, newest in bit 0: 1 was hot. */
  hot: 'u8',
  calm: 'u8',
  /** Windows of rest left; UNTIL_CALM while a series that was told long enough goes on as it is. */
  rest: 'u16',
  open: 'u8',
} as const

const ID = 'hysteresis'
const VERSION = 2
const UNTIL_CALM = 65_535

/** What a hysteresis knows of one series. */
interface HeldJudgement extends HeldAnomaly {
  readonly columns: readonly [hot: number, calm: number, rest: number, open: number]
}

/** Opens when k of n windows are hot, tells when it grows, closes after m calm windows. */
export class Hysteresis {
  readonly id = ID
  readonly #options: EnsembleOptions
  readonly #context: DetectorContext
  readonly #store = new ColumnStore(SPEC)
  readonly #told: ToldAnomalies
  /** Most rows are of pages in which nothing goes on. */
  readonly #pages = new QuietPages()
  readonly #policy: AlertPolicy | undefined
  readonly #learned: (series: number) => number | undefined
  #flags = new Uint8Array(0)

  /** `learned`: windows learned of a series, where anybody counts them; `sparing`: of silence, see OpenRows. */
  constructor(
    options: EnsembleOptions,
    context: DetectorContext,
    policy?: AlertPolicy,
    learned: (series: number) => number | undefined = () => undefined,
    sparing = false,
  ) {
    this.#told = new ToldAnomalies(sparing, options.closeAfter, context.stepMs)
    this.#learned = learned
    this.#options = options
    this.#context = context
    this.#policy = policy
  }

  /** A page of rows at a time. */
  *judging(
    batch: FeatureBatch,
    opinions: OpinionBatch,
    voices: readonly HeardVoice[],
    detectors: readonly Detector[],
  ): Generator<void, AnomalyChange[]> {
    const { length, series } = batch
    const changes = this.#told.takeOrphans()
    if (length === 0) return changes
    this.#store.ensure(series[length - 1] + 1)
    const hearing = { batch, opinions, voices, detectors }
    for (let from = 0, to = 0; from < length; from = to) {
      to = pageEnd(series, from, length)
      const isQuiet = this.#policy === undefined && this.#pages.isQuiet(series[from], this.#store.chunks)
      if (!isQuiet || nextAbove(opinions.point, opinions.incident, this.#options.openAt, from, to) < to)
        this.#judgeRows(hearing, from, to, changes)
      yield
    }
    return changes
  }

  /** Rows from..to, which are of one page. */
  #judgeRows(hearing: Hearing, from: number, to: number, changes: AnomalyChange[]): void {
    const { series } = hearing.batch
    const { point, incident } = hearing.opinions
    const policy = this.#policy
    const chunk = this.#store.chunks[series[from] >> CHUNK_SHIFT]
    const least = policy ? Number.NEGATIVE_INFINITY : this.#options.openAt
    for (let i = from; i < to; i++) {
      i = nextLive(series, chunk, point, incident, least, i, to)
      if (i === to) return
      const surprise = incident[i] > point[i] || Number.isNaN(point[i]) ? incident[i] : point[i]
      if (policy && !(surprise >= policy.openAt(series[i])) && !isLive(chunk, series[i])) continue
      this.#pages.touch(series[i])
      this.#judgeRow(hearing, i, surprise, changes)
    }
  }

  /** A row that is hot, was lately, rests or is open. */
  #judgeRow(hearing: Hearing, i: number, surprise: number, changes: AnomalyChange[]): void {
    const { batch, opinions, detectors } = hearing
    const series = batch.series[i]
    const policy = this.#policy
    const { openAt, closeAt } = policy
      ? { openAt: policy.openAt(series), closeAt: policy.closeAt(series) }
      : this.#options
    const chunk = this.#store.writable(series >> CHUNK_SHIFT)
    const row = series & CHUNK_MASK
    const isHeard = policy === undefined || policy.hears(series)
    const isAbove = isHeard && surprise >= openAt
    const isSilent = Number.isNaN(batch.observed[i])
    const stuck = detectors[opinions.strongest[i]].id.startsWith('absence@') && !isSilent
    const isHot = isAbove && this.#counts(batch, opinions, i, stuck)
    chunk.hot[row] = (chunk.hot[row] << 1) | (isHot ? 1 : 0)
    if (chunk.open[row] === 1) {
      chunk.calm[row] = isHeard && surprise >= closeAt ? 0 : chunk.calm[row] + 1
      const change = this.#follow(hearing, i, { surprise, stuck, isHot, calm: chunk.calm[row] })
      if (change) changes.push(change)
      if (change?.event === 'closed') this.#close(chunk, row, change.anomaly)
      return
    }
    const opens = isHot && this.#enough(chunk.hot[row]) && this.#told.hasRoom
    if (
      chunk.rest[row] > 0 &&
      !(opens && this.#told.isLouder(series, surprise, batch.observed[i] - opinions.expected[i]))
    ) {
      // Windows of silence that is not told say nothing about the values that come after it.
      if (this.#told.sparing && isSilent) chunk.hot[row] = 0
      this.#rest(chunk, row, surprise >= closeAt)
      if (chunk.rest[row] === 0) this.#told.rested(series)
    } else if (opens) {
      const meta = this.#metaOf(series)
      if (isSilent && !this.#told.hasRoomForSilence(meta)) {
        chunk.rest[row] = UNTIL_CALM
        return
      }
      const moment = momentOf(hearing, i, { surprise, stuck, learned: this.#learned(series) })
      const anomaly = openAnomaly(meta, this.#onset(batch.windowEndMs[i], chunk.hot[row]), moment)
      this.#told.open(series, anomaly)
      chunk.rest[row] = 0
      chunk.open[row] = 1
      chunk.calm[row] = 0
      changes.push({ event: 'opened', anomaly })
      policy?.opened(anomaly)
    }
  }

  /** One more window of a series with an open anomaly. */
  #follow(
    hearing: Hearing,
    i: number,
    { surprise, stuck, isHot, calm }: { surprise: number; stuck: boolean; isHot: boolean; calm: number },
  ): AnomalyChange | undefined {
    const { series, windowEndMs, observed } = hearing.batch
    const row = series[i]
    const window = { endMs: windowEndMs[i], isSilent: Number.isNaN(observed[i]), surprise, isHot, calm }
    return this.#told.follow(row, window, anomaly => {
      const moment = momentOf(hearing, i, { surprise, stuck, learned: this.#learned(row) })
      return strengthen(anomaly, this.#metaOf(row), moment)
    })
  }

  /** What is over rests; what was told for so long that it is the new usual rests until it is calm. */
  #close(chunk: Chunk<typeof SPEC>, row: number, anomaly: Anomaly): void {
    const { series } = anomaly
    const isOver = chunk.calm[row] > 0
    chunk.open[row] = 0
    chunk.hot[row] = 0
    chunk.calm[row] = 0
    const windows = this.#policy ? this.#policy.refractory(series) : this.#options.refractory
    chunk.rest[row] = isOver ? Math.min(windows, UNTIL_CALM - 1) : UNTIL_CALM
    if (chunk.rest[row] > 0) this.#told.rest(series, anomaly)
    this.#policy?.closed(anomaly)
  }

  /** One window of rest. What was told for long enough rests until it has been calm as long as a close takes. */
  #rest(chunk: Chunk<typeof SPEC>, row: number, isStrange: boolean): void {
    if (chunk.rest[row] !== UNTIL_CALM) chunk.rest[row]--
    else if (isStrange) chunk.calm[row] = 0
    else if (++chunk.calm[row] >= this.#options.closeAfter) {
      chunk.calm[row] = 0
      chunk.rest[row] = 0
    }
  }

  /** What is known of a series, with the direction that rules give it. */
  #metaOf(series: number): SeriesMeta {
    const meta = this.#context.series.meta(series)
    const bad = this.#policy?.direction(series)
    return bad === undefined ? meta : { ...meta, bad }
  }

  /** A hot window counts when the value is gone or stuck, or the move is one that somebody would care about. */
  #counts(batch: FeatureBatch, opinions: OpinionBatch, i: number, stuck: boolean): boolean {
    const observed = batch.observed[i]
    if (Number.isNaN(observed) || stuck) return true
    const series = batch.series[i]
    const expected = opinions.expected[i]
    const policy = this.#policy
    if (policy && !policy.counts(series, observed, expected)) return false
    if (policy?.hasFloor(series, observed > expected)) return true
    return matters(this.#context.series.meta(series), observed, expected)
  }

  #mask(): number {
    return (1 << this.#options.openWithin) - 1
  }

  #enough(bits: number): boolean {
    let left = bits & this.#mask()
    let count = 0
    for (; left !== 0; left &= left - 1) count++
    return count >= this.#options.openCount
  }

  /** Start of the earliest hot window among those that opened it. */
  #onset(windowEndMs: number, bits: number): number {
    const back = 31 - Math.clz32(bits & this.#mask())
    return windowEndMs - (back + 1) * this.#context.stepMs
  }

  /** 1 for each of the rows [begin, end) whose series has an open anomaly, at its place; valid until the next batch. */
  openFlags(batch: FeatureBatch, begin: number, end: number): Uint8Array {
    const { series, capacity } = batch
    if (this.#flags.length < capacity) this.#flags = new Uint8Array(capacity)
    const flags = this.#flags
    if (begin >= end) return flags
    this.#store.ensure(series[end - 1] + 1)
    const { chunks } = this.#store
    flags.fill(0, begin, end)
    for (let from = begin, to = 0; from < end; from = to) {
      to = pageEnd(series, from, end)
      if (this.#pages.isQuiet(series[from], chunks)) continue
      const { open } = chunks[series[from] >> CHUNK_SHIFT]
      for (let i = from; i < to; i++) flags[i] = open[series[i] & CHUNK_MASK]
    }
    return flags
  }

  anomalies(): readonly Anomaly[] {
    return this.#told.all()
  }

  forget(series: number): void {
    const open = this.#told.forget(series)
    if (open) this.#policy?.closed(open)
    this.#store.clear(series)
  }

  /** What is known of a series, which is then forgotten here without a word to anybody: for `adopt`. */
  release(series: number): HeldJudgement {
    this.#store.ensure(series + 1)
    this.#store.touch(series)
    const { hot, calm, rest, open } = this.#store.chunks[series >> CHUNK_SHIFT]
    const at = series & CHUNK_MASK
    const columns = [hot[at], calm[at], rest[at], open[at]] as const
    this.#store.clear(series)
    return { columns, ...this.#told.release(series) }
  }

  /** Goes on with what another one knew of a series, under a row of here. */
  adopt(series: number, { columns, ...told }: HeldJudgement): void {
    this.#store.ensure(series + 1)
    this.#store.touch(series)
    const chunk = this.#store.chunks[series >> CHUNK_SHIFT]
    const at = series & CHUNK_MASK
    this.#pages.touch(series)
    ;[chunk.hot[at], chunk.calm[at], chunk.rest[at], chunk.open[at]] = columns
    this.#told.adopt(series, told)
  }

  /** Everything is calm and nothing is open, without a word to anybody. */
  letGo(): void {
    for (const anomaly of this.#told.all()) this.#policy?.closed(anomaly)
    this.#told.letGo()
    this.#store.touchAll()
    for (const { hot, calm, rest, open } of this.#store.chunks) {
      hot.fill(0)
      calm.fill(0)
      rest.fill(0)
      open.fill(0)
    }
  }

  snapshot(): Snapshot {
    const { series } = this.#context
    return this.#store.snapshot(ID, VERSION, series, this.#told.saved(series))
  }

  cut(cut: Cut): CutSnapshot {
    const { series } = this.#context
    return this.#store.cut(cut, ID, VERSION, series, this.#told.saved(series))
  }

  restore(from: Snapshot): void {
    const { series } = this.#context
    this.#store.restore(from.version === 1 ? upgraded(from) : from, ID, VERSION, series)
    this.#pages.touchAll(this.#store.rows)
    this.#told.restore(from.meta as SavedAnomalies, series)
  }

  bytes(): number {
    return this.#store.bytes() + this.#pages.bytes() + this.#told.bytes()
  }
}

/** Version 1 counted rest in bytes. */
function upgraded(from: Snapshot): Snapshot {
  const { rest } = from.columns
  if (!(rest instanceof Uint8Array)) return from
  return { ...from, version: VERSION, columns: { ...from.columns, rest: Uint16Array.from(rest) } }
}
