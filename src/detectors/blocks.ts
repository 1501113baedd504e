import { type FeatureBatch, featureBatch, rowsOf, type ScoreBatch } from '../core/batch.ts'

/** Rows scored at a time: their outputs of all detectors stay in the second-level cache. */
export const BLOCK_ROWS = 1024

/** Blocks of the batches seen, which are few and lent again and again. */
export class Blocks {
  readonly #blocks = new WeakMap<FeatureBatch, FeatureBatch[]>()

  /** Up to BLOCK_ROWS rows from `from`, as a view; the batch itself when it is no longer than that. */
  of(batch: FeatureBatch, from: number): FeatureBatch {
    if (batch.length <= BLOCK_ROWS) return batch
    let blocks = this.#blocks.get(batch)
    if (blocks === undefined) {
      blocks = []
      for (let at = 0; at < batch.capacity; at += BLOCK_ROWS)
        blocks.push(rowsOf(batch, at, Math.min(batch.capacity, at + BLOCK_ROWS)))
      this.#blocks.set(batch, blocks)
    }
    const block = blocks[from / BLOCK_ROWS]
    block.length = Math.min(BLOCK_ROWS, batch.length - from)
    return block
  }
}

/** A column cut into blocks, as views. */
export function blocksOf<T extends Float32Array | Uint8Array>(column: T): T[] {
  return Array.from(
    { length: column.length / BLOCK_ROWS },
    (_, at) => column.subarray(at * BLOCK_ROWS, (at + 1) * BLOCK_ROWS) as T,
  )
}

/** An output cut into blocks, as views. */
export function scoreBlocksOf(out: ScoreBatch): ScoreBatch[] {
  const blocks: ScoreBatch[] = []
  for (let from = 0; from < out.capacity; from += BLOCK_ROWS) {
    const to = from + BLOCK_ROWS
    blocks.push({
      length: BLOCK_ROWS,
      capacity: BLOCK_ROWS,
      score: out.score.subarray(from, to),
      point: out.point.subarray(from, to),
      incident: out.incident.subarray(from, to),
      expected: out.expected.subarray(from, to),
      lower: out.lower.subarray(from, to),
      upper: out.upper.subarray(from, to),
    })
  }
  return blocks
}

/** Some rows of a batch, as a batch of their own. */
export function pick(batch: FeatureBatch, rows: Uint32Array): FeatureBatch {
  const { width } = batch
  const out = featureBatch(rows.length, width)
  out.length = rows.length
  for (const [at, row] of rows.entries()) {
    out.series[at] = batch.series[row]
    out.windowEndMs[at] = batch.windowEndMs[row]
    out.observed[at] = batch.observed[row]
    out.coverage[at] = batch.coverage[row]
    out.features.set(batch.features.subarray(row * width, (row + 1) * width), at * width)
  }
  return out
}
