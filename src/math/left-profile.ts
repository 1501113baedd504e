/**
 * Left matrix profile, one value at a time: how far the latest stretch of `length` values is from the nearest of `history` earlier ones.
 * Sources: Yeh et al. 2016, "Matrix profile I" (the profile, the distance between normalised stretches by their correlation, the exclusion
 * zone); Zimmerman et al. 2019, "Matrix profile XIV" (the update of a centred product in two multiplications, which loses fewer digits than
 * one of plain products); Lu et al. 2022, "Matrix profile XXIV: DAMP" (only what lies to the left counts in a stream).
 *
 * Products are kept by lag, so that nothing moves when a value comes: one pass over all lags a value. Two distances come out of it:
 * of *shape* (both stretches normalised) and of *level* (Euclidean, as they are). All of it in float32, as the kernel `matrix-profile`
 * does it, operation by operation: the two agree to the bit. Products are worked out anew every `refresh` values, when the buffers slide.
 * For |values| ≤ 32, stretches with a deviation of at least .05 and up to 256 values in between, correlations are within 2e-3 of the exact
 * ones and squared level distances within 1e-3 a value (test/math/left-profile.test.ts holds both against the definition).
 */
export interface ProfileShape {
  /** Values of a stretch, at least 4. */
  readonly length: number
  /** Earlier stretches looked at; a multiple of 8. */
  readonly history: number
  /** The newest of them ended so many values before the latest, at least 1: those that overlap are no news. */
  readonly exclusion: number
  /** Values after which the products are worked out anew, a multiple of 4. */
  readonly refresh: number
  /** Stretches with a smaller standard deviation are flat and have no shape. */
  readonly flat: number
  /** Distances looked for; the other is NaN. */
  readonly wants: 'shape' | 'level' | 'both'
  /**
   * 1: the nearest. 2 to 8: earlier stretches are dealt to eight classes in turn, the nearest of each class is found, and the distance is to
   * the second (third, …) nearest of those eight; one that has happened once is then still strange. Costs nothing: the kernel's lanes are the classes.
   */
  readonly rank: number
}

/** Places in `place`: where the newest value lies, values until a stretch is whole, which half of `products` holds, is a score pending, gap then. */
export const PLACE = { at: 0, gap: 1, half: 2, isPending: 3, nextGap: 4 } as const
/** Places in `said`, of the value scored last: it, and its distances; NaN: none. */
export const SAID = { value: 0, shape: 1, level: 2 } as const
const SUM = 0
const SQUARE = 1
const NEXT = 2

/** All of one series. Position p of the columns is the stretch that ends with value p, which lies at `values[p + length]`. */
export interface ProfileState {
  readonly place: Int32Array
  /** Of the latest stretch: sum, sum of squares; then both of the one scored last. */
  readonly sums: Float64Array
  readonly said: Float32Array
  readonly values: Float32Array
  /** Half of what the stretch gained by its newest value and lost by its oldest, and both around the means. */
  readonly change: Float32Array
  readonly around: Float32Array
  /** One over the root of the sum of squares around the mean: 0 where flat, NaN where a value is missing. */
  readonly inverse: Float32Array
  /** Half the sum of squares around the mean, NaN where a value is missing. */
  readonly power: Float32Array
  /** Mean, in a unit that makes its squared difference half the share of the level in the squared distance. */
  readonly mean: Float32Array
  /** Centred products with the latest stretch by lag, the longest first; the other half is where the next are made. */
  readonly products: Float32Array
}

/** Positions that the columns have room for. */
export function profileWidth({ history, exclusion, refresh }: ProfileShape): number {
  return history + exclusion - 1 + refresh
}

/** Typed arrays of a series and how long they are, in the order in which a kernel's memory has them. */
export function profileColumns(shape: ProfileShape) {
  const width = profileWidth(shape)
  return {
    sums: ['f64', 4],
    place: ['i32', 6],
    said: ['f32', 4],
    values: ['f32', width + shape.length],
    change: ['f32', width],
    around: ['f32', width],
    inverse: ['f32', width],
    power: ['f32', width],
    mean: ['f32', width],
    products: ['f32', 2 * shape.history],
  } as const
}

const { fround } = Math

/** A series without a value, all arrays zero before. */
export function beginProfile(s: ProfileState, { length, history, exclusion }: ProfileShape): void {
  s.place[PLACE.at] = history + exclusion - 2
  s.place[PLACE.gap] = length
  s.inverse.fill(Number.NaN)
  s.power.fill(Number.NaN)
}

/**
 * Leaves the distances of the stretch that would end with `value` (NaN: missing) in `said`; both NaN where it is not whole or nothing
 * whole lies to its left. What `learnProfile` needs is written where nothing is learned yet.
 */
export function scoreProfile(s: ProfileState, shape: ProfileShape, value: number): void {
  const { place, said } = s
  const x32 = fround(value)
  if (place[PLACE.isPending] === 1 && said[SAID.value] === x32) return
  const { length } = shape
  const p = place[PLACE.at] + 1
  const isMissing = Number.isNaN(value)
  const gap = isMissing ? length : Math.max(0, place[PLACE.gap] - 1)
  const x = isMissing ? s.values[p + length - 1] : x32
  s.values[p + length] = x
  const old = s.values[p]
  const sum = s.sums[SUM] + x - old
  const square = s.sums[SQUARE] + x * x - old * old
  s.sums[NEXT + SUM] = sum
  s.sums[NEXT + SQUARE] = square
  describe(s, shape, p, gap > 0, s.sums[SUM], sum, square)
  place[PLACE.nextGap] = gap
  place[PLACE.isPending] = 1
  said[SAID.value] = x32
  pass(s, shape, p)
  if (gap > 0) {
    said[SAID.shape] = Number.NaN
    said[SAID.level] = Number.NaN
  }
}

