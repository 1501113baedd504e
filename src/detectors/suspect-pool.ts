import { type FeatureBatch, featureBatch, type OpinionBatch } from '../core/batch.ts'
import type { ColumnSpec } from '../core/columns.ts'
import type { DetectorContext } from '../core/detector.ts'
import { entityKey } from '../core/entity-key.ts'
import { ForeshockError } from '../core/errors.ts'
import type { SeriesHistory } from '../core/history.ts'
import type { MetricKind } from '../core/metric-kind.ts'
import { type SeriesHead, seriesHead } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { Calibration } from './calibration.ts'
import { CUT_FOREST } from './cut-forest.ts'
import { FLATLINE } from './flatline.ts'
import { HALF_SPACE } from './half-space.ts'
import { type Kernel, stateBytes } from './kernel-detector.ts'
import { leftProfile } from './left-profile.ts'
import { type Candidate, PoolCandidates } from './pool-candidates.ts'
import { PoolMember } from './pool-member.ts'
import { type PoolBudget, type PoolPlaces, placesOf } from './pool-places.ts'
import { NEVER_MS, PoolSlots } from './pool-slots.ts'
import { SHAPE_NEIGHBOURS } from './shape-neighbours.ts'
import { SPECTRAL_RESIDUAL } from './spectral-residual.ts'

const KERNELS = {
  rcf: () => CUT_FOREST,
  hst: () => HALF_SPACE,
  sr: () => SPECTRAL_RESIDUAL,
  shapes: () => SHAPE_NEIGHBOURS,
  'left-profile': () => leftProfile(),
  flatline: () => FLATLINE,
} as const
export type PooledDetector = keyof typeof KERNELS

export interface PoolOptions extends PoolBudget {
  readonly detectors: readonly PooledDetector[]
}

/** CPU of a sample, µs, as measured: see pool-places.ts. */
const MICROSECONDS: Readonly<Record<PooledDetector, number>> = {
  rcf: 38,
  hst: 0.7,
  sr: 7,
  shapes: 3.7,
  'left-profile': 1.3,
  flatline: 0.3,
}

const ID = 'pool'
const VERSION = 1
/** Surprise that makes a suspect: one window in three hundred, well before an anomaly opens. */
const SUSPECT_AT = 2.5
/** A suspect keeps its place for this many windows after it was one last. */
const KEPT_WINDOWS = 60
/** Series admitted in one window: each is fed its past, which takes milliseconds. */
const ADMITTED_MOST = 4
/** Windows of that past at most: an hour at ten seconds; enough to warm every detector here. */
const PAST_WINDOWS = 360
/** The latest windows of that past teach as little as hot ones do live: they are why it is a suspect. */
const HOT_WINDOWS = 6
const HOT_WEIGHT = 0.25
/** Kinds that users feel. Of entities that matter they come first, of others they are there while there is room. */
const GOLDEN: ReadonlySet<MetricKind> = new Set(['latency', 'error', 'availability', 'traffic', 'saturation'])
/** Of those admitted in one window, how many may come in for it: suspects need not wait until all of them are in. */
const GOLDEN_MOST = 2
/** Windows between two times that it is asked who matters: a quarter of an hour at fifteen seconds. */
const REVIEW_WINDOWS = 60

interface Counts {
  admitted: number
  evicted: number
  /** Suspects that found no room. */
  refused: number
  /** Admitted without a past to be fed. */
  cold: number
}

/** All but the counts are absent before golden signals came first. */
interface SavedMeta {
  readonly counts: Counts
  readonly reviewedMs?: number
  readonly isSeeking?: boolean
  readonly hasMore?: boolean
  readonly important?: readonly (readonly [entity: string, importance: number])[]
}

/**
 * The pool for suspects: a capped number of series that costly detectors look at as well. In come golden signals of entities
 * that matter, the most important first, on half of the places at most; then series with an open anomaly or a high surprise,
 * the most surprising first, and other golden signals while there is room. Out go those that were suspects longest ago. Who comes in is fed its recent history first, so that the detectors have an opinion at once.
 * Rows of the same windows decide, never a clock: a replay fills the pool alike. Who comes in is settled when a window is over,
 * among all of its rows, in however many batches they came.
 */
