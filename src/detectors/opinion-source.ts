import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import type { Detector } from '../core/detector.ts'

/**
 * A detector that fuses its own voices: where it is the only one, it is asked for opinions at once. They are those that an ensemble
 * would make of what it says.
 */
export interface OpinionSource extends Detector {
  /**
   * Opinions of a block into rows `from`… of `out`, and the surprises of its voices, in their order, into the same rows of `heard`.
   * Changes no learned state; `learn` is then given the block, as after `score`.
   */
  opine(block: FeatureBatch, out: OpinionBatch, from: number, heard: readonly Float32Array[]): void
}

export function isOpinionSource(detector: Detector): detector is OpinionSource {
  return 'opine' in detector
}
