import { type FeatureBatch, featureBatch, type ScoreBatch, scoreBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT } from '../core/columns.ts'
import type { Detector, DetectorContext, DetectorVoice } from '../core/detector.ts'
import type { LocalTime } from '../core/local-time.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { FullDetector } from './full-detector.ts'
import { KindClasses } from './kind-classes.ts'
import { PROFILES, type Profile, ProfileChoice, type ProfileRule } from './profile-choice.ts'
import { rowsNeeded } from './runs.ts'
import { SlotDetector } from './slot-detector.ts'
import { COMPACT_PROFILE, TINY_PROFILE } from './slot-profile.ts'

/** A move in the good direction is this much as strange, as in deviation@1. */
const GOOD_SHARE = 0.25

const DETECTORS = {
  tiny: context => new SlotDetector(context, TINY_PROFILE),
  compact: context => new SlotDetector(context, COMPACT_PROFILE),
  full: context => new FullDetector(context),
} as const satisfies Record<Exclude<Profile, 'none'>, (context: DetectorContext) => Detector>

/**
 * A profile detector as a member of the ensemble. It sees only the series that have its profile, and learns every
 * window at full weight: its updates are clipped by themselves, and so it says of a live series exactly what `score`
 * says of the recorded one, which is what was measured. Silent for the first day of a series.
 */
export class ProfileMember implements Detector {
  readonly id: string
  readonly width = 0
  readonly warmUpWindows: number
  readonly voices: readonly DetectorVoice[] = [
    { column: 'point', feeds: ['surprise', 'point'] },
    { column: 'incident', feeds: ['surprise', 'incident'] },
  ]
  readonly #inner: Detector
  readonly #place: number
  readonly #table: DetectorContext['series']
  readonly #choice: ProfileChoice
  readonly #classes: KindClasses
  readonly #stepMs: number
  readonly #localTime: LocalTime | undefined
  /** The rows of a mixed batch that are this profile's, and their places in it. */
  #own = featureBatch(0, 0)
  #ownOut = scoreBatch(0)
  #places = new Uint32Array(0)
  #ones = new Float32Array(0)

  constructor(context: DetectorContext, profile: Exclude<Profile, 'none'>, choice: ProfileChoice) {
    this.#inner = DETECTORS[profile](context)
    this.id = this.#inner.id
    this.warmUpWindows = this.#inner.warmUpWindows
    this.#place = PROFILES.indexOf(profile)
    this.#table = context.series
    this.#stepMs = context.stepMs
    this.#localTime = context.localTime?.isUtc ? undefined : context.localTime
    this.#choice = choice
    this.#classes = new KindClasses(context.series, context.direction)
  }

  /** True when the batch goes to the profile as it is: every series is its own, and its clocks are UTC's. */
  get #isWhole(): boolean {
    return this.#choice.isUniform && this.#localTime === undefined
  }

  /**
   * How far the clocks of people are ahead of UTC in a window. The profile is given local times: an hour that is skipped
   * is a gap to it, an hour that comes twice is one that it sees twice.
   */
  #aheadMs(endMs: number): number {
    return this.#localTime === undefined ? 0 : this.#localTime.offsetMs(endMs - this.#stepMs)
  }

  async score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    if (this.#isWhole) await this.#inner.score(batch, out)
    else {
      this.#select(batch)
      await this.#inner.score(this.#own, this.#ownOut)
      this.#scatter(batch.length, out)
    }
    this.#weighDirection(batch, out)
  }

  learn(batch: FeatureBatch): void {
    let own = batch
    if (!this.#isWhole) {
      this.#select(batch)
      own = this.#own
    }
    if (this.#ones.length < own.length) this.#ones = new Float32Array(own.capacity).fill(1)
    this.#inner.learn(own, this.#ones)
  }

  #select(batch: FeatureBatch): void {
    if (this.#own.capacity < batch.length) {
      this.#own = featureBatch(batch.length, 0)
      this.#ownOut = scoreBatch(batch.length)
      this.#places = new Uint32Array(batch.length)
    }
    const own = this.#own
    own.length = 0
    for (let i = 0; i < batch.length; i++) {
      if (this.#choice.of(batch.series[i]) !== this.#place) continue
      const at = own.length++
      this.#places[at] = i
      own.series[at] = batch.series[i]
      own.windowEndMs[at] = batch.windowEndMs[i] + this.#aheadMs(batch.windowEndMs[i])
      own.observed[at] = batch.observed[i]
      own.coverage[at] = batch.coverage[i]
    }
  }

  #scatter(length: number, out: ScoreBatch): void {
    out.length = length
    const from = this.#ownOut
    for (const name of ['score', 'point', 'incident', 'expected', 'lower', 'upper'] as const) {
      out[name].fill(Number.NaN, 0, length)
      for (let at = 0; at < this.#own.length; at++) out[name][this.#places[at]] = from[name][at]
    }
  }

  /** A latency that falls is strange, but nobody's trouble. */
  #weighDirection(batch: FeatureBatch, out: ScoreBatch): void {
    const { length, series, observed } = batch
    this.#classes.ensure(rowsNeeded(series, length))
    const { bad, chunks } = this.#classes
    for (let i = 0; i < length; i++) {
      if (Number.isNaN(out.point[i])) continue
      const known = chunks[series[i] >> CHUNK_SHIFT].of[series[i] & CHUNK_MASK]
      const side = bad[known === 0 ? this.#classes.classOf(series[i]) : known]
      if ((observed[i] - out.expected[i]) * side >= 0) continue
      out.score[i] *= GOOD_SHARE
      out.point[i] *= GOOD_SHARE
      out.incident[i] *= GOOD_SHARE
    }
  }

  forget(series: number): void {
    this.#inner.forget(series)
    this.#choice.forget(series)
    this.#classes.forget(series)
  }

  snapshot(): Snapshot {
    const own = this.#inner.snapshot()
    return this.#localTime === undefined
      ? own
      : { ...own, meta: { zone: this.#localTime.zone, inner: own.meta } }
  }

  /** A shape of the day on other clocks is of no use: it is learned anew. */
  restore(from: Snapshot): void {
    const saved = from.meta as { zone?: string; inner?: unknown } | null
    if (saved?.zone !== this.#localTime?.zone) return
    this.#inner.restore(saved?.zone === undefined ? from : { ...from, meta: saved.inner })
    // Another rule may have given a series another profile since: what it learned in this one must not come back.
    if (this.#choice.isUniform) return
    for (const key of from.keys) {
      const row = key === '' ? -1 : this.#table.row(key)
      if (row >= 0 && this.#choice.of(row) !== this.#place) this.#inner.forget(row)
    }
  }

  bytes(): number {
    return this.#inner.bytes() + this.#choice.bytes() + this.#classes.bytes()
  }

  async close(): Promise<void> {
    await this.#inner.close()
  }
}

/** The members for a default profile and rules; none when no series has a profile. */
export function profileMembers(
  context: DetectorContext,
  fallback: Profile,
  rules: readonly ProfileRule[],
): ProfileMember[] {
  const choice = new ProfileChoice(context.series, fallback, rules)
  return choice
    .used()
    .filter(profile => profile !== 'none')
    .map(profile => new ProfileMember(context, profile, choice))
}
