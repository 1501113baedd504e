import type { Anomaly, DetectorShare } from '../core/anomaly.ts'
import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT, type Chunk, ColumnStore } from '../core/columns.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import type { Detector, DetectorContext } from '../core/detector.ts'
import type { SeriesMeta } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { AnomalyChange } from '../core/stages.ts'
import type { AlertPolicy } from './alert-policy.ts'
import type { EnsembleOptions } from './ensemble-options.ts'
import { shares } from './fusion.ts'
import { type Moment, matters, openAnomaly, strengthen } from './judge.ts'
import { type OpenRow, OpenRows } from './open-rows.ts'
import { isLive, nextAbove, nextLive, pageEnd, QuietPages } from './quiet-pages.ts'
import { isStronger } from './severity.ts'

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
/** An anomaly ends after this long, ms, and this many windows at least: what lasts is the new usual. */
const LONGEST_MS = 86_400_000
const LONGEST_WINDOWS_LEAST = 60
/** A resting series opens again at once when it is this much more surprising than what it rests from: a thousandfold rarer. */
const LOUDER_SURPRISE = 3
/** Or when its move is this many times as large: surprise is bounded, and a loud anomaly is near the bound. */
const LOUDER_MOVES = 3
/** An open anomaly is told again when it grew by this much surprise, or into a higher severity. */
const MATERIAL_SURPRISE = 1.5
/** Calm windows that close an absence once values are back. */
const RETURNED_WINDOWS = 2
/** Open anomalies held; beyond it new ones wait until others close. */
const OPEN_MAX = 100_000
/** A detector named in an anomaly has at least this share. */
const SHARE_LEAST = 0.02

/** What a hysteresis knows of one series. */
interface HeldJudgement {
  readonly columns: readonly [hot: number, calm: number, rest: number, open: number]
  readonly open: OpenRow | undefined
  readonly rested: readonly [surprise: number, move: number] | undefined
}

export interface HeardVoice {
  readonly detector: number
  readonly surprise: Float32Array
}

/** Opens when k of n windows are hot, tells when it grows, closes after m calm windows. */
export class Hysteresis {
  readonly id = ID
  readonly #options: EnsembleOptions
  readonly #context: DetectorContext
  readonly #store = new ColumnStore(SPEC)
  readonly #open: OpenRows
  /** Most rows are of pages in which nothing goes on. */
  readonly #pages = new QuietPages()
  /** Strongest surprise, and the move at it in the series' unit, of what each resting series rests from. */
  readonly #rested = new Map<number, readonly [surprise: number, move: number]>()
  readonly #policy: AlertPolicy | undefined
  readonly #longestMs: number
  readonly #learned: (series: number) => number | undefined
  /** Anomalies of forgotten series, to be told as closed. */
  #orphans: Anomaly[] = []
  #flags = new Uint8Array(0)

  /** `learned`: windows learned of a series, where anybody counts them; `sparing`: of silence, see OpenRows. */
  constructor(
    options: EnsembleOptions,
    context: DetectorContext,
    policy?: AlertPolicy,
    learned: (series: number) => number | undefined = () => undefined,
    sparing = false,
  ) {
    this.#open = new OpenRows(sparing)
    this.#learned = learned
    this.#options = options
    this.#context = context
    this.#policy = policy
    this.#longestMs = Math.max(LONGEST_MS, LONGEST_WINDOWS_LEAST * context.stepMs)
  }

