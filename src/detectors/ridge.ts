import type { EntityDetector, EntityOpinion } from '../core/entity-detector.ts'
import { RidgeBlock } from './ridge-block.ts'
import { carryColumns, type StateColumn, savedLength } from './ridge-columns.ts'
import { RidgeWorkspace } from './ridge-workspace.ts'

const DAY_MS = 86_400_000
/** The cost is cubic in the metrics of a block. */
export const BLOCK_METRICS_MAX = 60
/** Smoothing of the entity's score, per row. */
const SMOOTHING = 1 / 3
const FORM_SHARE = 0.25
/** Rows before the first opinion: a day, but no more than a day of minutes and no fewer than an hour of them. */
export const WARM_UP_MAX = 1440
const WARM_UP_LEAST = 60

/** Rows a day and rows before the first opinion, at a step. */
export function ridgeRows(
  stepMs: number,
  warmUpMax = WARM_UP_MAX,
): { readonly day: number; readonly warmUp: number } {
  const day = Math.max(1, Math.round(DAY_MS / stepMs))
  return { day, warmUp: Math.max(WARM_UP_LEAST, Math.min(warmUpMax, day)) }
}

export interface RidgeOptions {
  readonly metrics: number
  readonly stepMs: number
  /** Rows by which it warms up longer, so that many entities are not refreshed in the same window. */
  readonly phase?: number
  /** Rows before the first opinion at most; a day of minutes where not said. */
  readonly warmUpMax?: number
  readonly workspace?: RidgeWorkspace
}

interface Part {
  block: RidgeBlock
  /** Metric of the entity per metric of the block, ascending. */
  places: number[]
}

/** The state of an entity apart from its columns; JSON-safe. */
export interface RidgeShape {
  readonly phase: number
  readonly smoothed: number
  readonly parts: readonly {
    readonly places: readonly number[]
    readonly numbers: readonly number[]
    /** Numbers saved of each column. */
    readonly lengths: Readonly<Record<string, number>>
  }[]
}

export interface RidgeOpinion extends EntityOpinion {
  /** The largest share. */
  loudest: number
}

/** All metrics of one entity together: see RidgeBlock. More than 60 metrics are split into even blocks. */
export class RidgeDetector implements EntityDetector {
  readonly id = 'ridge@1'
  readonly warmUpRows: number
  readonly phase: number
  readonly #dayRows: number
  readonly #workspace: RidgeWorkspace
  #parts: Part[] = []
  #metrics: number
  #opinion: RidgeOpinion
  #gathered = new Float64Array(BLOCK_METRICS_MAX)
  #smoothed = 0
  #nextSmoothed = 0

  constructor(options: RidgeOptions) {
    const { day, warmUp } = ridgeRows(options.stepMs, options.warmUpMax)
    this.phase = options.phase ?? 0
    this.warmUpRows = warmUp + this.phase
    this.#dayRows = day
    this.#workspace = options.workspace ?? new RidgeWorkspace()
    this.#metrics = options.metrics
    this.#opinion = emptyOpinion(options.metrics)
    const count = Math.ceil(options.metrics / BLOCK_METRICS_MAX)
    for (let b = 0, from = 0; b < count; b++) {
      const until = Math.floor(((b + 1) * options.metrics) / count)
      const places = Array.from({ length: until - from }, (_, i) => from + i)
      this.#parts.push({ block: this.#newBlock(places.length), places })
      from = until
    }
  }

  get metrics(): number {
    return this.#metrics
  }

  /** Of the row scored last; lent until the next. */
  get opinion(): RidgeOpinion {
    return this.#opinion
  }

  next(values: Float64Array, weight = 1, timeMs = NaN): EntityOpinion {
    const opinion = this.score(values, timeMs)
    this.learn(weight)
    return opinion
  }

