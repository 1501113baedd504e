import type { ModelPlan } from './model-plan.ts'
import { type ModelQuestion, type OwnRows, strangeness } from './model-question.ts'
import type { ModelRings } from './model-rings.ts'
import { RAW, readOutput } from './model-scores.ts'

/** A move in the good direction is this much as strange, as in deviation@1. */
const GOOD_SHARE = 0.25

/** What a version says of the own rows of a window. */
export interface Said {
  rawPoint: Float64Array
  rawIncident: Float64Array
  /** Against the usual size, which is what is calibrated. */
  point: Float32Array
  incident: Float32Array
  pointSurprise: Float32Array
  incidentSurprise: Float32Array
  pointBins: Uint8Array
  incidentBins: Uint8Array
  /** How much of an entity's incident is this series' own, 0..1. */
  part: Float32Array
  expected: Float64Array
  lower: Float64Array
  upper: Float64Array
}

/** What of a model's series an answer is read by. */
interface Surroundings {
  readonly rings: ModelRings
  /** Which way is bad for a covered row: 1 up, −1 down, 0 both. */
  readonly sideOf: (coveredRow: number) => number
}

/** The output of one version for one window, read as raw scores and expectations of the own rows that it was asked about. */
export class ModelAnswer {
  said: Said = newSaid(0)
  readonly #plan: ModelPlan
  readonly #question: ModelQuestion
  readonly #surroundings: Surroundings
  readonly #numbers = new Float64Array(5)

  constructor(plan: ModelPlan, question: ModelQuestion, surroundings: Surroundings) {
    this.#plan = plan
    this.#question = question
    this.#surroundings = surroundings
  }

  /** Nothing is said of so many own rows. */
  clear(length: number): void {
    if (this.said.point.length < length) this.said = newSaid(Math.max(64, 2 * length))
    const { said } = this
    for (const column of [said.rawPoint, said.rawIncident, said.expected, said.lower, said.upper])
      column.fill(NaN, 0, length)
    for (const column of [said.point, said.incident, said.pointSurprise, said.incidentSurprise])
      column.fill(NaN, 0, length)
    said.part.fill(1, 0, length)
  }

  /** Output rows → raw scores of the own rows; returns how many rows are not numbers, and so no answer. */
  read(own: OwnRows, output: Float32Array): number {
    const { rows, width } = this.#question
    const { outputWidth } = this.#plan
    let failed = 0
    for (let row = 0; row < rows; row++) {
      if (!isUsable(output, row * outputWidth, outputWidth)) {
        failed++
        continue
      }
      for (let slot = 0; slot < width; slot++) this.#readSlot(own, output, row, slot)
      if (this.#plan.of === 'entity') this.#shareOut(own, row)
    }
    return failed
  }

  #readSlot(own: OwnRows, output: Float32Array, row: number, slot: number): void {
    const question = this.#question
    const at = row * question.width + slot
    const k = question.ownOf[at]
    if (k < 0 || Number.isNaN(question.newest[at])) return
    const numbers = this.#numbers
    readOutput(this.#plan, question.input, output, row, slot, question.newest[at], numbers)
    const { said } = this
    const [centre, scale] = [question.centre[at], question.scale[at]]
    const expected = finite(centre + scale * numbers[RAW.expected])
    // A move in the good direction is strange, but nobody's trouble.
    const isGood = this.#surroundings.sideOf(own.covered[k]) * (own.observed[k] - expected) < 0
    const weight = isGood ? GOOD_SHARE : 1
    const point = weight * numbers[RAW.point]
    const incident = weight * numbers[RAW.incident]
    // A series may be several metrics of a card, such as the strangest of its kind and of all.
    if (said.rawPoint[k] >= point) return
    said.rawPoint[k] = point
    said.rawIncident[k] = incident
    said.expected[k] = expected
    said.lower[k] = finite(centre + scale * numbers[RAW.lower])
    said.upper[k] = finite(centre + scale * numbers[RAW.upper])
  }

  /**
   * An entity's incident is that of all its metrics together, of which the loudest carries all and the others by how
   * loud they are. Where the model has one number for the entity, its metrics are as loud as they are far from usual.
   */
  #shareOut(own: OwnRows, row: number): void {
    const question = this.#question
    const { said } = this
    const isOne = this.#plan.task === 'score' && this.#plan.outputWidth === 1
    const { rings } = this.#surroundings
    const loudness = (k: number) =>
      isOne ? Math.max(0, strangeness(rings, own.covered[k], own.observed[k])) : said.rawIncident[k]
    let loudest = 0
    let sum = 0
    let count = 0
    for (let slot = 0; slot < question.width; slot++) {
      const k = question.ownOf[row * question.width + slot]
      if (k < 0 || Number.isNaN(said.rawIncident[k])) continue
      loudest = Math.max(loudest, loudness(k))
      sum += said.rawIncident[k]
      count++
    }
    if (count === 0) return
    for (let slot = 0; slot < question.width; slot++) {
      const k = question.ownOf[row * question.width + slot]
      if (k < 0 || Number.isNaN(said.rawIncident[k])) continue
      said.part[k] = loudest > 0 ? loudness(k) / loudest : 0
    }
    for (let slot = 0; slot < question.width; slot++) {
      const k = question.ownOf[row * question.width + slot]
      if (k >= 0 && !Number.isNaN(said.rawIncident[k])) said.rawIncident[k] = sum / count
    }
  }
}

function finite(value: number): number {
  return Number.isFinite(value) ? value : NaN
}

function isUsable(output: Float32Array, from: number, length: number): boolean {
  for (let i = from; i < from + length; i++) if (!Number.isFinite(output[i])) return false
  return true
}

function newSaid(room: number): Said {
  return {
    rawPoint: new Float64Array(room),
    rawIncident: new Float64Array(room),
    point: new Float32Array(room),
    incident: new Float32Array(room),
    pointSurprise: new Float32Array(room),
    incidentSurprise: new Float32Array(room),
    pointBins: new Uint8Array(room),
    incidentBins: new Uint8Array(room),
    part: new Float32Array(room),
    expected: new Float64Array(room),
    lower: new Float64Array(room),
    upper: new Float64Array(room),
  }
}
