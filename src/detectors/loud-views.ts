import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT, ColumnStore } from '../core/columns.ts'
import type { Detector, DetectorContext } from '../core/detector.ts'
import { ForeshockError } from '../core/errors.ts'
import type { Snapshot } from '../core/snapshot.ts'
import {
  fillViews,
  LOUD_POINT,
  learnRecent,
  RECENT_COLUMNS,
  type RecentChunk,
  VIEWS_WIDTH,
} from './combiner-views.ts'
import { FullDetector } from './full-detector.ts'
import { FULL, FULL_WIDTH } from './full-kernel.ts'
import { nestSnapshot, unnestSnapshot } from './nested-snapshot.ts'
import type { Profile } from './profile-choice.ts'
import { SlotDetector } from './slot-detector.ts'
import { AT, SCRATCH_WIDTH } from './slot-kernel.ts'
import { COMPACT_PROFILE, TINY_PROFILE } from './slot-profile.ts'

export type ViewedProfile = Exclude<Profile, 'none'>

const ID = 'views@1'
const VERSION = 1
/** Name of the profile detector inside a snapshot. */
const PROFILE = 'profile'

/**
 * A profile detector that also shows what the learned combiner needs to know of the rows that are loud. It says what
 * the profile says; `tensor` and `rows` hold the loud rows of the batch scored last.
 */
export class LoudViews implements Detector {
  readonly id = ID
  readonly width = 0
  readonly warmUpWindows: number
  readonly inner: SlotDetector | FullDetector
  /** Views of the loud rows, row-major, `count` rows of VIEWS_WIDTH; and their places in the batch. */
  tensor = new Float32Array(0)
  rows = new Uint32Array(0)
  count = 0
  readonly #context: DetectorContext
  readonly #full: FullDetector | undefined
  readonly #store = new ColumnStore(RECENT_COLUMNS)

  constructor(context: DetectorContext, profile: ViewedProfile) {
    this.#context = context
    this.#full = profile === 'full' ? new FullDetector(context) : undefined
    this.inner = this.#full ?? new SlotDetector(context, profile === 'tiny' ? TINY_PROFILE : COMPACT_PROFILE)
    this.warmUpWindows = this.inner.warmUpWindows
  }

  async score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    this.scoreNow(batch, out)
  }

  /** `score` without the promise, for callers that own the thread. */
  scoreNow(batch: FeatureBatch, out: ScoreBatch): void {
    this.inner.scoreNow(batch, out)
    if (this.rows.length < batch.length) {
      this.rows = new Uint32Array(batch.capacity)
      this.tensor = new Float32Array(batch.capacity * VIEWS_WIDTH)
    }
    this.count = 0
    const s = this.#slotScratch
    const w = this.#full?.scratch
    for (let row = 0; row < batch.length; row++) {
      const so = row * SCRATCH_WIDTH
      if (!(out.point[row] >= LOUD_POINT || s[so + AT.point] >= LOUD_POINT)) continue
      const index = batch.series[row]
      const chunk = this.#store.chunks[index >> CHUNK_SHIFT] as RecentChunk | undefined
      if (!chunk || Number.isNaN(out.point[row])) continue
      const at = this.count++
      this.rows[at] = row
      const x = s[so + AT.observed]
      fillViews(chunk, index & CHUNK_MASK, x, s, so, w, row * FULL_WIDTH, this.tensor, at * VIEWS_WIDTH)
    }
  }

  /** Point evidence, before it is set against the usual day, of a row of the batch scored or learned last. */
  rawPointOf(row: number): number {
    return this.#full
      ? this.#full.scratch[row * FULL_WIDTH + FULL.rawPoint]
      : this.#slotScratch[row * SCRATCH_WIDTH + AT.rawPoint]
  }

  /** Point evidence of a row of that batch; NaN while there is none. */
  pointOf(row: number): number {
    return this.#full
      ? this.#full.scratch[row * FULL_WIDTH + FULL.point]
      : this.#slotScratch[row * SCRATCH_WIDTH + AT.point]
  }

  get #slotScratch(): Float64Array {
    return this.#full ? this.#full.slotScratch : (this.inner as SlotDetector).scratch
  }

  learn(batch: FeatureBatch, weight: Float32Array): void {
    this.inner.learn(batch, weight)
    for (let row = 0; row < batch.length; row++) {
      const x = batch.observed[row]
      if (Number.isNaN(x)) continue
      const index = batch.series[row]
      if (index >= this.#store.rows) this.#store.ensure(Math.max(index + 1, this.#context.series.capacity))
      const chunk = this.#store.chunks[index >> CHUNK_SHIFT] as RecentChunk
      // Whatever was scored in between, the scratch now holds these very rows: learning worked them out.
      learnRecent(chunk, index & CHUNK_MASK, x, this.pointOf(row))
    }
  }

  forget(series: number): void {
    this.inner.forget(series)
    this.#store.clear(series)
  }

  snapshot(): Snapshot {
    const own = this.#store.snapshot(ID, VERSION, this.#context.series)
    return nestSnapshot(own, PROFILE, this.inner.snapshot())
  }

  restore(from: Snapshot): void {
    if (from.id !== ID || from.version !== VERSION)
      throw new ForeshockError(
        'FS_SNAPSHOT_INVALID',
        `expected ${ID} v${VERSION}, got ${from.id} v${from.version}`,
      )
    const { own, inner } = unnestSnapshot(from, PROFILE)
    this.inner.restore(inner)
    this.#store.restore(own, ID, VERSION, this.#context.series)
  }

  bytes(): number {
    return this.inner.bytes() + this.#store.bytes()
  }

  async close(): Promise<void> {
    await this.inner.close()
  }
}
