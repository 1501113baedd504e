import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { RecordIndex, RecordLog } from '../core/ports.ts'
import { DuckDbIndex } from './duckdb-index.ts'
import { MemoryIndex } from './memory-index.ts'

export interface EmbeddedIndexOptions {
  readonly kind: 'memory' | 'duckdb'
  /** Data folder. */
  readonly folder: string
  readonly retentionMs: number
  readonly record: RecordLog
  readonly onWarning: (text: string) => void
}

/** Layout of the file, the columns of its tables. */
const LAYOUT = 2

/** The file of the index in a data folder; the number is that of its layout. */
export function indexFile(folder: string, layout = LAYOUT): string {
  return join(folder, `index-${layout}.duckdb`)
}

/** The index of one process, as far as it was built before; `IndexFeed.catchUp` brings the rest. */
export async function openEmbeddedIndex(options: EmbeddedIndexOptions): Promise<RecordIndex> {
  const { kind, folder, retentionMs, record, onWarning } = options
  if (kind === 'memory') return new MemoryIndex()
  // Files of former layouts are of no use: what they hold is in the record.
  for (let layout = 1; layout < LAYOUT; layout++)
    for (const tail of ['', '.wal']) rmSync(`${indexFile(folder, layout)}${tail}`, { force: true })
  const path = indexFile(folder)
  const index = await DuckDbIndex.open({ path, retentionMs, onWarning })
  if (await isOfAnother(index, record)) {
    onWarning(`${path} was built from another record than the one beside it; it is built anew`)
    await index.clear()
  }
  return index
}

/** Whether the record has another line where the index ends, or none: it was restored, exchanged or cut. */
async function isOfAnother(index: DuckDbIndex, record: RecordLog): Promise<boolean> {
  const seq = (await index.position()).get(0)?.seq
  if (seq === undefined) return false
  for await (const line of record.read(seq)) return line.seq !== seq || line.id !== index.lastId
  return true
}
