import { type FeatureBatch, featureBatch, type OpinionBatch, opinionBatch } from '../core/batch.ts'
import { scatterOpinions } from '../core/scatter.ts'
import { STEP_ROWS } from '../core/steps.ts'

/** Rows in a row from which on copying them at once is cheaper than one by one. */
const RUN_LEAST = 32

/** Some rows of a batch as a batch of its own, with what is said of them: its columns are its own and reused. */
export class BatchPart {
  batch: FeatureBatch = featureBatch(0, 0)
  opinions: OpinionBatch = opinionBatch(0)
  weight = new Float32Array(0)
  /** Row of the whole batch by row of this part. */
  places = new Uint32Array(0)
  /** Places of the whole where runs of this part's rows begin and end, when it was filled by runs. */
  #runs = new Uint32Array(0)
  #runCount = 0

  get length(): number {
    return this.batch.length
  }

  /** Empties it; it then has room for every row of `whole`. */
  begin(whole: FeatureBatch): void {
    if (this.batch.capacity < whole.capacity || this.batch.width !== whole.width) {
      this.batch = featureBatch(whole.capacity, whole.width)
      this.opinions = opinionBatch(whole.capacity)
      this.weight = new Float32Array(whole.capacity)
      this.places = new Uint32Array(whole.capacity)
      this.#runs = new Uint32Array(whole.capacity + 1)
    }
    this.#runCount = 0
    this.batch.length = 0
    // All rows of a batch end at one time, and whoever looks at none of them may ask for it.
    this.batch.windowEndMs[0] = whole.windowEndMs[0]
  }

  /** Adds row `at` of the whole, under the row `series`. */
  add(whole: FeatureBatch, at: number, series: number): void {
    const { batch } = this
    const i = batch.length++
    this.places[i] = at
    batch.series[i] = series
    batch.windowEndMs[i] = whole.windowEndMs[at]
    batch.observed[i] = whole.observed[at]
    batch.coverage[i] = whole.coverage[at]
    const { width } = whole
    for (let f = 0; f < width; f++) batch.features[i * width + f] = whole.features[at * width + f]
  }

  /** Adds rows from..to of the whole under their own rows; the part has nothing but runs. */
  addRun(whole: FeatureBatch, from: number, to: number): void {
    if (from === to) return
    this.#runs[2 * this.#runCount] = from
    this.#runs[2 * this.#runCount + 1] = to
    this.#runCount++
    if (to - from < RUN_LEAST) {
      for (let at = from; at < to; at++) this.add(whole, at, whole.series[at])
      return
    }
    const { batch, places } = this
    const i = batch.length
    const { width } = whole
    for (let at = from; at < to; at++) places[i + at - from] = at
    batch.series.set(whole.series.subarray(from, to), i)
    batch.windowEndMs.set(whole.windowEndMs.subarray(from, to), i)
    batch.observed.set(whole.observed.subarray(from, to), i)
    batch.coverage.set(whole.coverage.subarray(from, to), i)
    if (width > 0) batch.features.set(whole.features.subarray(from * width, to * width), i * width)
    batch.length = i + to - from
  }

  /** Puts rows into ascending order of series, as batches are. Rare: only where rows were given out anew. */
  sort(whole: FeatureBatch): void {
    const { length, series } = this.batch
    let isSorted = true
    for (let i = 1; i < length && isSorted; i++) isSorted = series[i - 1] < series[i]
    if (isSorted) return
    const { capacity } = whole
    const rows = Float64Array.from({ length }, (_, i) => series[i] * capacity + this.places[i]).sort()
    this.begin(whole)
    for (const row of rows) this.add(whole, row % capacity, Math.floor(row / capacity))
  }

  /** What was said of the part's rows, into the opinions of the whole; `shift` is added to the strongest's place. */
  *scattering(out: OpinionBatch, shift: number): Generator<void> {
    const { opinions, places } = this
    const { length } = this.batch
    for (let i = 0; i < length && this.#runCount === 0; i += STEP_ROWS) {
      scatterOpinions(opinions, places, i, Math.min(length, i + STEP_ROWS), out, shift)
      yield
    }
    for (let r = 0, i = 0, rested = 0; r < this.#runCount; r++) {
      const [from, to] = [this.#runs[2 * r], this.#runs[2 * r + 1]]
      const end = i + to - from
      if (to - from < RUN_LEAST) scatterOpinions(opinions, places, i, end, out, shift)
      else scatterRun(opinions, i, end, out, from, shift)
      i = end
      if (end - rested < STEP_ROWS) continue
      rested = end
      yield
    }
  }

  /** Weights of the whole, for the part's rows. */
  gather(weight: Float32Array): Float32Array {
    const { places } = this
    const { length } = this.batch
    for (let i = 0; i < length; i++) this.weight[i] = weight[places[i]]
    return this.weight
  }

  bytes(): number {
    const { capacity, width } = this.batch
    return capacity * (36 + 4 * width + 50)
  }
}

/** Opinions of rows from..to, which lie side by side in the whole too, from `at` on. */
function scatterRun(
  opinions: OpinionBatch,
  from: number,
  to: number,
  out: OpinionBatch,
  at: number,
  shift: number,
): void {
  out.surprise.set(opinions.surprise.subarray(from, to), at)
  out.point.set(opinions.point.subarray(from, to), at)
  out.incident.set(opinions.incident.subarray(from, to), at)
  out.score.set(opinions.score.subarray(from, to), at)
  out.expected.set(opinions.expected.subarray(from, to), at)
  out.lower.set(opinions.lower.subarray(from, to), at)
  out.upper.set(opinions.upper.subarray(from, to), at)
  out.evidence.set(opinions.evidence.subarray(from, to), at)
  out.direction.set(opinions.direction.subarray(from, to), at)
  const { strongest } = opinions
  for (let i = from; i < to; i++) out.strongest[at + i - from] = strongest[i] + shift
}
