import { statfs } from 'node:fs/promises'
import { CutColumn } from '../core/cut.ts'
import { ForeshockError } from '../core/errors.ts'
import type { CheckpointCut } from '../core/ports.ts'

/** Of its own size, what a checkpoint leaves free: the journal on the same disk goes on meanwhile. */
const LEFT = 1 / 8
const MIB = 1_048_576

/** Bytes of the columns of a checkpoint, which are nearly all of it. */
export function columnBytes({ parts }: CheckpointCut): number {
  let sum = 0
  for (const { columns, rows } of parts) {
    for (const column of Object.values(columns))
      sum +=
        column.length *
        (column instanceof CutColumn ? column.make.BYTES_PER_ELEMENT : column.BYTES_PER_ELEMENT)
    if (rows instanceof Uint32Array) sum += rows.byteLength
  }
  return sum
}

/**
 * Throws FS_IO when a file of `bytes` would fill the disk under `dir`: better no checkpoint than no journal. What a file system
 * does not tell is found out by writing.
 */
export async function needRoom(dir: string, bytes: number): Promise<void> {
  const found = await statfs(dir).catch(() => undefined)
  if (found === undefined) return
  const free = found.bavail * found.bsize
  const needed = Math.ceil(bytes * (1 + LEFT))
  if (free < needed)
    throw new ForeshockError(
      'FS_IO',
      `${dir}: a checkpoint needs ${Math.ceil(needed / MIB)} MiB and ${Math.floor(free / MIB)} MiB are free; it is tried again, and the journal keeps everything until then`,
    )
}
