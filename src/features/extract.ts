import type { FeatureBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT, ColumnStore } from '../core/columns.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import type { SeriesTable } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { deltaZ, LEVEL_COLUMNS, learnLevel, levelZ, zScore } from './level.ts'
import { learnSeason, SEASON_COLUMNS, seasonSlot, seasonZ } from './season.ts'

/**
 * The feature vector of a row, in this order, all unitless; 0 stands for "nothing to say", so that a model
 * never meets NaN. Standard scores lie in ±20.
 */
export const FEATURES = [
  /** Deviation from the exponentially weighted level, in usual residuals. */
  'level-z',
  /** Change since the window before, in usual changes. */
  'delta-z',
  /** Deviation from the same time of earlier seasons, in usual residuals. */
  'season-z',
  /** Highest − lowest sample of the window, in usual residuals. */
  'range-z',
  /** Samples seen / expected, 0..1. */
  'coverage',
  /** Phase of the season at the middle of the window. */
  'phase-sin',
  'phase-cos',
] as const

const VERSION = 1
/** Values beyond count as this much, so that differences and Float32 means stay finite. */
const VALUE_MAX = 1e37

/** The baselines behind the feature vectors. Each row is described first and learned from after. */
export class FeatureExtractor {
  readonly #level = new ColumnStore(LEVEL_COLUMNS)
  readonly #season = new ColumnStore(SEASON_COLUMNS)
  readonly #seasonMs: number
  readonly #stepMs: number

  constructor(seasonMs: number, stepMs: number) {
    this.#seasonMs = seasonMs
    this.#stepMs = stepMs
  }

  ensure(rows: number): void {
    this.#level.ensure(rows)
    this.#season.ensure(rows)
  }

  /** Fills `batch.features`; `spread` is highest − lowest sample per row. */
  fill(batch: FeatureBatch, spread: Float64Array): void {
    const { series, observed, coverage, features, width, length } = batch
    if (length === 0) return
    const middleMs = batch.windowEndMs[0] - this.#stepMs / 2
    const angle = (2 * Math.PI * (middleMs % this.#seasonMs)) / this.#seasonMs
    const sin = Math.sin(angle)
    const cos = Math.cos(angle)
    const slot = seasonSlot(middleMs, this.#seasonMs)
    this.#level.touchRows(series, length)
    this.#season.touchRows(series, length)
    for (let i = 0; i < length; i++) {
      const x = Math.max(-VALUE_MAX, Math.min(VALUE_MAX, observed[i]))
      const chunk = series[i] >> CHUNK_SHIFT
      const at = series[i] & CHUNK_MASK
      const o = i * width
      features[o + 4] = coverage[i]
      features[o + 5] = sin
      features[o + 6] = cos
      if (Number.isNaN(x)) {
        features.fill(0, o, o + 4)
        continue
      }
      const level = this.#level.chunks[chunk]
      const season = this.#season.chunks[chunk]
      features[o] = levelZ(level, at, x)
      features[o + 1] = deltaZ(level, at, x)
      features[o + 2] = seasonZ(season, at, slot, x)
      features[o + 3] = level.windows[at] < 2 ? 0 : zScore(spread[i], level.residual[at], level.level[at])
      learnLevel(level, at, x)
      learnSeason(season, at, slot, x)
    }
  }

  forget(row: number): void {
    this.#level.clear(row)
    this.#season.clear(row)
  }

  bytes(): number {
    return this.#level.bytes() + this.#season.bytes()
  }

  snapshot(table: SeriesTable): Snapshot[] {
    return [
      this.#level.snapshot('level', VERSION, table),
      this.#season.snapshot('season', VERSION, table, { seasonMs: this.#seasonMs }),
    ]
  }

  cut(cut: Cut, table: SeriesTable): CutSnapshot[] {
    return [
      this.#level.cut(cut, 'level', VERSION, table),
      this.#season.cut(cut, 'season', VERSION, table, { seasonMs: this.#seasonMs }),
    ]
  }

  restore(parts: readonly Snapshot[], table: SeriesTable): void {
    for (const part of parts) {
      if (part.id === 'level') this.#level.restore(part, 'level', VERSION, table)
      // A season of another length says nothing about this one.
      const same = (part.meta as { seasonMs?: number } | null)?.seasonMs === this.#seasonMs
      if (part.id === 'season' && same) this.#season.restore(part, 'season', VERSION, table)
    }
  }
}
