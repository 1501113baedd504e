import type { FeatureBatch, OpinionBatch, ScoreBatch } from '../core/batch.ts'
import { EVIDENCE_ABSENT } from './silent-rows.ts'

/** From this surprise on the strongest detector's expectation is shown, below it the first detector's. */
const SPEAKS_FOR_ITSELF = 2

/** Expectation, band, direction and evidence of a block's rows. */
export function explainRows(
  block: FeatureBatch,
  outputs: readonly ScoreBatch[],
  evidence: Float32Array | undefined,
  out: OpinionBatch,
  from: number,
  openAt: number,
): void {
  const { length, observed } = block
  const { surprise, strongest, direction, expected, lower, upper } = out
  // Most rows show the first detector's expectation: copied at once, the others are put right one by one.
  const first = outputs[0].expected
  copyRows(first, length, expected, from)
  copyRows(outputs[0].lower, length, lower, from)
  copyRows(outputs[0].upper, length, upper, from)
  if (evidence === undefined) out.evidence.fill(0, from, from + length)
  else copyRows(evidence, length, out.evidence, from)
  for (let j = 0; j < length; j++) {
    const i = from + j
    let usual = first[j]
    if (surprise[i] >= SPEAKS_FOR_ITSELF || Number.isNaN(usual)) {
      let by = surprise[i] >= SPEAKS_FOR_ITSELF ? strongest[i] : 0
      for (let d = 0; d < outputs.length && Number.isNaN(outputs[by].expected[j]); d++) by = d
      const chosen = outputs[by]
      usual = chosen.expected[j]
      expected[i] = usual
      lower[i] = chosen.lower[j]
      upper[i] = chosen.upper[j]
    }
    const value = observed[j]
    if (value > usual) direction[i] = 1
    else if (value < usual) direction[i] = -1
    else {
      direction[i] = 0
      if (Number.isNaN(value) && out.point[i] >= openAt) out.evidence[i] = EVIDENCE_ABSENT
    }
  }
}

function copyRows<T extends Float32Array | Float64Array>(
  column: T,
  length: number,
  out: T,
  to: number,
): void {
  out.set((length === column.length ? column : column.subarray(0, length)) as never, to)
}