  /** What is said of a row at `timeMs` (Unix, NaN where unknown); changes nothing that is learned. */
  score(values: Float64Array, timeMs = NaN): RidgeOpinion {
    const dayShare = timeMs / DAY_MS - Math.floor(timeMs / DAY_MS)
    const opinion = this.#opinion
    let sum = 0
    let seen = 0
    let form = 0
    let judged = 0
    for (const { block, places } of this.#parts) {
      const gathered = this.#gathered
      for (let j = 0; j < places.length; j++) gathered[j] = values[places[j]]
      block.score(gathered, dayShare)
      if (!block.isReady) continue
      for (let j = 0; j < places.length; j++) {
        const at = places[j]
        opinion.share[at] = block.share[j]
        opinion.imputed[at] = block.imputed[j]
        opinion.expected[at] = block.expected[j]
        opinion.spread[at] = block.spread[j]
        sum += block.share[j]
        seen += 1 - block.imputed[j]
      }
      form += block.form * block.metrics
      judged += block.metrics
    }
    opinion.score = NaN
    opinion.loudest = 0
    for (const share of opinion.share) if (share > opinion.loudest) opinion.loudest = share
    this.#nextSmoothed = this.#smoothed
    if (seen === 0) return opinion
    const q = sum / seen + FORM_SHARE * Math.sqrt(form / judged)
    this.#nextSmoothed += SMOOTHING * (q - this.#smoothed)
    opinion.score = this.#nextSmoothed
    return opinion
  }

  /** Learns the row scored last. */
  learn(weight: number): void {
    this.#smoothed = this.#nextSmoothed
    for (const { block } of this.#parts) block.learn(weight)
  }

  /** One metric more, behind the others: it joins the smallest block with room, which keeps what it learned. */
  grow(): void {
    const place = this.#metrics++
    this.#opinion = emptyOpinion(this.#metrics)
    let smallest: Part | undefined
    for (const part of this.#parts) {
      if (part.places.length < (smallest?.places.length ?? BLOCK_METRICS_MAX)) smallest = part
    }
    if (smallest === undefined) {
      this.#parts.push({ block: this.#newBlock(1), places: [place] })
      return
    }
    const origin = Int32Array.from([...smallest.places.keys(), -1])
    smallest.places.push(place)
    smallest.block = this.#carry(smallest.block, origin, 1)
  }

  /** Drops a metric; those behind it move up by one. */
  shrink(metric: number): void {
    this.#metrics--
    this.#opinion = emptyOpinion(this.#metrics)
    for (const part of this.#parts) {
      const at = part.places.indexOf(metric)
      const before = part.places.length
      part.places = part.places.filter(place => place !== metric).map(p => (p > metric ? p - 1 : p))
      if (at < 0 || part.places.length === 0) continue
      const origin = Int32Array.from([...Array(before).keys()].filter(j => j !== at))
      part.block = this.#carry(part.block, origin, part.places.length / before)
    }
    this.#parts = this.#parts.filter(part => part.places.length > 0)
  }

  #newBlock(metrics: number): RidgeBlock {
    return new RidgeBlock(metrics, this.#dayRows, this.warmUpRows, this.#workspace)
  }

  #carry(from: RidgeBlock, origin: Int32Array, formShare: number): RidgeBlock {
    const to = this.#newBlock(origin.length)
    const old = from.columns()
    to.adopt(from.numbers(formShare), columns => carryColumns(old, columns, from.metrics, origin))
    return to
  }

  /** Blocks, in order: their columns are the learned state. */
  blocks(): readonly RidgeBlock[] {
    return this.#parts.map(part => part.block)
  }

  shape(): RidgeShape {
    const parts = this.#parts.map(({ block, places }) => ({
      places: [...places],
      numbers: block.numbers(),
      lengths: Object.fromEntries(block.columns().map(column => [column.name, savedLength(column)])),
    }))
    return { phase: this.phase, smoothed: this.#smoothed, parts }
  }

  /** Takes over a saved shape; `fill` puts the columns of each block back, in order. */
  adopt(shape: RidgeShape, fill: (columns: readonly StateColumn[]) => void): void {
    this.#smoothed = shape.smoothed
    this.#metrics = shape.parts.reduce((sum, { places }) => sum + places.length, 0)
    this.#opinion = emptyOpinion(this.#metrics)
    this.#parts = shape.parts.map(({ places, numbers }) => {
      const block = this.#newBlock(places.length)
      block.adopt(numbers, fill)
      return { block, places: [...places] }
    })
  }

  bytes(): number {
    return this.#parts.reduce((sum, { block }) => sum + block.bytes(), 0) + 25 * this.#metrics
  }
}

function emptyOpinion(metrics: number): RidgeOpinion {
  return {
    loudest: 0,
    score: NaN,
    share: new Float64Array(metrics),
    imputed: new Uint8Array(metrics),
    expected: new Float64Array(metrics).fill(NaN),
    spread: new Float64Array(metrics).fill(NaN),
  }
}
