import type { MetricKind } from '../core/metric-kind.ts'
import type { SeriesMeta } from '../core/series.ts'
import { BLOCK_METRICS_MAX, type RidgeDetector, ridgeRows } from './ridge.ts'
import { REFRESH_ROWS } from './ridge-block.ts'
import { VIEWS } from './ridge-views.ts'

/** Who is judged together: entities, what they cost, and in which order they are taken. */

/** What may be spent on metrics judged together. */
export interface CoverOptions {
  /** Metrics of one entity judged together at most. */
  readonly maxMetrics: number
  /** Bytes of learned state at most. */
  readonly budgetBytes: number
  /** Share of one core that scoring and learning may take, 0..1, by OPS_A_MS: no clock is read. */
  readonly cpuShare: number
  /** Windows before an entity's first opinion at most. */
  readonly warmUpMax: number
}

/**
 * Multiply-adds in a millisecond: what the scoring loops reach when every entity comes from memory, not from the cache
 * (`npm run bench -- --only entities`).
 */
const OPS_A_MS = 400_000
/** A metric alone says nothing of others. */
export const METRICS_LEAST = 2

/** The signals that users feel come first; resources explain. */
const GOLDEN: ReadonlySet<MetricKind> = new Set(['latency', 'error', 'traffic', 'availability', 'saturation'])

export function isGolden(meta: SeriesMeta): boolean {
  return GOLDEN.has(meta.kind)
}

export interface Entity {
  readonly key: string
  readonly name: string
  /** Rows of the series table that are judged, in the order of the detector's metrics. */
  members: number[]
  /** Rows that are not. */
  waiting: number[]
  /** Golden signals among both. */
  golden: number
  /** Place in the order of admission; −1 while it is not judged. */
  turn: number
  detector: RidgeDetector | undefined
  /** Of the row seen last: a value per metric. */
  values: Float64Array
  /** Mark of the batch that the values are of. */
  stamp: number
  /** End of the window learned last. */
  learnedEndMs: number
}

export interface Cost {
  readonly bytes: number
  /** Multiply-adds a window. */
  readonly ops: number
}

/** What an entity of so many metrics costs, as they would be split into blocks. */
export function costOf(metrics: number, stepMs: number, warmUpMax: number): Cost {
  if (metrics < METRICS_LEAST) return { bytes: 0, ops: 0 }
  const { warmUp } = ridgeRows(stepMs, warmUpMax)
  const blocks = Math.ceil(metrics / BLOCK_METRICS_MAX)
  const m = Math.ceil(metrics / blocks)
  const n = VIEWS * m
  const ready = 12 * n * n + 4 * REFRESH_ROWS * (n + m) + 8 * (10 * n + 14 * m)
  const warming = 4 * m * (warmUp + REFRESH_ROWS)
  // Product with the precision and quadratic form each row; outer products, two factors and an inverse each refresh.
  const ops = 1.5 * n * n + n * n * 0.5 + (0.85 * n * n * n) / REFRESH_ROWS
  return { bytes: blocks * Math.max(ready, warming), ops: blocks * ops }
}

/** Sums of what is spent, against what may be. */
export class Spending {
  bytes = 0
  ops = 0
  readonly #bytesMax: number
  readonly #opsMax: number
  readonly #costOf: (metrics: number) => Cost

  constructor({ budgetBytes, cpuShare, warmUpMax }: CoverOptions, stepMs: number) {
    this.#bytesMax = budgetBytes
    this.#opsMax = cpuShare * stepMs * OPS_A_MS
    this.#costOf = metrics => costOf(metrics, stepMs, warmUpMax)
  }

  /** Whether an entity may go from so many metrics to so many; `freed` is what others would give back. */
  allows(from: number, to: number, freed: Cost = { bytes: 0, ops: 0 }): boolean {
    const before = this.#costOf(from)
    const after = this.#costOf(to)
    return (
      this.bytes - freed.bytes + after.bytes - before.bytes <= this.#bytesMax &&
      this.ops - freed.ops + after.ops - before.ops <= this.#opsMax
    )
  }

  move(from: number, to: number): void {
    const before = this.#costOf(from)
    const after = this.#costOf(to)
    this.bytes += after.bytes - before.bytes
    this.ops += after.ops - before.ops
  }
}
