import type { Checkpoint } from '../core/ports.ts'
import type { ColumnData, Snapshot } from '../core/snapshot.ts'
import { type Spilled, spill, unspill } from './spill.ts'

/**
 * The bytes of a checkpoint: magic "FSCKPT01", header length u32, header JSON, then in the header's order the key
 * lists, the spilled blocks of JSON and the columns (little-endian, as the machine has them), then SHA-256 of
 * everything before. Key lists shared between parts are stored once. It is made and read in pieces of about a
 * megabyte, so that saving a million series never needs one buffer of the whole.
 */
export const MAGIC = 'FSCKPT01'
export const DIGEST_BYTES = 32
/** Keys per block, JSON of one block being far below the longest string V8 allows. */
const KEYS_PER_BLOCK = 8192
/** Bytes of a column handed on at once. */
const COLUMN_BYTES = 1_048_576

const TYPES = {
  f64: Float64Array,
  f32: Float32Array,
  u32: Uint32Array,
  i32: Int32Array,
  u16: Uint16Array,
  i16: Int16Array,
  u8: Uint8Array,
  i8: Int8Array,
} as const
type TypeName = keyof typeof TYPES

interface Header {
  readonly position: number
  readonly savedMs: number
  /** Keys in each list. */
  readonly keyLists: readonly number[]
  /** Blocks of JSON that hold the long arrays of all metas. */
  readonly blocks: number
  readonly parts: readonly {
    readonly id: string
    readonly version: number
    /** Index of its key list. */
    readonly keys: number
    readonly meta: unknown
    readonly columns: readonly { readonly name: string; readonly type: TypeName; readonly length: number }[]
  }[]
}

function u32(value: number): Buffer {
  const out = Buffer.alloc(4)
  out.writeUInt32LE(value)
  return out
}

function typeOf(column: ColumnData): TypeName {
  for (const name of Object.keys(TYPES) as TypeName[]) if (column instanceof TYPES[name]) return name
  throw new TypeError('a column of an unknown type')
}

/** A length-prefixed block of JSON. */
function* jsonBlock(value: unknown): IterableIterator<Uint8Array> {
  const text = Buffer.from(JSON.stringify(value))
  yield u32(text.length)
  yield text
}

/** Everything but the digest, in pieces. The arrays are read while it runs: they must not change. */
export function* encodeCheckpoint(checkpoint: Checkpoint): IterableIterator<Uint8Array> {
  const lists = [...new Set(checkpoint.parts.map(part => part.keys))]
  const blocks: Spilled[] = []
  const header: Header = {
    position: checkpoint.position,
    savedMs: checkpoint.savedMs,
    keyLists: lists.map(list => list.length),
    parts: checkpoint.parts.map(part => ({
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
  yield Buffer.from(MAGIC)
  yield* jsonBlock(header)
  for (const list of lists) {
    for (let at = 0; at < list.length; at += KEYS_PER_BLOCK)
      yield* jsonBlock(list.slice(at, at + KEYS_PER_BLOCK))
  }
  for (const { array, from, to } of blocks) yield* jsonBlock(array.slice(from, to))
  for (const part of checkpoint.parts) {
    for (const column of Object.values(part.columns)) {
      const bytes = new Uint8Array(column.buffer, column.byteOffset, column.byteLength)
      for (let at = 0; at < bytes.length; at += COLUMN_BYTES) yield bytes.subarray(at, at + COLUMN_BYTES)
    }
  }
}

/** Fills the buffer from the file, whole; throws when the file ends before. */
export type Read = (into: Uint8Array) => Promise<void>

/** Reads what `encodeCheckpoint` made. The digest has been checked by the caller, so the lengths are believed. */
export async function decodeCheckpoint(read: Read): Promise<Checkpoint> {
  const json = async (): Promise<unknown> => {
    const length = Buffer.alloc(4)
    await read(length)
    const text = Buffer.alloc(length.readUInt32LE())
    await read(text)
    return JSON.parse(text.toString())
  }
  const magic = Buffer.alloc(MAGIC.length)
  await read(magic)
  if (magic.toString() !== MAGIC) throw new Error('not a checkpoint of this version')
  const header = (await json()) as Header
  const lists: string[][] = []
  for (const length of header.keyLists) {
    const list: string[] = []
    while (list.length < length) for (const key of (await json()) as string[]) list.push(key)
    lists.push(list)
  }
  const blocks: unknown[][] = []
  for (let i = 0; i < header.blocks; i++) blocks.push((await json()) as unknown[])
  const parts: Snapshot[] = []
  for (const part of header.parts) {
    const columns: [string, ColumnData][] = []
    for (const { name, type, length } of part.columns) {
      const column = new TYPES[type](length)
      await read(new Uint8Array(column.buffer))
      columns.push([name, column])
    }
    parts.push({
      id: part.id,
      version: part.version,
      keys: lists[part.keys],
      columns: Object.fromEntries(columns),
      meta: unspill(part.meta, blocks),
    })
  }
  return { position: header.position, savedMs: header.savedMs, parts }
}
