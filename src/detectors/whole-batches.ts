import { type FeatureBatch, type ScoreBatch, scoreBatch } from '../core/batch.ts'
import type { Detector } from '../core/detector.ts'
import { BLOCK_ROWS, pick, scoreBlocksOf } from './blocks.ts'
import { WindowRows } from './window-rows.ts'

/** One of them, its output, and that output's blocks as views. */
interface Whole {
  /** Place among the ensemble's detectors. */
  readonly at: number
  readonly detector: Detector
  out: ScoreBatch
  blocks: ScoreBatch[]
  /** Rows of the output, from the first, that are known to say nothing. */
  blankRows: number
}

/** Detectors that are given whole batches, or a window in several of them as one: they judge rows by each other. */
export class WholeBatches {
  readonly #wholes: readonly Whole[]
  /** The window that comes in several batches. */
  readonly #window = new WindowRows()

  constructor(detectors: readonly Detector[]) {
    this.#wholes = detectors.flatMap((detector, at) =>
      detector.whole ? [{ at, detector, out: scoreBatch(0), blocks: [], blankRows: 0 }] : [],
    )
  }

  /** Whether any of them has something to say. */
  get isHeard(): boolean {
    return this.#wholes.some(({ detector }) => !detector.silent)
  }

  begin(window: FeatureBatch): void {
    if (this.#wholes.length > 0) this.#window.begin(window)
  }

  /** Room for batches of so many rows, whole blocks. */
  reserve(capacity: number): void {
    for (const whole of this.#wholes) {
      whole.out = scoreBatch(capacity)
      whole.blankRows = 0
      whole.blocks = scoreBlocksOf(whole.out)
    }
  }

  async score(batch: FeatureBatch): Promise<void> {
    for (const whole of this.#wholes) {
      if (whole.detector.silent) silence(whole, batch.length)
      else await this.#ask(whole, batch)
    }
  }

  #ask(whole: Whole, batch: FeatureBatch): Promise<void> {
    whole.blankRows = 0
    const { at, detector, out } = whole
    return this.#window.isOn ? this.#window.score(at, detector, batch, out) : detector.score(batch, out)
  }

  /** Puts what they said of the block from row `from` on in their places among the outputs of all detectors. */
  show(outputs: ScoreBatch[], from: number): void {
    for (const { at, blocks } of this.#wholes) outputs[at] = blocks[from / BLOCK_ROWS]
  }

  /** `rows`: the only ones that may teach; all, where left out. A window in several batches is learned when it is over. */
  learn(batch: FeatureBatch, weight: Float32Array, rows: Uint32Array | undefined): void {
    if (this.#wholes.length === 0) return
    const detectors = this.#wholes.map(({ detector }) => detector)
    if (this.#window.isOn) {
      if (this.#window.take(batch, weight, rows)) this.#window.learn(detectors)
      return
    }
    const taught = rows ? pick(batch, rows) : batch
    const weights = rows ? Float32Array.from(rows, row => weight[row]) : weight
    for (const detector of detectors) detector.learn(taught, weights)
  }

  bytes(): number {
    return this.#window.bytes()
  }
}

/** One that has nothing to say is not asked, once its output says so. */
function silence(whole: Whole, length: number): void {
  const { out } = whole
  if (whole.blankRows >= length) return
  for (const column of [out.score, out.point, out.incident, out.expected, out.lower, out.upper])
    column.fill(NaN)
  whole.blankRows = out.capacity
}
