import { type FeatureBatch, featureBatch, type ScoreBatch, scoreBatch } from '../core/batch.ts'
import type { Detector } from '../core/detector.ts'
import { pick } from './blocks.ts'

const COLUMNS = ['score', 'point', 'incident', 'expected', 'lower', 'upper'] as const
const NO_ROWS = featureBatch(0, 0)

/**
 * A window that comes in several batches, for detectors that are given whole ones: they are asked once, with the first of
 * them, and learn with the last, as if the window were one batch. 45 bytes a row and another 36 a detector, kept for the next.
 */
export class WindowRows {
  /** The window's rows, lent until `take` says that it is over; without any where no window is on its way. */
  #rows: FeatureBatch = NO_ROWS
  /** Place of a row among them, by series. */
  #placeOf = new Uint32Array(0)
  #weight = new Float32Array(0)
  /** 1: the row may teach. */
  #teaches = new Uint8Array(0)
  #taught = 0
  #taken = 0
  /** What was said of the rows, by the detector's place; `rows` says of which window. */
  readonly #said = new Map<number, { out: ScoreBatch; isSaid: boolean }>()

  get isOn(): boolean {
    return this.#rows.length > 0
  }

  begin(window: FeatureBatch): void {
    const { length, series, capacity } = window
    this.#rows = window
    this.#taken = 0
    this.#taught = 0
    for (const said of this.#said.values()) said.isSaid = false
    if (length === 0) return
    const needed = series[length - 1] + 1
    if (this.#placeOf.length < needed) this.#placeOf = new Uint32Array(needed + (needed >> 3))
    if (this.#weight.length < capacity) {
      this.#weight = new Float32Array(capacity)
      this.#teaches = new Uint8Array(capacity)
    }
    for (let i = 0; i < length; i++) this.#placeOf[series[i]] = i
    this.#teaches.fill(0, 0, length)
  }

  /** Fills `out` for rows of the window; `d` is the detector's place. */
  async score(
    d: number,
    detector: Detector,
    { length, series }: FeatureBatch,
    out: ScoreBatch,
  ): Promise<void> {
    let said = this.#said.get(d)
    if (said === undefined || said.out.capacity < this.#rows.length) {
      said = { out: scoreBatch(this.#rows.capacity), isSaid: false }
      this.#said.set(d, said)
    }
    if (!said.isSaid) await detector.score(this.#rows, said.out)
    said.isSaid = true
    out.length = length
    for (const name of COLUMNS) spread(said.out[name], this.#placeOf, series, length, out[name])
  }

  /** Takes what rows of a batch may teach, those in `some` places or all; true when those of all batches were taken. */
  take({ length, series }: FeatureBatch, weight: Float32Array, some?: Uint32Array): boolean {
    for (let i = 0; i < length; i++) this.#weight[this.#placeOf[series[i]]] = weight[i]
    if (some === undefined) for (let i = 0; i < length; i++) this.#teaches[this.#placeOf[series[i]]] = 1
    else for (const i of some) this.#teaches[this.#placeOf[series[i]]] = 1
    this.#taught += some?.length ?? length
    this.#taken += length
    return this.#taken === this.#rows.length
  }

  /** The window is over: what teaches is learned. */
  learn(detectors: readonly Detector[]): void {
    const { length } = this.#rows
    let rows = this.#rows
    let weight = this.#weight
    if (this.#taught < length) {
      const places = Uint32Array.from({ length }, (_, i) => i).filter(i => this.#teaches[i] === 1)
      rows = pick(rows, places)
      weight = Float32Array.from(places, i => this.#weight[i])
    }
    for (const detector of detectors) detector.learn(rows, weight)
    this.#rows = NO_ROWS
  }

  bytes(): number {
    const said = [...this.#said.values()].reduce((sum, { out }) => sum + 36 * out.capacity, 0)
    return said + this.#placeOf.byteLength + 5 * this.#weight.length
  }
}

/** Numbers of the window's rows, at the places of a batch's. */
function spread<T extends Float32Array | Float64Array>(
  from: T,
  placeOf: Uint32Array,
  series: Uint32Array,
  length: number,
  to: T,
): void {
  for (let i = 0; i < length; i++) to[i] = from[placeOf[series[i]]]
}
