import type { ColumnData } from '../core/snapshot.ts'
import { LOG_BITS, LOG_FLOAT, LOG_TABLE } from '../math/fast-log.ts'
import { EXCESS, excessSurprise, fitTail, type TailFit } from '../math/tail-fit.ts'
import { priorTail, SURPRISE_MAX } from './calibration.ts'

/**
 * Raw scores → surprise (−log10 of a tail probability) by what all series of a class have said, for series that cannot
 * have a calibration each. Scores are counted in fine log bins; beyond the bin that a few hundred windows lie above a
 * generalised Pareto tail is fitted (math/tail-fit.ts), before it the share counted is itself the probability. A
 * heavy-tailed prior is mixed in as pseudo-windows, so that a pool of few series is cautious.
 *
 * Windows are counted apart while they are learned and join the rest when the next window is learned: whole numbers until
 * then, so that the order of rows does not matter, and one fit a window. Rows of that next window that are scored while others
 * of it are learned already are to hear what the first of them heard, so the joining waits until all of it is scored.
 */

/** 32 bins an octave over .5…128, the last open: finer than one series' calibration, since a pool sees far tails. */
const BINS = 256
const PER_UNIT = 32
const LOWEST = -1
/** What lies below this share is usual. */
const USUAL_SHARE = 0.97
/** Windows counted before there is an opinion. */
const OPINION_WINDOWS = 10
/** Pseudo-windows of the prior, as for one series. */
const PRIOR_WINDOWS = 30
/** Counts of a whole window, so that a down-weighted one still counts. */
const UNITS = 8
/** The tail is the twentieth above, in large pools what so many windows or that share of all lie beyond. */
const TAIL_SHARE = 0.05
const TAIL_WINDOWS = 1000
const TAIL_LEAST = 1e-5
/** A tail that seems to end is not believed: no pool is one law, and what it says beyond what was seen would be much too sure. */
const SHAPE_MIN = -0.1
/** Half-life of what was counted, ms: long enough for far tails, short enough to follow a fleet. */
const HALF_LIFE_MS = 7 * 86_400_000
/**
 * A window that is to teach less than this belongs to an open anomaly or disruption, and counts that many times its weight: of
 * an open anomaly a quarter, since noise opens some too and its tail would look thinner by what is left out, of one in a
 * disruption next to nothing. One that is merely hot counts whole: among so many it is no rule.
 */
const STRANGE_WEIGHT = 0.2
const STRANGE_GAIN = 2.5
/** Bin of a score that is NaN. */
const NO_BIN = -1

const PRIOR = Float64Array.from({ length: BINS }, (_, b) => {
  const edge = (at: number) => (at <= 0 ? 1 : at >= BINS ? 0 : priorTail(2 ** (LOWEST + at / PER_UNIT)))
  return PRIOR_WINDOWS * (edge(b) - edge(b + 1))
})
const PRIOR_TOTAL = PRIOR.reduce((sum, mass) => sum + mass, 0)

/** Places in what is known of a class: the tail's fit, whether the pool speaks (1), and the score that USUAL_SHARE of all windows lie below. */
const KNOWN = { threshold: 0, surprise: 1, scale: 2, shape: 3, speaks: 4, usual: 5 } as const
const KNOWN_WIDTH = 8

/** Where a pool lies that a kernel reads too. */
export interface PoolPlace {
  /** See KNOWN. */
  readonly known: Float64Array
  /** Surprise at the lower edge of each bin, up to the threshold of the tail. */
  readonly edges: Float64Array
  /** Windows counted in this window, in UNITS. */
  readonly fresh: Uint32Array
}

/** What is known of one class. */
interface Pool extends PoolPlace {
  /** Windows counted, in UNITS, before those set aside and this one. */
  readonly counts: Float64Array
  /** Those of the window before this one while it has not joined. */
  readonly aside: Uint32Array
  readonly fit: TailFit
}

function newPlace(): PoolPlace {
  return {
    known: new Float64Array(KNOWN_WIDTH),
    edges: new Float64Array(BINS + 1),
    fresh: new Uint32Array(BINS),
  }
}

function newPool(counts: Float64Array, { known, edges, fresh }: PoolPlace): Pool {
  const aside = new Uint32Array(BINS)
  return {
    counts,
    aside,
    known,
    edges,
    fresh,
    fit: { threshold: 0, surprise: 0, scale: 0, shape: 0, slope: 0 },
  }
}

