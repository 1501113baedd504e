import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import { brotliCompress, brotliDecompress, constants } from 'node:zlib'
import type { Checkpoint, CheckpointCut } from '../core/ports.ts'
import { CheckpointEncoder, decodeCheckpoint } from './checkpoint-format.ts'

const compress = promisify(brotliCompress)
const decompress = promisify(brotliDecompress)

/** Bytes of a checkpoint in one chunk, before it is packed. */
const CHUNK_BYTES = 1_048_576
/**
 * Brotli's quality. Of real checkpoints (2000 series, 3000 windows) 1 leaves 16 %, as deflate does at twice the CPU; lz4 and
 * snappy in JavaScript leave 22 % and 24 % at five times and more. It runs beside the event loop.
 */
const QUALITY = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }

export interface Chunk {
  readonly bytes: Buffer
  /** SHA-256 of the bytes, base64. */
  readonly digest: string
}

export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64')
}

/** The bytes of a checkpoint in packed chunks, one at a time. What is no live memory of a cut must not change meanwhile. */
export async function* packed(checkpoint: CheckpointCut): AsyncIterable<Chunk> {
  const block = Buffer.alloc(CHUNK_BYTES) // one for all: each is packed before the next is filled
  const encoder = new CheckpointEncoder(checkpoint)
  let held = 0
  for (let read = encoder.read(block); read > 0; read = encoder.read(block.subarray(held))) {
    held += read
    // Pieces that want a block of their own leave much of it empty: a chunk holds several.
    if (held < CHUNK_BYTES / 2) await setImmediate()
    else {
      yield await pack(block.subarray(0, held))
      held = 0
    }
  }
  if (held > 0) yield await pack(block.subarray(0, held))
}

async function pack(block: Uint8Array): Promise<Chunk> {
  const bytes = await compress(block, QUALITY)
  return { bytes, digest: digestOf(bytes) }
}

/**
 * Puts a checkpoint together from its chunks. `fetch` gives the packed bytes of one, undefined when it is gone, and is asked
 * for the next while one is read. Throws what `fetch` throws, and an Error when the chunks are not what was saved.
 */
export async function unpacked(
  digests: readonly string[],
  fetch: (index: number) => Promise<Buffer | undefined>,
): Promise<Checkpoint> {
  let next = 0
  const ahead = () => {
    const chunk = next < digests.length ? fetch(next++) : undefined
    chunk?.catch(() => {}) // whoever takes it hears of it
    return chunk
  }
  let coming = ahead()
  let held = Buffer.alloc(0)
  const more = async () => {
    const index = next - 1
    const chunk = coming
    if (!chunk) throw new Error('it ends too early')
    const bytes = await chunk
    coming = ahead()
    if (!bytes) throw new Error(`chunk ${index} is gone`)
    if (digestOf(bytes) !== digests[index]) throw new Error(`chunk ${index} does not match its SHA-256`)
    held = await decompress(bytes, { maxOutputLength: CHUNK_BYTES })
  }
  return decodeCheckpoint(async into => {
    for (let done = 0; done < into.length; ) {
      if (held.length === 0) await more()
      const part = held.subarray(0, into.length - done)
      into.set(part, done)
      held = held.subarray(part.length)
      done += part.length
    }
  })
}
