import { type FeatureBatch, featureBatch, type ScoreBatch, scoreBatch } from '../core/batch.ts'
import { rowsOf } from '../core/columns.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import type { DetectorContext } from '../core/detector.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { Combiner } from './combiner.ts'
import { FULL_SLOTS, FullDetector } from './full-detector.ts'
import { ProfileViews } from './profile-views.ts'
import { RowPool } from './row-pool.ts'
import { convertRow, type SlotRow } from './slot-convert.ts'
import { SlotDetector } from './slot-detector.ts'
import { COMPACT_PROFILE, type SlotProfile, type SlotRates, slotRates, TINY_PROFILE } from './slot-profile.ts'

/**
 * All series of one profile: their state in dense rows, in chunks of about 400 kB, 200 kB and 50 kB, so that a profile
 * costs what its series need.
 */
const TIERS = {
  tiny: { profile: TINY_PROFILE, shift: 10 },
  compact: { profile: COMPACT_PROFILE, shift: 6 },
  full: { profile: FULL_SLOTS, shift: 4 },
} as const

export class ProfileTier {
  readonly pool: RowPool
  readonly warmUpWindows: number
  readonly #inner: SlotDetector | FullDetector
  readonly #views: ProfileViews
  readonly #profile: SlotProfile
  readonly #rates: SlotRates
  readonly #stepMs: number
  readonly #shift: number
  /** The rows of a mixed batch that are this profile's, where their state lies, and their places in it. */
  #own = featureBatch(0, 0)
  #ownOut = scoreBatch(0)
  #rows = new Uint32Array(0)
  #places = new Uint32Array(0)
  #ones = new Float32Array(0)

  constructor(context: DetectorContext, name: keyof typeof TIERS) {
    const { profile, shift } = TIERS[name]
    const { stepMs } = context
    this.pool = new RowPool(context.series)
    const own = { series: this.pool, stepMs }
    this.#inner = name === 'full' ? new FullDetector(own, shift) : new SlotDetector(own, profile, shift)
    this.#views = new ProfileViews(this.#inner)
    this.warmUpWindows = this.#inner.warmUpWindows
    this.#profile = profile
    this.#rates = slotRates(profile, stepMs)
    this.#stepMs = stepMs
    this.#shift = shift
  }

  /** Bytes of one series' state. */
  get rowBytes(): number {
    return this.#inner.rowBytes
  }

  /** Bytes that taking a series in would add. */
  nextBytes(series: number): number {
    const ring = this.#inner instanceof FullDetector ? this.#inner.ringBytes : 0
    const isFull = this.pool.capacity === this.#inner.rows
    return this.pool.nextBytes(series) + ring + (isFull ? (this.rowBytes - ring) * 2 ** this.#shift : 0)
  }

  /** Windows from the first one learned of a series to `window`; NaN when none was. */
  ageOf(series: number, window: number): number {
    const row = this.pool.of(series)
    return row < 0 ? NaN : this.#inner.ageOf(row, window)
  }

  begin(capacity: number): void {
    if (this.#own.capacity < capacity) {
      this.#own = featureBatch(capacity, 0)
      this.#ownOut = scoreBatch(capacity)
      this.#rows = new Uint32Array(capacity)
      this.#places = new Uint32Array(capacity)
      this.#ones = new Float32Array(capacity).fill(1)
    }
    this.#own.length = 0
  }

  /** Row `at` of the batch, whose state lies in `row`, is one of this profile's; its clocks are `aheadMs` ahead of UTC. */
  add(batch: FeatureBatch, at: number, row: number, aheadMs: number): void {
    const own = this.#own
    const to = own.length++
    this.#places[to] = at
    this.#rows[to] = row
    own.series[to] = batch.series[at]
    own.windowEndMs[to] = batch.windowEndMs[at] + aheadMs
    own.observed[to] = batch.observed[at]
    own.coverage[to] = batch.coverage[at]
  }

  /** Scores the rows added and writes their opinions where they belong in `out`; the combiner is shown them. */
  score(out: ScoreBatch, combiner?: Combiner): void {
    if (this.#own.length === 0) return
    this.#inner.scoreNow(this.#own, this.#ownOut, this.#rows)
    scatter(this.#ownOut.score, this.#places, this.#own.length, out.score)
    scatter(this.#ownOut.point, this.#places, this.#own.length, out.point)
    scatter(this.#ownOut.incident, this.#places, this.#own.length, out.incident)
    scatter(this.#ownOut.expected, this.#places, this.#own.length, out.expected)
    scatter(this.#ownOut.lower, this.#places, this.#own.length, out.lower)
    scatter(this.#ownOut.upper, this.#places, this.#own.length, out.upper)
    combiner?.show(this.#views, this.#own, this.#places)
  }

  /** The daily shape of the rows scored, its level and its slack (see AT), written where they belong. */
  dayShape(level: Float64Array, slack: Float64Array): void {
    this.#inner.dayShape(this.#places, this.#own.length, level, slack)
  }

  learn(combiner?: Combiner): void {
    if (this.#own.length === 0) return
    this.#inner.learn(this.#own, this.#ones, this.#rows)
    combiner?.learn(this.#views, this.#own, this.#ones, this.#places)
  }

  /** What was learned of a series, where it lies; undefined when it has no row here. */
  rowOf(series: number): SlotRow | undefined {
    const row = this.pool.of(series)
    return row < 0 ? undefined : { ...this.#inner.rowAt(row), profile: this.#profile, rates: this.#rates }
  }

  /** Takes a series in with what another profile has learned of it. */
  adopt(series: number, source: SlotRow): void {
    const row = this.pool.take(series)
    const take = (chunk: SlotRow['chunk'], at: number) =>
      convertRow(source, { chunk, at, profile: this.#profile, rates: this.#rates }, this.#stepMs)
    if (this.#inner instanceof FullDetector) this.#inner.adopt(row, take)
    else {
      this.#inner.forget(row)
      const { chunk, at } = this.#inner.rowAt(row)
      take(chunk, at)
    }
  }

  /** Gives the memory of a series back; the last row moves into its place. */
  drop(series: number): void {
    const row = this.pool.give(series)
    if (row < 0) return
    this.#inner.forget(row)
    if (row < this.pool.capacity) this.#inner.move(this.pool.capacity, row)
    this.#inner.shrink(this.pool.capacity)
  }

  snapshot(): Snapshot {
    return this.#inner.snapshot()
  }

  cut(cut: Cut): CutSnapshot {
    return this.#inner.cut(cut)
  }

  /** Puts the rows of a snapshot back whose series the table holds; id and version are the tier's own. */
  restore(
    from: Pick<Snapshot, 'keys' | 'rows' | 'columns' | 'isGiven'>,
    seriesOf: (at: number) => number,
  ): void {
    const length = rowsOf(from)
    for (let i = 0; i < length; i++) {
      const series = seriesOf(i)
      if (series >= 0) this.pool.take(series)
    }
    const { id, version } = this.#inner
    this.#inner.restore({ ...from, id, version, meta: null })
  }

  bytes(): number {
    return this.#inner.bytes() + this.pool.bytes()
  }
}

function scatter<T extends Float32Array | Float64Array>(
  from: T,
  places: Uint32Array,
  length: number,
  to: T,
): void {
  for (let i = 0; i < length; i++) to[places[i]] = from[i]
}