const TAIL = new Float64Array(3)

/** The pools of one voice, by class. */
export class PooledCalibration {
  readonly #pools = new Map<string, Pool>()
  /** Pools by class number, as the caller numbers classes. */
  readonly #byClass: (Pool | undefined)[] = []

  /** Share of older counts that is kept when what was set aside joins them; undefined while nothing is. */
  #kept: number | undefined

  readonly #runWindows: number
  readonly #placeOf: ((kind: number) => PoolPlace) | undefined

  /**
   * `runWindows`: about how many windows in a row are strange together when one is, by noise alone. So many count as one
   * when it is said how sure the tail's scale is; it is taken one standard error larger. `placeOf`: where the pool of a class
   * is to lie, when a kernel reads it too.
   */
  constructor(runWindows = 1, placeOf?: (kind: number) => PoolPlace) {
    this.#runWindows = runWindows
    this.#placeOf = placeOf
  }

  /** Makes the pool of a class, whose name stays the same over restarts, where there is none. */
  ensure(kind: number, nameOf: (kind: number) => string): void {
    this.#poolOf(kind, nameOf)
  }

  #poolOf(kind: number, nameOf: (kind: number) => string): Pool {
    const known = this.#byClass[kind]
    if (known) return known
    const name = nameOf(kind)
    const kept = this.#pools.get(name)
    const place = this.#placeOf?.(kind)
    const pool = kept && !place ? kept : newPool(kept?.counts ?? new Float64Array(BINS), place ?? newPlace())
    if (place) {
      place.fresh.fill(0)
      if (kept) place.fresh.set(kept.fresh)
      place.known[KNOWN.speaks] = 0
      place.known[KNOWN.usual] = 0
      if (kept) refit(pool, this.#runWindows)
    }
    this.#pools.set(name, pool)
    this.#byClass[kind] = pool
    return pool
  }

  /**
   * Fills `raw[i]` of rows whose class is `kinds[i]` with their surprise, 0..12, NaN without an opinion; and
   * bins[at + i·stride], class and bin, which `learn` counts.
   */
  surprise(
    raw: Float32Array,
    kinds: Uint8Array,
    length: number,
    bins: Float32Array,
    at: number,
    stride: number,
    nameOf: (kind: number) => string,
  ): void {
    for (let i = 0, to = at; i < length; i++, to += stride) {
      const score = raw[i]
      if (Number.isNaN(score)) {
        bins[to] = NO_BIN
        continue
      }
      const pool = this.#byClass[kinds[i]] ?? this.#poolOf(kinds[i], nameOf)
      raw[i] = NaN
      bins[to] = BINS * kinds[i]
      if (score > 0.5) surpriseOf(pool, score, raw, i, bins, to)
      else if (pool.known[KNOWN.speaks] === 1) raw[i] = 0
    }
  }

  /** The score that 97 of 100 windows of a class lie below, as it is heard in this window; the lower edge of its bin. */
  usual(kind: number): number {
    return this.#byClass[kind]?.known[KNOWN.usual] ?? 0
  }

  /** Counts what `surprise` left in `bins`. */
  learn(length: number, bins: Float32Array, at: number, stride: number, weight: Float32Array): void {
    for (let i = 0, from = at; i < length; i++, from += stride) {
      const place = bins[from]
      if (place < 0) continue
      const pool = this.#byClass[(place / BINS) | 0] as Pool
      pool.fresh[place & (BINS - 1)] +=
        weight[i] < STRANGE_WEIGHT ? (STRANGE_GAIN * UNITS * weight[i] + 0.5) | 0 : UNITS
    }
  }

  /** A window begins to be learned, `elapsedMs` after the one before: what was counted of that is set aside until `join`. */
  begin(elapsedMs: number): void {
    this.join()
    this.#kept = 2 ** (-elapsedMs / HALF_LIFE_MS)
    for (const { aside, fresh } of this.#pools.values()) {
      aside.set(fresh)
      fresh.fill(0)
    }
  }

