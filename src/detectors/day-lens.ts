import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT, type Chunk } from '../core/columns.ts'
import type { DetectorContext } from '../core/detector.ts'
import { BAND_SCALES } from './deviation.ts'
import { rowsNeeded } from './runs.ts'
import { SeriesState } from './series-state.ts'

/**
 * Values without their daily shape, for detectors that know no time of day. With p the shape at this hour, c the level
 * that deviation@1 expects, u a slow level of the value itself, and slack the usual errors of the shape at this hour:
 *   d = soft(x − (p − anchor) − c, slack);  x' = c + sign(d) · min(|d|, |x − u|)
 * The anchor follows the mean of p, and was p itself when the shape became known, so that x' goes on from x without a
 * step. What the shape explains is gone (d is small); what it does not explain stays as large as it was. Both views
 * must agree: a job that does not run, or yesterday's incident that does not come again, leaves the value at its
 * own level and is no news here; that it is missing is for the profile to say. Until a day has been seen x' = x.
 * The soft threshold is Donoho 1995, "De-noising by soft-thresholding", IEEE Trans. Inf. Theory 41.
 */
const SPEC = {
  anchor: 'f64',
  /** p − anchor of the last window whose p was known. */
  shift: 'f64',
  /** The level of x' that deviation@1 had last, and that of x itself. */
  center: 'f32',
  own: 'f32',
  follows: 'u8',
} as const

const ID = 'day-lens'
const VERSION = 1
/** What `follows` says: nothing known yet; p is followed; p was lost and its last place is held. */
const UNKNOWN = 0
const FOLLOWS = 1
const HELD = 2
/** The value's own level learns as deviation@1 does: a half-life of 120 windows, by at most four scales, never slower than a quarter. */
const RATE = 1 - 2 ** (-1 / 120)
const CLIP_SCALES = 4
const LEARN_LEAST = 0.25
/** The anchor's time constant: over two days the swing of a day is a twelfth of itself. */
const ANCHOR_DAYS = 2
const DAY_MS = 86_400_000
/** Float32 holds no more. */
const VALUE_MAX = 1e37

/** Where the daily shape of the batch scored last is read: by row, NaN where none is known. */
export interface ShapeSource {
  readonly shape: Float64Array
  readonly slack: Float64Array
}

/** What was seen of a block when it was scored, for learning it. */
interface Seen {
  readonly view: FeatureBatch
  /** Daily shape, and the level and scale of deviation@1, by row. */
  readonly shape: Float64Array
  readonly level: Float64Array
  readonly scale: Float64Array
  /** Whether any row has a shape or had one; false means that everything is as it is. */
  isUsed: boolean
}

export class DayLens extends SeriesState<typeof SPEC> {
  readonly #source: ShapeSource
  readonly #anchorRate: number
  readonly #seen = new WeakMap<FeatureBatch, Seen>()

  constructor(source: ShapeSource, context: DetectorContext) {
    super(ID, VERSION, SPEC, context.series)
    this.#source = source
    this.#anchorRate = Math.min(1, context.stepMs / (ANCHOR_DAYS * DAY_MS))
  }

  /** Works out what is to be seen of a block whose daily shapes the source has just found; changes no state. */
  prepare(block: FeatureBatch): void {
    const { length, series, observed } = block
    const seen = this.#seenOf(block)
    this.store.ensure(rowsNeeded(series, length))
    const { shape, slack } = this.#source
    seen.view.length = length
    let isUsed = false
    for (let i = 0; i < length; i++) {
      const chunk = this.store.chunks[series[i] >> CHUNK_SHIFT]
      const row = series[i] & CHUNK_MASK
      const p = shape[i]
      const x = observed[i]
      seen.shape[i] = p
      seen.view.observed[i] = x
      if (chunk.follows[row] !== UNKNOWN) {
        isUsed = true
        if (!Number.isNaN(x)) takeOut(chunk, row, shape, slack, i, seen.view.observed)
      } else if (!Number.isNaN(p)) isUsed = true
    }
    seen.isUsed = isUsed
  }

  /** The block as detectors without a time of day see it: itself while no shape is known. */
  look(block: FeatureBatch): FeatureBatch {
    const seen = this.#seen.get(block)
    return seen?.isUsed ? seen.view : block
  }

