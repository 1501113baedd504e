import { featureBatch, scoreBatch } from '../core/batch.ts'
import { type SeriesMeta, SeriesTable } from '../core/series.ts'
import { ForwardClock } from './score-clock.ts'
import type { DetectorChoice, ScoringDetector } from './score-detectors.ts'

/** The one series of a file, as a detector knows it. */
const SERIES: SeriesMeta = {
  key: 'value',
  tenant: 'default',
  metric: 'value',
  labels: {},
  entity: 'value',
  unit: '',
  kind: 'other',
  bad: 'both',
}

/** One recorded series fed to one detector, sample by sample: what `score` and `evaluate` both run. */
export class SeriesRun {
  readonly stepMs: number
  /** The opinion of the last sample is in place 0. */
  readonly out = scoreBatch(1)
  readonly detector: ScoringDetector
  readonly #batch = featureBatch(1, 0)
  readonly #weight = Float32Array.of(1)
  readonly #clock = new ForwardClock()

  constructor(choice: DetectorChoice, stepMs: number) {
    const series = new SeriesTable(1)
    series.intern(SERIES)
    this.stepMs = stepMs
    this.detector = choice.make({ series, stepMs })
    this.#batch.length = 1
    this.#batch.coverage[0] = 1
  }

  /** Scores a sample, then learns it; returns the time it was taken for, Unix ms. */
  next(timeMs: number, value: number): number {
    const startMs = this.#clock.at(timeMs)
    this.#batch.windowEndMs[0] = startMs + this.stepMs
    this.#batch.observed[0] = value
    this.detector.scoreNow(this.#batch, this.out)
    this.detector.learn(this.#batch, this.#weight)
    return startMs
  }
}
