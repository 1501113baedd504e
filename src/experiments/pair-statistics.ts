import type { PairedScores } from '../core/model.ts'
import { fillFrom, textOf } from './column-text.ts'
import { Latencies } from './latencies.ts'
import { RankCorrelation } from './rank-correlation.ts'

const HOUR_MS = 3_600_000
/** Hours kept one by one: a week. */
const BUCKETS_MAX = 168

/** Numbers of one hour of event time, or of the whole. */
export interface Tally {
  startMs: number
  windows: number
  /** Window rows that both were given. */
  offered: number
  /** Window rows of which both had an opinion. */
  rows: number
  both: number
  championOnly: number
  challengerOnly: number
  championSilent: number
  challengerSilent: number
  championAlerts: number
  challengerAlerts: number
  championFailed: number
  challengerFailed: number
  championMsMax: number
  challengerMsMax: number
}

function emptyTally(startMs: number): Tally {
  return {
    startMs,
    windows: 0,
    offered: 0,
    rows: 0,
    both: 0,
    championOnly: 0,
    challengerOnly: 0,
    championSilent: 0,
    challengerSilent: 0,
    championAlerts: 0,
    challengerAlerts: 0,
    championFailed: 0,
    challengerFailed: 0,
    championMsMax: 0,
    challengerMsMax: 0,
  }
}

export interface SavedStatistics {
  readonly whole: Tally
  readonly buckets: readonly Tally[]
  readonly ranks: string
  readonly latencies: readonly { readonly counts: string; readonly max: number }[]
}

/**
 * What champion and challenger did on the same windows: agreement at the surprise that opens an anomaly, silence,
 * failures and time, in all and by the hour. Memory is bounded and does not grow with series.
 */
export class PairStatistics {
  readonly whole = emptyTally(NaN)
  readonly ranks = new RankCorrelation()
  readonly champion = new Latencies()
  readonly challenger = new Latencies()
  #buckets: Tally[] = []
  readonly #openSurprise: number
  /** Time for the window that is under way: one window may come in several batches. */
  #windowEndMs = NaN
  #championMs = 0
  #challengerMs = 0

  constructor(openSurprise: number) {
    this.#openSurprise = openSurprise
  }

  get buckets(): readonly Tally[] {
    return this.#buckets
  }

  /** Windows come in the order of time. */
  add(pair: PairedScores): void {
    const bucket = this.#bucketOf(pair.windowEndMs)
    if (pair.windowEndMs !== this.#windowEndMs) {
      this.closeWindow()
      this.#windowEndMs = pair.windowEndMs
      this.whole.windows++
      bucket.windows++
    }
    this.#championMs += pair.championMs
    this.#challengerMs += pair.challengerMs
    for (const tally of [this.whole, bucket]) {
      tally.championFailed += pair.championFailed
      tally.challengerFailed += pair.challengerFailed
      tally.championMsMax = Math.max(tally.championMsMax, this.#championMs)
      tally.challengerMsMax = Math.max(tally.challengerMsMax, this.#challengerMs)
      countAgreement(pair, this.#openSurprise, tally)
    }
    const { championSurprise: a, challengerSurprise: b } = pair
    for (let k = 0; k < pair.length; k++)
      if (!Number.isNaN(a[k]) && !Number.isNaN(b[k])) this.ranks.add(a[k], b[k])
  }

  /** Counts the time of the window that was under way. */
  closeWindow(): void {
    if (!Number.isNaN(this.#windowEndMs)) {
      this.champion.add(this.#championMs)
      this.challenger.add(this.#challengerMs)
    }
    this.#windowEndMs = NaN
    this.#championMs = 0
    this.#challengerMs = 0
  }

  /** Units of series in which either would newly have opened an anomaly. */
  addAlerts(windowEndMs: number, champion: number, challenger: number): void {
    for (const tally of [this.whole, this.#bucketOf(windowEndMs)]) {
      tally.championAlerts += champion
      tally.challengerAlerts += challenger
    }
  }

  save(): SavedStatistics {
    return {
      whole: { ...this.whole },
      buckets: this.#buckets.map(one => ({ ...one })),
      ranks: textOf(this.ranks.counts),
      latencies: [this.champion, this.challenger].map(one => ({ counts: textOf(one.counts), max: one.max })),
    }
  }

  restore(from: SavedStatistics): void {
    Object.assign(this.whole, from.whole, { startMs: NaN })
    this.#buckets = from.buckets.map(one => ({ ...one }))
    fillFrom(from.ranks, this.ranks.counts)
    for (const [i, into] of [this.champion, this.challenger].entries()) {
      fillFrom(from.latencies[i].counts, into.counts)
      into.max = from.latencies[i].max
      into.total = into.counts.reduce((sum, one) => sum + one, 0)
    }
  }

  #bucketOf(windowEndMs: number): Tally {
    const startMs = Math.floor((windowEndMs - 1) / HOUR_MS) * HOUR_MS
    const last = this.#buckets.at(-1)
    if (last && last.startMs >= startMs) return last
    const fresh = emptyTally(startMs)
    this.#buckets.push(fresh)
    if (this.#buckets.length > BUCKETS_MAX) this.#buckets.shift()
    return fresh
  }
}

function countAgreement(pair: PairedScores, openSurprise: number, into: Tally): void {
  const { championSurprise: a, challengerSurprise: b } = pair
  let rows = 0
  let both = 0
  let championOnly = 0
  let challengerOnly = 0
  let championSilent = 0
  let challengerSilent = 0
  for (let k = 0; k < pair.length; k++) {
    const spokeA = !Number.isNaN(a[k])
    const spokeB = !Number.isNaN(b[k])
    if (spokeA && spokeB) {
      rows++
      if (a[k] >= openSurprise) {
        if (b[k] >= openSurprise) both++
        else championOnly++
      } else if (b[k] >= openSurprise) challengerOnly++
    } else if (spokeA) challengerSilent++
    else if (spokeB) championSilent++
  }
  into.offered += pair.length
  into.rows += rows
  into.both += both
  into.championOnly += championOnly
  into.challengerOnly += challengerOnly
  into.championSilent += championSilent
  into.challengerSilent += challengerSilent
}
