import type { EntityDetector, EntityOpinion } from '../core/entity-detector.ts'
import { RidgeBlock } from './ridge-block.ts'

const DAY_MS = 86_400_000
/** The cost is cubic in the metrics of a block. */
const BLOCK_METRICS_MAX = 60
/** Smoothing of the entity's score, per row. */
const SMOOTHING = 1 / 3
const FORM_SHARE = 0.25

/** All metrics of one entity together: see RidgeBlock. More than 60 metrics are split into even blocks. */
export class RidgeDetector implements EntityDetector {
  readonly id = 'ridge@1'
  readonly metrics: number
  readonly warmUpRows: number
  readonly #blocks: RidgeBlock[] = []
  readonly #opinion: EntityOpinion
  #smoothed = 0

  constructor(options: { readonly metrics: number; readonly stepMs: number }) {
    this.metrics = options.metrics
    const dayRows = Math.max(1, Math.round(DAY_MS / options.stepMs))
    const count = Math.ceil(options.metrics / BLOCK_METRICS_MAX)
    for (let b = 0, from = 0; b < count; b++) {
      const until = Math.floor(((b + 1) * options.metrics) / count)
      this.#blocks.push(new RidgeBlock(until - from, dayRows))
      from = until
    }
    this.warmUpRows = Math.max(dayRows, 60)
    this.#opinion = {
      score: NaN,
      share: new Float64Array(options.metrics),
      imputed: new Uint8Array(options.metrics),
    }
  }

  next(values: Float64Array, weight = 1): EntityOpinion {
    const opinion = this.#opinion
    const isReady = this.#blocks.length > 0 && this.#blocks[0].isReady
    let from = 0
    let sum = 0
    let seen = 0
    let form = 0
    for (const block of this.#blocks) {
      block.next(values, from, weight)
      if (isReady) {
        for (let j = 0; j < block.metrics; j++) {
          opinion.share[from + j] = block.share[j]
          opinion.imputed[from + j] = block.imputed[j]
          sum += block.share[j]
          seen += 1 - block.imputed[j]
        }
        form += (block.form * block.metrics) / this.metrics
      }
      from += block.metrics
    }
    opinion.score = NaN
    if (!isReady) return opinion
    if (seen === 0) return opinion
    const q = sum / seen + FORM_SHARE * Math.sqrt(form)
    this.#smoothed += SMOOTHING * (q - this.#smoothed)
    opinion.score = this.#smoothed
    return opinion
  }

  bytes(): number {
    return this.#blocks.reduce((sum, block) => sum + block.bytes(), 0)
  }
}
