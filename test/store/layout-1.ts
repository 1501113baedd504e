import { COLUMN_ARRAYS } from '../../src/core/columns.ts'
import type { Checkpoint } from '../../src/core/ports.ts'
import { type Spilled, spill } from '../../src/store/spill.ts'

function block(value: unknown): Buffer {
  const text = Buffer.from(JSON.stringify(value))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(text.length)
  return Buffer.concat([length, text])
}

/** The bytes of a checkpoint but its digest, as the release before wrote them: whole columns in the header's order. */
export function encodedLayout1({ position, savedMs, parts }: Checkpoint): Buffer {
  const lists = [...new Set(parts.map(part => part.keys))]
  const blocks: Spilled[] = []
  const typeOf = (column: object) =>
    Object.entries(COLUMN_ARRAYS).find(([, make]) => column instanceof make)?.[0]
  const header = {
    position,
    savedMs,
    keyLists: lists.map(list => list.length),
    parts: parts.map(part => ({
      id: part.id,
      version: part.version,
      keys: lists.indexOf(part.keys),
      meta: spill(part.meta ?? null, blocks),
      columns: Object.entries(part.columns).map(([name, column]) => ({
        name,
        type: typeOf(column),
        length: column.length,
      })),
    })),
    blocks: blocks.length,
  }
  return Buffer.concat([
    Buffer.from('FSCKPT01'),
    block(header),
    ...lists.flatMap(list => (list.length > 0 ? [block(list)] : [])),
    ...blocks.map(({ array, from, to }) => block(array.slice(from, to))),
    ...parts.flatMap(part =>
      Object.values(part.columns).map(({ buffer, byteOffset, byteLength }) =>
        Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength),
      ),
    ),
  ])
}