export class SuspectPool {
  readonly id = ID
  readonly members: readonly PoolMember[]
  readonly slots: PoolSlots
  readonly #context: DetectorContext
  readonly #history: SeriesHistory
  /** Entities that matter, by `entityKey`, as of the last review; series that have no place are looked for in the window after it. */
  #important: ReadonlyMap<string, number> = new Map()
  #reviewedMs = NEVER_MS
  #isSeeking = false
  /** More of them were found than may come in at a time. */
  #hasMore = false
  readonly #head = seriesHead()
  readonly #past: Float64Array
  readonly #one = featureBatch(1, 0)
  readonly #places: PoolPlaces
  /** Suspects that found no place in the window that was settled last. */
  #without = 0
  /** Of the window that ends at `#windowEndMs`, where it is not settled yet. */
  readonly #candidates: PoolCandidates
  #windowEndMs = Number.NaN
  #counts: Counts = { admitted: 0, evicted: 0, refused: 0, cold: 0 }

  constructor(options: PoolOptions, context: DetectorContext, history: SeriesHistory) {
    const kernels = [...new Set(options.detectors)]
    const cost = (name: PooledDetector) => ({
      bytes: stateBytes(KERNELS[name]() as unknown as Kernel<ColumnSpec>),
      microseconds: MICROSECONDS[name],
    })
    this.#places = placesOf(options, kernels.map(cost))
    const size = this.#places.places
    this.#context = context
    this.#history = history
    this.slots = new PoolSlots(size)
    this.#past = new Float64Array(Math.min(PAST_WINDOWS, history.depth))
    this.#candidates = new PoolCandidates(GOLDEN_MOST, ADMITTED_MOST, series => context.series.key(series))
    const { stepMs, direction } = context
    const own: DetectorContext = {
      series: this.slots.rows,
      stepMs,
      ...(direction ? { direction: slot => direction(this.slots.seriesAt(slot)) } : {}),
    }
    this.members = kernels.map(
      name => new PoolMember(own, KERNELS[name]() as unknown as Kernel<ColumnSpec>, this.slots, size),
    )
    this.#one.length = 1
    this.#one.coverage[0] = 1
  }

  get calibrations(): readonly Calibration[] {
    return this.members.flatMap(member => member.calibrations)
  }

