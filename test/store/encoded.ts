import type { CheckpointCut } from '../../src/core/ports.ts'
import { CheckpointEncoder } from '../../src/store/checkpoint-format.ts'

/** The bytes of a checkpoint but its digest, read in blocks. */
export function encoded(checkpoint: CheckpointCut, blockBytes = 65_536): Buffer {
  const encoder = new CheckpointEncoder(checkpoint)
  const blocks: Buffer[] = []
  for (;;) {
    const block = Buffer.alloc(blockBytes)
    const length = encoder.read(block)
    if (length === 0) return Buffer.concat(blocks)
    blocks.push(block.subarray(0, length))
  }
}
