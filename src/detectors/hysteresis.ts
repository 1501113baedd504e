import type { Anomaly, DetectorShare } from '../core/anomaly.ts'
import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT, ColumnStore } from '../core/columns.ts'
import type { Detector, DetectorContext } from '../core/detector.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { AnomalyChange } from '../core/stages.ts'
import type { EnsembleOptions } from './ensemble-options.ts'
import { shares } from './fusion.ts'
import { type Moment, matters, openAnomaly, strengthen } from './judge.ts'
import { isStronger } from './severity.ts'

const SPEC = {
  /** Last eight windows, newest in bit 0: 1 was hot. */
  hot: 'u8',
  calm: 'u8',
  rest: 'u8',
  open: 'u8',
} as const

const ID = 'hysteresis'
const VERSION = 1
/** An open anomaly is told again when it grew by this much surprise, or into a higher severity. */
const MATERIAL_SURPRISE = 1.5
/** Calm windows that close an absence once values are back. */
const RETURNED_WINDOWS = 2
/** Open anomalies held; beyond it new ones wait until others close. */
const OPEN_MAX = 100_000
/** A detector named in an anomaly has at least this share. */
const SHARE_LEAST = 0.02

interface Open {
  anomaly: Anomaly
  /** Surprise when it was last told. */
  told: number
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
  readonly #open = new Map<number, Open>()
  /** Anomalies of forgotten series, to be told as closed. */
  #orphans: Anomaly[] = []
  #flags = new Uint8Array(0)

  constructor(options: EnsembleOptions, context: DetectorContext) {
    this.#options = options
    this.#context = context
  }

