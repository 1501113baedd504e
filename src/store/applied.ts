import { ForeshockError } from '../core/errors.ts'
import type { RecordLine, RecordSource } from '../core/ports.ts'

/**
 * The lines that an index at `lastSeq` (undefined: it has none of the partition) does not have yet. Throws FS_CONFLICT when
 * lines are missing before them.
 */
export function unapplied(
  lines: readonly RecordLine[],
  lastSeq: number | undefined,
  source: RecordSource | undefined,
): readonly RecordLine[] {
  if (lastSeq === undefined) return lines
  const at = lines.findIndex(line => line.seq > lastSeq)
  if (at < 0) return []
  const { seq } = lines[at]
  if (seq > lastSeq + 1 && source?.afterGap !== true) {
    const where = source === undefined ? '' : ` of partition ${source.partition}`
    throw new ForeshockError(
      'FS_CONFLICT',
      `the index has the record${where} up to ${lastSeq}, so what follows is not ${seq}`,
    )
  }
  return at === 0 ? lines : lines.slice(at)
}