  /** A page of rows at a time. */
  *judging(
    batch: FeatureBatch,
    opinions: OpinionBatch,
    voices: readonly HeardVoice[],
    detectors: readonly Detector[],
  ): Generator<void, AnomalyChange[]> {
    const { length, series } = batch
    const changes: AnomalyChange[] = this.#orphans.map(anomaly => ({
      event: 'closed',
      anomaly: { ...anomaly, status: 'closed' },
    }))
    this.#orphans = []
    if (length === 0) return changes
    this.#store.ensure(series[length - 1] + 1)
    for (let from = 0, to = 0; from < length; from = to) {
      to = pageEnd(series, from, length)
      const isQuiet = this.#policy === undefined && this.#pages.isQuiet(series[from], this.#store.chunks)
      if (!isQuiet || nextAbove(opinions.point, opinions.incident, this.#options.openAt, from, to) < to)
        this.#judgeRows(batch, opinions, voices, detectors, from, to, changes)
      yield
    }
    return changes
  }

  /** Rows from..to, which are of one page. */
  #judgeRows(
    batch: FeatureBatch,
    opinions: OpinionBatch,
    voices: readonly HeardVoice[],
    detectors: readonly Detector[],
    from: number,
    to: number,
    changes: AnomalyChange[],
  ): void {
    const { series } = batch
    const { point, incident } = opinions
    const policy = this.#policy
    const chunk = this.#store.chunks[series[from] >> CHUNK_SHIFT]
    const least = policy ? Number.NEGATIVE_INFINITY : this.#options.openAt
    for (let i = from; i < to; i++) {
      i = nextLive(series, chunk, point, incident, least, i, to)
      if (i === to) return
      const surprise = incident[i] > point[i] || Number.isNaN(point[i]) ? incident[i] : point[i]
      if (policy && !(surprise >= policy.openAt(series[i])) && !isLive(chunk, series[i])) continue
      this.#pages.touch(series[i])
      this.#judgeRow(batch, opinions, voices, detectors, i, surprise, changes)
    }
  }

  /** A row that is hot, was lately, rests or is open. Apart, since its closure would cost every row of the loop. */
  #judgeRow(
    batch: FeatureBatch,
    opinions: OpinionBatch,
    voices: readonly HeardVoice[],
    detectors: readonly Detector[],
    i: number,
    surprise: number,
    changes: AnomalyChange[],
  ): void {
    const { series } = batch
    const policy = this.#policy
    const { openAt, closeAt } = policy
      ? { openAt: policy.openAt(series[i]), closeAt: policy.closeAt(series[i]) }
      : this.#options
    const chunk = this.#store.writable(series[i] >> CHUNK_SHIFT)
    const row = series[i] & CHUNK_MASK
    const isHeard = policy === undefined || policy.hears(series[i])
    const above = isHeard && surprise >= openAt
    const stuck =
      detectors[opinions.strongest[i]].id.startsWith('absence@') && !Number.isNaN(batch.observed[i])
    const hot = above && this.#counts(batch, opinions, i, stuck)
    chunk.hot[row] = (chunk.hot[row] << 1) | (hot ? 1 : 0)
    const moment = (): Moment => {
      const heard = sharesOf(voices, detectors, i, series[i])
      // Only the first speaker has more to say: the others agree.
      const first = detectors.find(detector => nameOf(detector, series[i]) === heard[0]?.id)
      return {
        batch,
        opinions,
        at: i,
        surprise,
        stuck,
        learned: this.#learned(series[i]),
        detectors: heard,
        more: first?.why?.(series[i]) ?? [],
      }
    }
    if (chunk.open[row] === 1) {
      chunk.calm[row] = isHeard && surprise >= closeAt ? 0 : chunk.calm[row] + 1
      const change = this.#follow(series[i], hot, chunk.calm[row], moment)
      if (change) changes.push(change)
      if (change?.event !== 'closed') return
      const isOver = chunk.calm[row] > 0
      chunk.open[row] = 0
      chunk.hot[row] = 0
      chunk.calm[row] = 0
      const windows = policy ? policy.refractory(series[i]) : this.#options.refractory
      chunk.rest[row] = isOver ? Math.min(windows, UNTIL_CALM - 1) : UNTIL_CALM
      if (chunk.rest[row] > 0) this.#rested.set(series[i], [change.anomaly.surprise, moveOf(change.anomaly)])
      policy?.closed(change.anomaly)
      return
    }
    const opens = hot && this.#enough(chunk.hot[row]) && this.#open.size < OPEN_MAX
    if (
      chunk.rest[row] > 0 &&
      !(opens && this.#isLouder(series[i], surprise, batch.observed[i] - opinions.expected[i]))
    ) {
      // Windows of silence that is not told say nothing about the values that come after it.
      if (this.#open.sparing && Number.isNaN(batch.observed[i])) chunk.hot[row] = 0
      this.#rest(chunk, row, surprise >= closeAt)
      if (chunk.rest[row] === 0) this.#rested.delete(series[i])
    } else if (opens) {
      const meta = this.#metaOf(series[i])
      if (Number.isNaN(batch.observed[i]) && !this.#open.hasRoomForSilence(meta)) {
        chunk.rest[row] = UNTIL_CALM
        return
      }
      chunk.rest[row] = 0
      this.#rested.delete(series[i])
      const anomaly = openAnomaly(meta, this.#onset(batch.windowEndMs[i], chunk.hot[row]), moment())
      this.#open.set(series[i], { anomaly, told: surprise })
      chunk.open[row] = 1
      chunk.calm[row] = 0
      changes.push({ event: 'opened', anomaly })
      policy?.opened(anomaly)
    }
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

  #isLouder(series: number, surprise: number, change: number): boolean {
    const from = this.#rested.get(series)
    // Silence that was not told rests from nothing: values that are strange are told.
    if (from === undefined) return this.#open.sparing && !Number.isNaN(change)
    return surprise >= from[0] + LOUDER_SURPRISE || Math.abs(change) >= LOUDER_MOVES * from[1]
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

  #follow(series: number, hot: boolean, calm: number, moment: () => Moment): AnomalyChange | undefined {
    const open = this.#open.get(series)
    if (open === undefined) return undefined
    const { batch, at, surprise } = moment()
    const returned = open.anomaly.direction === 'absent' && !Number.isNaN(batch.observed[at])
    if (calm >= (returned ? RETURNED_WINDOWS : this.#options.closeAfter)) {
      this.#open.delete(series)
      return { event: 'closed', anomaly: { ...open.anomaly, status: 'closed' } }
    }
    if (batch.windowEndMs[at] - open.anomaly.detectedMs >= this.#longestMs && calm === 0) {
      this.#open.delete(series)
      const why = [...open.anomaly.why, 'it has lasted so long that it is taken for the new usual']
      return { event: 'closed', anomaly: { ...open.anomaly, status: 'closed', why } }
    }
    if (!hot) return undefined
    if (surprise <= open.anomaly.surprise) {
      open.anomaly = { ...open.anomaly, endMs: batch.windowEndMs[at] }
      return undefined
    }
    const was = open.anomaly.severity
    open.anomaly = strengthen(open.anomaly, this.#metaOf(series), moment())
    const material = surprise >= open.told + MATERIAL_SURPRISE || isStronger(open.anomaly.severity, was)
    if (!material) return undefined
    open.told = surprise
    return { event: 'updated', anomaly: open.anomaly }
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
    return Array.from(this.#open.values(), open => open.anomaly)
  }

  forget(series: number): void {
    const open = this.#open.get(series)
    if (open) {
      this.#orphans.push(asOrphan(open.anomaly))
      this.#policy?.closed(open.anomaly)
    }
    this.#open.delete(series)
    this.#rested.delete(series)
    this.#store.clear(series)
  }

  /** What is known of a series, which is then forgotten here without a word to anybody: for `adopt`. */
  release(series: number): HeldJudgement {
    this.#store.ensure(series + 1)
    this.#store.touch(series)
    const { hot, calm, rest, open } = this.#store.chunks[series >> CHUNK_SHIFT]
    const at = series & CHUNK_MASK
    const held = {
      columns: [hot[at], calm[at], rest[at], open[at]] as const,
      open: this.#open.get(series),
      rested: this.#rested.get(series),
    }
    this.#open.delete(series)
    this.#rested.delete(series)
    this.#store.clear(series)
    return held
  }

  /** Goes on with what another one knew of a series, under a row of here. */
  adopt(series: number, { columns, open, rested }: HeldJudgement): void {
    this.#store.ensure(series + 1)
    this.#store.touch(series)
    const chunk = this.#store.chunks[series >> CHUNK_SHIFT]
    const at = series & CHUNK_MASK
    this.#pages.touch(series)
    ;[chunk.hot[at], chunk.calm[at], chunk.rest[at], chunk.open[at]] = columns
    if (open) this.#open.set(series, { ...open, anomaly: { ...open.anomaly, series } })
    if (rested) this.#rested.set(series, rested)
  }

  /** Everything is calm and nothing is open, without a word to anybody. */
  letGo(): void {
    this.#open.clear()
    this.#orphans = []
    this.#store.touchAll()
    for (const { hot, calm, rest, open } of this.#store.chunks) {
      hot.fill(0)
      calm.fill(0)
      rest.fill(0)
      open.fill(0)
    }
  }

  snapshot(): Snapshot {
    return this.#store.snapshot(ID, VERSION, this.#context.series, this.#saved())
  }

  cut(cut: Cut): CutSnapshot {
    return this.#store.cut(cut, ID, VERSION, this.#context.series, this.#saved())
  }

  /** Anomalies are replaced, never changed: they need no copy. */
  #saved(): SavedMeta {
    const open = Array.from(this.#open.values(), ({ anomaly, told }) => ({ told, anomaly }))
    const { series } = this.#context
    const rested = Array.from(this.#rested, ([row, from]) => [series.meta(row).key, from] as const)
    return { open, orphans: [...this.#orphans], rested }
  }

  restore(from: Snapshot): void {
    const { series } = this.#context
    this.#store.restore(from.version === 1 ? upgraded(from) : from, ID, VERSION, series)
    this.#pages.touchAll(this.#store.rows)
    const meta = from.meta as SavedMeta
    this.#orphans = meta.orphans.map(anomaly => asOrphan(revive(anomaly)))
    for (const [key, from] of meta.rested ?? []) {
      const row = series.row(key)
      if (row >= 0) this.#rested.set(row, from)
    }
    for (const { told, anomaly } of meta.open) {
      const row = series.row(anomaly.key)
      if (row < 0) this.#orphans.push(asOrphan(revive(anomaly)))
      else this.#open.set(row, { told, anomaly: { ...revive(anomaly), series: row } })
    }
  }

  bytes(): number {
    // An open anomaly is about a kilobyte of objects.
    return this.#store.bytes() + this.#pages.bytes() + this.#open.size * 1024 + this.#rested.size * 50
  }
}

interface SavedMeta {
  readonly open: readonly { readonly told: number; readonly anomaly: Anomaly }[]
  readonly orphans: readonly Anomaly[]
  /** Absent before version 2. */
  readonly rested?: readonly (readonly [key: string, from: readonly [surprise: number, move: number]])[]
}

/** Version 1 counted rest in bytes. */
function upgraded(from: Snapshot): Snapshot {
  const { rest } = from.columns
  if (!(rest instanceof Uint8Array)) return from
  return { ...from, version: VERSION, columns: { ...from.columns, rest: Uint16Array.from(rest) } }
}

/** Size of the move at its strongest; of silence none is larger. */
function moveOf({ observed, expected }: Anomaly): number {
  const move = Math.abs(observed - expected)
  return Number.isFinite(move) ? move : Number.MAX_VALUE
}

/** By the time it is told as closed, its row may be another series'. */
function asOrphan(anomaly: Anomaly): Anomaly {
  return { ...anomaly, series: -1 }
}

/** JSON has no NaN: it comes back as null. */
function revive(anomaly: Anomaly): Anomaly {
  const number = (value: number | null) => value ?? Number.NaN
  return {
    ...anomaly,
    observed: number(anomaly.observed),
    expected: number(anomaly.expected),
    lower: number(anomaly.lower),
    upper: number(anomaly.upper),
  }
}

/** Shares per detector, the strongest first. */
function sharesOf(
  voices: readonly HeardVoice[],
  detectors: readonly Detector[],
  at: number,
  series: number,
): DetectorShare[] {
  const parts = shares(
    voices.map(voice => voice.surprise),
    at,
  )
  const sums = new Float64Array(detectors.length)
  for (const [v, part] of parts.entries()) sums[voices[v].detector] += part
  const named = [...sums.entries()].filter(([, share]) => share >= SHARE_LEAST)
  const total = named.reduce((sum, [, share]) => sum + share, 0)
  return named
    .sort((a, b) => b[1] - a[1] || a[0] - b[0])
    .map(([d, share]) => ({ id: nameOf(detectors[d], series), share: share / total }))
}

/** What a detector goes by where it spoke for a series. */
function nameOf(detector: Detector, series: number): string {
  return detector.spokeAs?.(series) ?? detector.id
}