  /** What was set aside joins the rest. */
  join(): void {
    const kept = this.#kept
    if (kept === undefined) return
    this.#kept = undefined
    for (const pool of this.#pools.values()) {
      const { counts, aside } = pool
      for (let b = 0; b < BINS; b++) counts[b] = kept * counts[b] + aside[b]
      aside.fill(0)
      refit(pool, this.#runWindows)
    }
  }

  /** Columns of a snapshot and the names of their classes, BINS places each. */
  snapshot(): { readonly names: readonly string[]; readonly columns: Record<string, ColumnData> } {
    this.join()
    const pools = [...this.#pools.values()]
    const counts = new Float64Array(BINS * pools.length)
    const fresh = new Uint32Array(BINS * pools.length)
    for (const [p, pool] of pools.entries()) {
      counts.set(pool.counts, p * BINS)
      fresh.set(pool.fresh, p * BINS)
    }
    return { names: [...this.#pools.keys()], columns: { counts, fresh } }
  }

  /** Whether columns of that many classes are of the right shape; if so, what was known gives way to them. */
  restore(names: readonly string[], columns: Readonly<Record<string, ColumnData>>): boolean {
    const { counts, fresh } = columns
    if (!(counts instanceof Float64Array) || counts.length !== BINS * names.length) return false
    if (!(fresh instanceof Uint32Array) || fresh.length !== BINS * names.length) return false
    this.clear()
    for (const [p, name] of names.entries()) {
      const [from, to] = [p * BINS, (p + 1) * BINS]
      const pool = newPool(counts.slice(from, to), { ...newPlace(), fresh: fresh.slice(from, to) })
      refit(pool, this.#runWindows)
      this.#pools.set(name, pool)
    }
    return true
  }

  clear(): void {
    this.#pools.clear()
    this.#byClass.length = 0
    this.#kept = undefined
  }

  bytes(): number {
    return this.#pools.size * BINS * 24
  }
}

/** The surprise of a score into out[i] and its bin into bins[to]; NaN stays where the pool has no opinion. */
function surpriseOf(
  pool: Pool,
  score: number,
  out: Float32Array,
  i: number,
  bins: Float32Array,
  to: number,
): void {
  // fastLog2At, written out: called from here it is not inlined, and its result is boxed.
  LOG_FLOAT[0] = score
  const bits = LOG_BITS[0]
  const step = (bits >>> 15) & 255
  const low = LOG_TABLE[step]
  const y = (bits >>> 23) - 127 + low + ((bits & 0x7fff) / 0x8000) * (LOG_TABLE[step + 1] - low)
  const place = (y - LOWEST) * PER_UNIT
  const bin = place >= BINS ? BINS - 1 : place | 0
  bins[to] += bin
  const { known, edges } = pool
  if (known[KNOWN.speaks] === 0) return
  const excess = y - known[KNOWN.threshold]
  if (excess < 0) {
    out[i] = edges[bin] + (place - bin) * (edges[bin + 1] - edges[bin])
    return
  }
  TAIL[EXCESS.excess] = excess
  TAIL[EXCESS.scale] = known[KNOWN.scale]
  TAIL[EXCESS.shape] = known[KNOWN.shape]
  excessSurprise(TAIL)
  out[i] = Math.min(SURPRISE_MAX, known[KNOWN.surprise] + TAIL[EXCESS.excess])
}

function refit(pool: Pool, runWindows: number): void {
  const { counts, edges, fit, known } = pool
  let total = 0
  for (let b = 0; b < BINS; b++) total += counts[b]
  const windows = total / UNITS
  const least = Math.max(TAIL_LEAST, TAIL_WINDOWS / Math.max(windows, 1))
  const share = Math.min(TAIL_SHARE, least)
  fitTail(counts, 0, BINS, 1 / UNITS, PRIOR, PRIOR_TOTAL, LOWEST, PER_UNIT, fit, share, SHAPE_MIN)
  fit.scale *= 1 + Math.min(1, Math.sqrt(runWindows / (share * (windows + PRIOR_TOTAL))))
  let above = 0
  for (let b = BINS - 1; b >= 0; b--) {
    above += counts[b] / UNITS + PRIOR[b]
    const share = above / (windows + PRIOR_TOTAL)
    edges[b] = -Math.log10(Math.min(1, share))
    if (share <= 1 - USUAL_SHARE) known[KNOWN.usual] = 2 ** (LOWEST + b / PER_UNIT)
  }
  edges[BINS] = edges[BINS - 1]
  known[KNOWN.threshold] = fit.threshold
  known[KNOWN.surprise] = fit.surprise
  known[KNOWN.scale] = fit.scale
  known[KNOWN.shape] = fit.shape
  known[KNOWN.speaks] = windows >= OPINION_WINDOWS ? 1 : 0
}