  judge(
    batch: FeatureBatch,
    opinions: OpinionBatch,
    voices: readonly HeardVoice[],
    detectors: readonly Detector[],
  ): AnomalyChange[] {
    const { length, series } = batch
    const changes: AnomalyChange[] = this.#orphans.map(anomaly => ({
      event: 'closed',
      anomaly: { ...anomaly, status: 'closed' },
    }))
    this.#orphans = []
    if (length === 0) return changes
    this.#store.ensure(series[length - 1] + 1)
    const { openAt } = this.#options
    for (let i = 0; i < length; i++) {
      const chunk = this.#store.chunks[series[i] >> CHUNK_SHIFT]
      const row = series[i] & CHUNK_MASK
      const point = opinions.point[i]
      const incident = opinions.incident[i]
      const surprise = incident > point || Number.isNaN(point) ? incident : point
      const above = surprise >= openAt
      // Most rows end here: nothing is hot, was hot lately, rests or is open.
      if (!above && (chunk.hot[row] | chunk.rest[row] | chunk.open[row]) === 0) continue
      this.#judgeRow(batch, opinions, voices, detectors, i, surprise, changes)
    }
    return changes
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
    const { openAt, closeAt } = this.#options
    const chunk = this.#store.chunks[series[i] >> CHUNK_SHIFT]
    const row = series[i] & CHUNK_MASK
    const above = surprise >= openAt
    const stuck =
      detectors[opinions.strongest[i]].id.startsWith('absence@') && !Number.isNaN(batch.observed[i])
    const hot = above && this.#counts(batch, opinions, i, stuck)
    chunk.hot[row] = (chunk.hot[row] << 1) | (hot ? 1 : 0)
    const moment = (): Moment => {
      const heard = sharesOf(voices, detectors, i)
      // Only the first speaker has more to say: the others agree.
      const first = detectors.find(({ id }) => id === heard[0]?.id)
      return {
        batch,
        opinions,
        at: i,
        surprise,
        stuck,
        detectors: heard,
        more: first?.why?.(series[i]) ?? [],
      }
    }
    if (chunk.open[row] === 1) {
      chunk.calm[row] = surprise >= closeAt ? 0 : chunk.calm[row] + 1
      const change = this.#follow(series[i], hot, chunk.calm[row], moment)
      if (change) changes.push(change)
      if (change?.event === 'closed') {
        chunk.open[row] = 0
        chunk.hot[row] = 0
        chunk.calm[row] = 0
        chunk.rest[row] = this.#options.refractory
      }
    } else if (chunk.rest[row] > 0) {
      chunk.rest[row]--
    } else if (hot && this.#enough(chunk.hot[row]) && this.#open.size < OPEN_MAX) {
      const meta = this.#context.series.meta(series[i])
      const anomaly = openAnomaly(meta, this.#onset(batch.windowEndMs[i], chunk.hot[row]), moment())
      this.#open.set(series[i], { anomaly, told: surprise })
      chunk.open[row] = 1
      chunk.calm[row] = 0
      changes.push({ event: 'opened', anomaly })
    }
  }

  /** A hot window counts when the value is gone or stuck, or the move is one that somebody would care about. */
  #counts(batch: FeatureBatch, opinions: OpinionBatch, i: number, stuck: boolean): boolean {
    const observed = batch.observed[i]
    if (Number.isNaN(observed) || stuck) return true
    return matters(this.#context.series.meta(batch.series[i]), observed, opinions.expected[i])
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
    if (!hot) return undefined
    if (surprise <= open.anomaly.surprise) {
      open.anomaly = { ...open.anomaly, endMs: batch.windowEndMs[at] }
      return undefined
    }
    const was = open.anomaly.severity
    open.anomaly = strengthen(open.anomaly, this.#context.series.meta(series), moment())
    const material = surprise >= open.told + MATERIAL_SURPRISE || isStronger(open.anomaly.severity, was)
    if (!material) return undefined
    open.told = surprise
    return { event: 'updated', anomaly: open.anomaly }
  }

  /** 1 per row whose series has an open anomaly; valid until the next call. */
  openFlags(batch: FeatureBatch): Uint8Array {
    const { length, series } = batch
    if (this.#flags.length < length) this.#flags = new Uint8Array(Math.max(length, batch.capacity))
    if (length > 0) this.#store.ensure(series[length - 1] + 1)
    const flags = this.#flags
    const { chunks } = this.#store
    for (let i = 0; i < length; i++) flags[i] = chunks[series[i] >> CHUNK_SHIFT].open[series[i] & CHUNK_MASK]
    return flags
  }

  anomalies(): readonly Anomaly[] {
    return Array.from(this.#open.values(), open => open.anomaly)
  }

  forget(series: number): void {
    const open = this.#open.get(series)
    if (open) this.#orphans.push(open.anomaly)
    this.#open.delete(series)
    this.#store.clear(series)
  }

  /** Everything is calm and nothing is open, without a word to anybody. */
  letGo(): void {
    this.#open.clear()
    this.#orphans = []
    for (const { hot, calm, rest, open } of this.#store.chunks) {
      hot.fill(0)
      calm.fill(0)
      rest.fill(0)
      open.fill(0)
    }
  }

  snapshot(): Snapshot {
    const open = Array.from(this.#open.values(), ({ anomaly, told }) => ({ told, anomaly }))
    return this.#store.snapshot(ID, VERSION, this.#context.series, { open, orphans: this.#orphans })
  }

  restore(from: Snapshot): void {
    this.#store.restore(from, ID, VERSION, this.#context.series)
    const meta = from.meta as { open: { told: number; anomaly: Anomaly }[]; orphans: Anomaly[] }
    this.#orphans = meta.orphans.map(revive)
    for (const { told, anomaly } of meta.open) {
      const series = this.#context.series.row(anomaly.key)
      if (series < 0) this.#orphans.push(revive(anomaly))
      else this.#open.set(series, { told, anomaly: { ...revive(anomaly), series } })
    }
  }

  bytes(): number {
    // An open anomaly is about a kilobyte of objects.
    return this.#store.bytes() + this.#open.size * 1024
  }
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
    .map(([d, share]) => ({ id: detectors[d].id, share: share / total }))
}