  /** One value of it. */
  lookAt(block: FeatureBatch, i: number): number {
    return this.look(block).observed[i]
  }

  /** Puts what was said of the values without shape back around the values; `isLevel`: by deviation@1. */
  putBack(block: FeatureBatch, out: ScoreBatch, isLevel: boolean): void {
    const seen = this.#seen.get(block)
    if (!seen?.isUsed) return
    const { view, level, scale } = seen
    const { expected, lower, upper } = out
    for (let i = 0; i < block.length; i++) {
      if (isLevel) {
        level[i] = expected[i]
        scale[i] = (upper[i] - expected[i]) / BAND_SCALES
      }
      const moved = block.observed[i] - view.observed[i]
      if (moved === 0 || Number.isNaN(moved)) continue
      const wasPositive = lower[i] >= 0
      expected[i] += moved
      lower[i] += moved
      upper[i] += moved
      // A band that kept off what cannot be still does.
      if (wasPositive && block.observed[i] >= 0 && lower[i] < 0) lower[i] = Math.min(0, expected[i])
    }
  }

  /** Learns a block that was scored; `weight` 0..1 a row. */
  learn(block: FeatureBatch, weight: Float32Array): void {
    if (!this.#seen.get(block)?.isUsed) return
    for (let i = 0; i < block.length; i++) this.learnRow(block, i, weight[i])
  }

  learnRow(block: FeatureBatch, i: number, weight: number): void {
    const seen = this.#seen.get(block)
    if (!seen?.isUsed || Number.isNaN(block.observed[i])) return
    const chunk = this.store.writable(block.series[i] >> CHUNK_SHIFT)
    const row = block.series[i] & CHUNK_MASK
    const p = seen.shape[i]
    const level = seen.level[i]
    if (Number.isNaN(level)) return
    if (chunk.follows[row] === UNKNOWN) {
      if (Number.isNaN(p)) return
      chunk.anchor[row] = p
      chunk.own[row] = level
      chunk.follows[row] = FOLLOWS
    } else if (Number.isNaN(p)) chunk.follows[row] = HELD
    else {
      if (chunk.follows[row] === HELD) chunk.anchor[row] = p - chunk.shift[row]
      chunk.follows[row] = FOLLOWS
      chunk.anchor[row] += this.#anchorRate * (p - chunk.anchor[row])
      chunk.shift[row] = p - chunk.anchor[row]
    }
    chunk.center[row] = level
    const reach = CLIP_SCALES * seen.scale[i]
    const step = block.observed[i] - chunk.own[row]
    const pace = weight < LEARN_LEAST ? LEARN_LEAST : weight
    chunk.own[row] += RATE * pace * (step > reach ? reach : step < -reach ? -reach : step)
  }

  #seenOf(block: FeatureBatch): Seen {
    let seen = this.#seen.get(block)
    if (seen === undefined || seen.view.capacity < block.length) {
      const rows = block.length
      seen = {
        view: { ...block, capacity: rows, observed: new Float64Array(rows) },
        shape: new Float64Array(rows),
        level: new Float64Array(rows),
        scale: new Float64Array(rows),
        isUsed: false,
      }
      this.#seen.set(block, seen)
    }
    return seen
  }
}

/** Takes the shape of its hour, shape[i], out of the value values[i]: numbers given to a function may be boxed. */
function takeOut(
  chunk: Chunk<typeof SPEC>,
  row: number,
  shape: Float64Array,
  slack: Float64Array,
  i: number,
  values: Float64Array,
): void {
  const x = values[i]
  const p = shape[i]
  const center = chunk.center[row]
  const value = Math.max(-VALUE_MAX, Math.min(VALUE_MAX, x))
  const isFollowed = chunk.follows[row] === FOLLOWS && !Number.isNaN(p)
  const strange = value - (isFollowed ? p - chunk.anchor[row] : chunk.shift[row]) - center
  let size = Math.abs(strange) - (isFollowed ? slack[i] : 0)
  if (size < 0) size = 0
  const own = Math.abs(value - chunk.own[row])
  if (own < size) size = own
  values[i] = strange < 0 ? center - size : center + size
}
