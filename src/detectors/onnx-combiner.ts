import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import type { Detector, DetectorContext } from '../core/detector.ts'
import { ForeshockError } from '../core/errors.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { Combiner, type CombinerOptions } from './combiner.ts'
import { FullDetector } from './full-detector.ts'
import { nestSnapshot, unnestSnapshot } from './nested-snapshot.ts'
import type { Profile } from './profile-choice.ts'
import { ProfileViews } from './profile-views.ts'
import { SlotDetector } from './slot-detector.ts'
import { COMPACT_PROFILE, TINY_PROFILE } from './slot-profile.ts'

export type CombinedProfile = Exclude<Profile, 'none'>

const VERSION = 1
/** Name of the profile detector inside a snapshot. */
const PROFILE = 'profile'

/**
 * One profile detector whose point evidence a learned model weighs, as a detector of its own: for recorded series. Live,
 * the combiner is a step of the member that holds all profiles. Surprise, incident and band are the profile's.
 */
export class OnnxCombiner implements Detector {
  readonly id: string
  readonly width = 0
  readonly warmUpWindows: number
  /** Holds the views of the loud rows of the batch scored last. */
  readonly combiner: Combiner
  readonly #inner: SlotDetector | FullDetector
  readonly #views: ProfileViews
  /** Row k of a batch is its row k. */
  #places = new Uint32Array(0)

  constructor(
    context: DetectorContext,
    { profile, ...options }: CombinerOptions & { readonly profile: CombinedProfile },
  ) {
    this.id = `combiner-${profile}@1`
    this.#inner =
      profile === 'full'
        ? new FullDetector(context)
        : new SlotDetector(context, profile === 'tiny' ? TINY_PROFILE : COMPACT_PROFILE)
    this.#views = new ProfileViews(this.#inner)
    this.combiner = new Combiner(context, options)
    this.warmUpWindows = this.#inner.warmUpWindows
  }

  get problem(): string | undefined {
    return this.combiner.problem
  }

  score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    this.#inner.scoreNow(batch, out)
    this.combiner.begin(batch)
    this.combiner.show(this.#views, batch, this.#placesOf(batch.length))
    return this.combiner.weigh(batch, out)
  }

  learn(batch: FeatureBatch, weight: Float32Array): void {
    if (batch.length === 0) return
    this.combiner.beginLearn(batch)
    this.#inner.learn(batch, weight)
    this.combiner.learn(this.#views, batch, weight, this.#placesOf(batch.length))
  }

  #placesOf(length: number): Uint32Array {
    if (this.#places.length < length) this.#places = Uint32Array.from({ length }, (_, row) => row)
    return this.#places
  }

  forget(series: number): void {
    this.#inner.forget(series)
    this.combiner.forget(series)
  }

  snapshot(): Snapshot {
    const own = { ...this.combiner.snapshot(), id: this.id, version: VERSION }
    return nestSnapshot(own, PROFILE, this.#inner.snapshot())
  }

  restore(from: Snapshot): void {
    if (from.id !== this.id || from.version !== VERSION)
      throw new ForeshockError(
        'FS_SNAPSHOT_INVALID',
        `expected ${this.id} v${VERSION}, got ${from.id} v${from.version}`,
      )
    const { own, inner } = unnestSnapshot(from, PROFILE)
    this.#inner.restore(inner)
    this.combiner.restore(own, own.columns)
  }

  bytes(): number {
    return this.#inner.bytes() + this.combiner.bytes()
  }

  async close(): Promise<void> {
    await this.combiner.close()
    await this.#inner.close()
  }
}