/** Columns of the stretch at p, by its sums and the sum of the one before. */
function describe(
  s: ProfileState,
  { length, flat }: ProfileShape,
  p: number,
  isMissing: boolean,
  before: number,
  sum: number,
  square: number,
): void {
  const x = s.values[p + length]
  const old = s.values[p]
  const mean = sum * (1 / length)
  const around = Math.max(0, square - sum * mean)
  s.change[p] = (x - old) * 0.5
  s.around[p] = x - mean + (old - before * (1 / length))
  s.mean[p] = mean * Math.sqrt(length * 0.5)
  s.power[p] = isMissing ? Number.NaN : around * 0.5
  s.inverse[p] = isMissing ? Number.NaN : around < flat * flat * length ? 0 : 1 / Math.sqrt(around)
}

/** Of each class. */
const likest = new Float32Array(8)
const nearest = new Float32Array(8)

function pass(s: ProfileState, shape: ProfileShape, p: number): void {
  const { length, history, exclusion, wants, rank } = shape
  const { products, change, around, inverse, power, mean, place, said } = s
  const base = p - exclusion - history + 1
  const from = place[PLACE.half] * history
  const to = history - from
  const df = change[p]
  const dg = around[p]
  const level = mean[p]
  likest.fill(Number.POSITIVE_INFINITY)
  nearest.fill(Number.POSITIVE_INFINITY)
  for (let k = 0; k < history; k++) {
    const at = base + k
    const grown = fround(fround(df * around[at]) + fround(dg * change[at]))
    const product = fround(products[from + k] + grown)
    products[to + k] = product
    const unlike = -fround(product * inverse[at])
    if (unlike < likest[k & 7]) likest[k & 7] = unlike
    const apart = fround(mean[at] - level)
    const half = fround(fround(power[at] + fround(apart * apart)) - product)
    if (half < nearest[k & 7]) nearest[k & 7] = half
  }
  const best = -likest.sort()[rank - 1]
  const least = nearest.sort()[rank - 1]
  const own = inverse[p]
  if (wants === 'level' || best === Number.NEGATIVE_INFINITY) said[SAID.shape] = Number.NaN
  else if (own === 0) said[SAID.shape] = hasFlat(inverse, base, shape) ? 0 : Math.sqrt(2 * length)
  else said[SAID.shape] = Math.sqrt(2 * length * Math.max(0, 1 - best * own))
  said[SAID.level] =
    wants === 'shape' || least === Number.POSITIVE_INFINITY
      ? Number.NaN
      : Math.sqrt(2 * Math.max(0, power[p] + least))
}

/** Whether so many classes as the rank says have a flat stretch. */
function hasFlat(inverse: Float32Array, base: number, { history, rank }: ProfileShape): boolean {
  let classes = 0
  for (let k = 0; k < history; k++) if (inverse[base + k] === 0) classes |= 1 << (k & 7)
  let count = 0
  for (; classes > 0; classes >>= 1) count += classes & 1
  return count >= rank
}

/** Takes the value in, NaN for a missing one. True when the buffers slid, the moment for `rescaleProfile`. */
export function learnProfile(s: ProfileState, shape: ProfileShape, value: number): boolean {
  scoreProfile(s, shape, value)
  const { place, sums } = s
  place[PLACE.isPending] = 0
  place[PLACE.at]++
  place[PLACE.gap] = place[PLACE.nextGap]
  place[PLACE.half] = 1 - place[PLACE.half]
  sums[SUM] = sums[NEXT + SUM]
  sums[SQUARE] = sums[NEXT + SQUARE]
  if (place[PLACE.at] < profileWidth(shape) - 1) return false
  for (const name of ['values', 'change', 'around', 'inverse', 'power', 'mean'] as const)
    s[name].copyWithin(0, shape.refresh)
  place[PLACE.at] -= shape.refresh
  refreshProfile(s, shape)
  return true
}

/** Sums and products of the latest stretch, from the values. */
function refreshProfile(s: ProfileState, { length, history, exclusion }: ProfileShape): void {
  const { place, sums, values, products } = s
  const p = place[PLACE.at]
  let sum = 0
  let square = 0
  for (let t = p + 1; t <= p + length; t++) {
    sum += values[t]
    square += values[t] * values[t]
  }
  sums[SUM] = sum
  sums[SQUARE] = square
  const mean = sum / length
  const from = place[PLACE.half] * history
  const base = p - exclusion - history + 1 + length
  for (let k = 0; k < history; k++) {
    let product = 0
    for (let t = 0; t < length; t++) {
      const own = fround(values[p + length - t] - mean)
      product = fround(product + fround(own * values[base + k - t]))
    }
    products[from + k] = product
  }
}

/** After `values` were rewritten, such as on another scale: everything else follows from them, but what is missing stays so. */
export function rescaleProfile(s: ProfileState, shape: ProfileShape): void {
  const { values, inverse, place } = s
  let sum = 0
  let square = 0
  for (let t = 0; t < shape.length; t++) {
    sum += values[t]
    square += values[t] * values[t]
  }
  for (let p = 0; p <= place[PLACE.at]; p++) {
    const before = sum
    const x = values[p + shape.length]
    sum += x - values[p]
    square += x * x - values[p] * values[p]
    describe(s, shape, p, Number.isNaN(inverse[p]), before, sum, square)
  }
  place[PLACE.isPending] = 0
  refreshProfile(s, shape)
}
