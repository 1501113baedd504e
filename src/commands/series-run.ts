import { featureBatch, scoreBatch } from '../core/batch.ts'
import type { LocalTime } from '../core/local-time.ts'
import { maturity } from '../core/maturity.ts'
import { type SeriesMeta, SeriesTable } from '../core/series.ts'
import { DeviationDetector } from '../detectors/deviation.ts'
import { DONE } from '../detectors/runs.ts'
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
/** Samples before level and spread say anything. */
const COARSE_WARM_UP = 20

/**
 * One recorded series fed to one detector, sample by sample: what `score` and `evaluate` both run. Until the detector
 * has an opinion deviation@1 speaks for it, as it does in the live service: level and spread, softly at first.
 */
export class SeriesRun {
  readonly stepMs: number
  /** The opinion of the last sample is in place 0. */
  readonly out = scoreBatch(1)
  readonly detector: ScoringDetector
  readonly #batch = featureBatch(1, 0)
  readonly #weight = Float32Array.of(1)
  readonly #clock = new ForwardClock()
  readonly #localTime: LocalTime | undefined
  #coarse: DeviationDetector | undefined
  #samples = 0

  /** `localTime`: the clocks that daily shapes follow, as in the live service; UTC without. */
  constructor(choice: DetectorChoice, stepMs: number, localTime?: LocalTime) {
    this.#localTime = localTime
    const series = new SeriesTable(1)
    series.intern(SERIES)
    this.stepMs = stepMs
    this.detector = choice.make({ series, stepMs })
    this.#coarse = new DeviationDetector({ series, stepMs })
    this.#batch.length = 1
    this.#batch.coverage[0] = 1
  }

  /**
   * Scores a sample, then learns it; the time it was taken for, Unix ms. A promise only when a model must be waited
   * for, and then nothing may be asked before it is kept.
   */
  next(timeMs: number, value: number): number | Promise<number> {
    const startMs = this.#clock.at(timeMs)
    this.#batch.windowEndMs[0] = (this.#localTime?.localMs(startMs) ?? startMs) + this.stepMs
    this.#batch.observed[0] = value
    if (this.detector.scoreNow) this.detector.scoreNow(this.#batch, this.out)
    else {
      const scored = this.detector.score(this.#batch, this.out)
      if (scored !== DONE) return scored.then(() => this.#learn(startMs))
    }
    return this.#learn(startMs)
  }

  #learn(startMs: number): number {
    if (this.#coarse) this.#speakFor(this.#coarse)
    this.detector.learn(this.#batch, this.#weight)
    return startMs
  }

  #speakFor(coarse: DeviationDetector): void {
    const { out } = this
    if (!Number.isNaN(out.score[0])) {
      this.#coarse = undefined
      return
    }
    const n = this.#samples++
    // Its promise is kept before it is made: all of its work is done when `score` returns.
    coarse.score(this.#batch, out)
    coarse.learn(this.#batch, this.#weight)
    const isSilent = n < COARSE_WARM_UP || Number.isNaN(out.score[0])
    const evidence = isSilent ? Number.NaN : coarse.evidence[0] * maturity(n)
    out.score[0] = evidence
    out.point[0] = evidence
    out.incident[0] = evidence
    if (!isSilent) return
    for (const column of [out.expected, out.lower, out.upper]) column[0] = Number.NaN
  }
}