  /**
   * Series held now, places, and suspects of the last window without one, by what there is too little of; since the start: admitted,
   * evicted, refused for want of room, admitted without a past.
   */
  counts(): Readonly<Record<string, number>> {
    const { places, bound } = this.#places
    return { held: this.slots.size, places, [`without-${bound}`]: this.#without, ...this.#counts }
  }

  /** After the rows were judged and learned: who of them is a suspect now. `open` is 1 where an anomaly is open. */
  consider(batch: FeatureBatch, opinions: OpinionBatch, open: Uint8Array): void {
    if (batch.length === 0) return
    const nowMs = batch.windowEndMs[0]
    this.settle(nowMs)
    this.#windowEndMs = nowMs
    const hasRoom = !this.slots.isFull
    const head = this.#head
    for (let i = 0; i < batch.length; i++) {
      const point = opinions.point[i]
      const incident = opinions.incident[i]
      const isSuspect = open[i] === 1 || point >= SUSPECT_AT || incident >= SUSPECT_AT
      if (!isSuspect && !hasRoom && !this.#isSeeking) continue
      const series = batch.series[i]
      const slot = this.slots.slotOf(series)
      if (slot >= 0) {
        if (isSuspect) this.slots.suspect(slot, nowMs)
        continue
      }
      if (!this.#context.series.head(series, head)) continue
      const importance = this.#importanceOf(head)
      const surprise = isSuspect ? Math.max(point || 0, incident || 0) : -1
      if (isSuspect || importance > 0 || (hasRoom && GOLDEN.has(head.kind)))
        this.#candidates.add({ series, importance, surprise })
    }
  }

  /** Lets the best of a window in, once it is over: before anything of the one that ends at `nextMs` is looked at. */
  settle(nextMs = Number.NaN): void {
    const nowMs = this.#windowEndMs
    if (Number.isNaN(nowMs) || nowMs === nextMs) return
    this.#windowEndMs = Number.NaN
    const candidates = this.#candidates
    const suspects = candidates.suspectCount - this.#admitBest(nowMs)
    this.#without = this.slots.isFull ? suspects : 0
    candidates.clear()
  }

  /** Called when a window is complete: now and then it is asked how much entities matter. */
  review(windowEndMs: number, importance: () => ReadonlyMap<string, number>): void {
    this.settle()
    this.#isSeeking = this.#hasMore
    this.#hasMore = false
    if (windowEndMs - this.#reviewedMs < REVIEW_WINDOWS * this.#context.stepMs) return
    this.#isSeeking = true
    this.#reviewedMs = windowEndMs
    this.#important = importance()
    this.slots.weigh(series => this.#importanceOf(series))
  }

  #importanceOf({ kind, tenant, entity }: Pick<SeriesHead, 'kind' | 'tenant' | 'entity'>): number {
    return GOLDEN.has(kind) ? (this.#important.get(entityKey(tenant, entity)) ?? 0) : 0
  }

  /** Returns how many suspects came in. */
  #admitBest(nowMs: number): number {
    const { golden, goldenCount, all } = this.#candidates
    const admitted = new Set<number>()
    let suspects = 0
    const admit = (one: Candidate) => {
      this.#admit(one, nowMs)
      admitted.add(one.series)
      if (one.surprise >= 0) suspects++
    }
    for (const one of golden) {
      if (!this.#makeRoom(this.slots.victimOfGolden(one.importance))) break
      admit(one)
    }
    if (admitted.size === GOLDEN_MOST && goldenCount > GOLDEN_MOST) this.#hasMore = true
    const keptMs = nowMs - KEPT_WINDOWS * this.#context.stepMs
    const left = all.filter(({ series }) => !admitted.has(series))
    for (const one of left.slice(0, ADMITTED_MOST - admitted.size)) {
      const isSuspect = one.surprise >= 0
      const hasRoom = !this.slots.isFull || (isSuspect && this.#makeRoom(this.slots.victimOfSuspect(keptMs)))
      if (!hasRoom) {
        if (isSuspect) this.#counts.refused++
        continue
      }
      admit(one)
    }
    return suspects
  }

  /** Whether there is room: at once where nobody has to go, where somebody can once that one has gone. */
  #makeRoom(victim: number | undefined): boolean {
    if (victim === undefined) return true
    if (victim < 0) return false
    this.#release(victim)
    this.#counts.evicted++
    return true
  }

  #admit({ series, surprise, importance }: Candidate, nowMs: number): void {
    const suspectMs = surprise >= 0 ? nowMs : NEVER_MS
    const slot = this.slots.take(series, this.#context.series, suspectMs, importance)
    this.#counts.admitted++
    const { stepMs } = this.#context
    const toMs = Math.min(nowMs, this.#history.newestEndMs)
    const fromMs = toMs - this.#past.length * stepMs
    const count = this.#history.observed(series, fromMs, toMs, this.#past)
    if (!(count > 0)) {
      this.#counts.cold++
      return
    }
    const one = this.#one
    const weight = Float32Array.of(1)
    one.series[0] = slot
    for (let k = 0; k < count; k++) {
      if (Number.isNaN(this.#past[k])) continue
      one.observed[0] = this.#past[k]
      one.windowEndMs[0] = toMs - (count - 1 - k) * stepMs
      weight[0] = k < count - HOT_WINDOWS ? 1 : HOT_WEIGHT
      for (const member of this.members) member.feed(one, weight)
    }
  }

  #release(slot: number): void {
    for (const member of this.members) member.release(slot)
    this.slots.release(slot)
  }

  forget(series: number): void {
    const slot = this.slots.slotOf(series)
    if (slot >= 0) this.#release(slot)
    this.#candidates.forget(series)
  }

  snapshot(): Snapshot {
    this.settle()
    return {
      id: ID,
      version: VERSION,
      ...this.slots.saved(),
      meta: {
        counts: { ...this.#counts },
        reviewedMs: this.#reviewedMs,
        isSeeking: this.#isSeeking,
        hasMore: this.#hasMore,
        important: [...this.#important],
      } satisfies SavedMeta,
    }
  }

  /** Takes who was in the pool; their detectors and calibrations are parts of their own and come after it. */
  restore(from: Snapshot): void {
    const { suspectMs, importance } = from.columns
    if (from.id !== ID || from.version !== VERSION || suspectMs?.length !== from.keys.length)
      throw new ForeshockError(
        'FS_SNAPSHOT_INVALID',
        `expected ${ID} v${VERSION}, got ${from.id} v${from.version}`,
      )
    const {
      counts,
      reviewedMs = NEVER_MS,
      isSeeking = false,
      hasMore = false,
      important = [],
    } = from.meta as SavedMeta
    this.#counts = { ...counts }
    this.#reviewedMs = reviewedMs
    this.#isSeeking = isSeeking
    this.#hasMore = hasMore
    this.#important = new Map(important)
    for (const [i, key] of from.keys.entries()) {
      const series = this.#context.series.row(key)
      // A pool made smaller keeps the first ones.
      if (series >= 0 && !this.slots.isFull)
        this.slots.take(series, this.#context.series, suspectMs[i], importance?.[i] ?? 0)
    }
  }

  /** Of the pool itself; its members are counted as detectors. */
  bytes(): number {
    return this.slots.bytes() + this.#past.byteLength
  }
}
