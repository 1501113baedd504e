import { COLUMN_ARRAYS } from '../core/columns.ts'
import { type Cut, CutColumn } from '../core/cut.ts'
import type { Checkpoint, CheckpointCut } from '../core/ports.ts'
import type { ColumnData, Snapshot } from '../core/snapshot.ts'
import { type Spilled, spill, unspill } from './spill.ts'

/**
 * The bytes of a checkpoint: magic, header length u32, header JSON, then in the header's order the key lists and the
 * spilled blocks of JSON, then pieces of columns (little-endian, as the machine has them) in any order, each behind a head
 * that says where it belongs; what none of them brings is zero. A file ends with a digest of everything before, SHA-256
 * before layout 3. Layout 1, which is still read as 2 is, had whole columns in the header's order. It is made and read in
 * pieces of about a megabyte, so that saving a million series never needs one buffer of the whole.
 */
const MAGIC = 'FSCKPT03'
const MAGIC_2 = 'FSCKPT02'
const MAGIC_1 = 'FSCKPT01'
export const MAGIC_BYTES = 8
export const DIGEST_BYTES = 32

/** Whether a file that begins so ends with SHA-256 of its content, as files did. */
export function hasPlainDigest(magic: string): boolean {
  return magic === MAGIC_1 || magic === MAGIC_2
}
/** Bytes of a column that is no live memory handed on at once. */
const PLAIN_BYTES = 1_048_576

type TypeName = keyof typeof COLUMN_ARRAYS

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
    /** In place of keys: how many rows of the series table, or the column behind the others that names them. */
    readonly rows?: number | 'column'
    readonly meta: unknown
    readonly columns: readonly { readonly name: string; readonly type: TypeName; readonly length: number }[]
  }[]
}

/** Name of the column of rows in the header; it is none of the part's own. */
const ROWS = ':rows'
/** A piece's head: index of the column over all parts u32, bytes u32, first byte's place f64. */
const PIECE_BYTES = 16
/** Index that ends the pieces. */
const NO_COLUMN = 0xffff_ffff
/** A piece smaller than this is not worth its head: what is left of a block stays empty. */
const PIECE_LEAST = 1024
/** Items of JSON written at once: a millisecond. */
const KEYS_PER_BLOCK = 4096

function u32(value: number): Buffer {
  const out = Buffer.alloc(4)
  out.writeUInt32LE(value)
  return out
}

function typeOf(column: ColumnData | CutColumn): TypeName {
  for (const name of Object.keys(COLUMN_ARRAYS) as TypeName[]) {
    if (
      column instanceof CutColumn
        ? column.make === COLUMN_ARRAYS[name]
        : column instanceof COLUMN_ARRAYS[name]
    )
      return name
  }
  throw new TypeError('a column of an unknown type')
}

/** A length-prefixed block of JSON. */
function* jsonBlock(value: unknown): IterableIterator<Uint8Array> {
  const text = Buffer.from(JSON.stringify(value))
  yield u32(text.length)
  yield text
}

/** As `jsonBlock`; each is a call of its own, since a megabyte of JSON takes 16 ms to make. */
function* timedBlock(value: unknown): IterableIterator<Uint8Array | undefined> {
  yield undefined
  yield* jsonBlock(value)
}

const NOTHING = new Uint8Array(0)

function pieceHead(column: number, bytes: number, at: number): Buffer {
  const head = Buffer.alloc(PIECE_BYTES)
  head.writeUInt32LE(column)
  head.writeUInt32LE(bytes, 4)
  head.writeDoubleLE(at, 8)
  return head
}

type Column = readonly [name: string, column: ColumnData | CutColumn]

/**
 * The bytes of a checkpoint but the digest, made as they are asked for. Live memory is copied straight into the buffer that
 * is to be filled, so that whatever happens between two calls is no matter; it must go on until it returns 0 or throws.
 */
export class CheckpointEncoder {
  readonly #checkpoint: CheckpointCut
  readonly #source: Iterator<Uint8Array | undefined>
  #room = 0
  #carry: Uint8Array = new Uint8Array(0)

  constructor(checkpoint: CheckpointCut) {
    this.#checkpoint = checkpoint
    this.#source = this.#pieces()
  }

  /** Fills `into` from its beginning, as far as there is something and it fits; returns how far, 0 at the end. */
  read(into: Uint8Array): number {
    let filled = 0
    while (filled < into.length) {
      if (this.#carry.length > 0) {
        const some = this.#carry.subarray(0, into.length - filled)
        into.set(some, filled)
        filled += some.length
        this.#carry = this.#carry.subarray(some.length)
        continue
      }
      this.#room = into.length - filled
      const { value, done } = this.#source.next()
      if (done) break
      // What comes wants a block of its own: room for live memory, or time for JSON.
      if (value === undefined && filled > 0) break
      this.#carry = value ?? NOTHING
    }
    return filled
  }

  /** Undefined where the block at hand has too little room left for what comes. */
  *#pieces(): IterableIterator<Uint8Array | undefined> {
    const { position, savedMs, parts, cut } = this.#checkpoint
    const lists = [...new Set(parts.filter(part => part.rows === undefined).map(part => part.keys))]
    const blocks: Spilled[] = []
    const columns = parts.map(({ columns, rows }): Column[] => [
      ...Object.entries(columns),
      ...(rows instanceof Uint32Array ? [[ROWS, rows] as const] : []),
    ])
    const header: Header = {
      position,
      savedMs,
      keyLists: lists.map(list => list.length),
      parts: parts.map((part, i) => ({
        id: part.id,
        version: part.version,
        keys: lists.indexOf(part.keys),
        ...(part.rows === undefined ? {} : { rows: typeof part.rows === 'number' ? part.rows : 'column' }),
        meta: spill(part.meta ?? null, blocks),
        columns: columns[i].map(([name, column]) => ({ name, type: typeOf(column), length: column.length })),
      })),
      blocks: blocks.length,
    }
    yield Buffer.from(MAGIC)
    yield* jsonBlock(header)
    for (const list of lists) {
      for (let at = 0; at < list.length; at += KEYS_PER_BLOCK)
        yield* timedBlock(list.slice(at, at + KEYS_PER_BLOCK))
    }
    for (const { array, from, to } of blocks) yield* timedBlock(array.slice(from, to))
    yield* this.#columns(columns.flat(), cut)
    yield pieceHead(NO_COLUMN, 0, 0)
  }

  *#columns(columns: readonly Column[], cut: Cut | undefined): IterableIterator<Uint8Array | undefined> {
    const places = new Map<CutColumn, number>()
    for (const [place, [, column]] of columns.entries()) {
      if (column instanceof CutColumn) places.set(column, place)
      else if (column.length > 0) {
        const bytes = new Uint8Array(column.buffer, column.byteOffset, column.byteLength)
        for (let at = 0; at < bytes.length; at += PLAIN_BYTES) {
          const some = bytes.subarray(at, at + PLAIN_BYTES)
          yield pieceHead(place, some.length, at)
          yield some
        }
      }
    }
    while (cut) {
      while (this.#room < PIECE_BYTES + PIECE_LEAST) yield undefined
      const piece = cut.next(this.#room - PIECE_BYTES)
      if (!piece) break
      const place = places.get(piece.column)
      if (place === undefined) throw new TypeError('a piece of a column that is in no part')
      yield pieceHead(place, piece.bytes.length, piece.at)
      yield piece.bytes
    }
  }
}

/** Fills the buffer from the file, whole; throws when the file ends before. */
export type Read = (into: Uint8Array) => Promise<void>

/**
 * Reads what `CheckpointEncoder` made. Whoever has not checked the digest yet names the `bytes` of all, which no block of
 * text may exceed, and checks it afterwards; columns take memory only as far as they are read.
 */
export async function decodeCheckpoint(read: Read, bytes = Number.POSITIVE_INFINITY): Promise<Checkpoint> {
  const json = async (): Promise<unknown> => {
    const length = Buffer.alloc(4)
    await read(length)
    if (length.readUInt32LE() > bytes) throw new Error('it ends too early')
    const text = Buffer.alloc(length.readUInt32LE())
    await read(text)
    return JSON.parse(text.toString())
  }
  const magic = Buffer.alloc(MAGIC_BYTES)
  await read(magic)
  const layout = magic.toString()
  if (layout !== MAGIC && layout !== MAGIC_2 && layout !== MAGIC_1)
    throw new Error('not a checkpoint of this version')
  const header = (await json()) as Header
  const lists: string[][] = []
  for (const length of header.keyLists) {
    const list: string[] = []
    while (list.length < length) for (const key of (await json()) as string[]) list.push(key)
    lists.push(list)
  }
  const blocks: unknown[][] = []
  for (let i = 0; i < header.blocks; i++) blocks.push((await json()) as unknown[])
  const columns = header.parts.map(part =>
    part.columns.map(({ name, type, length }): [string, ColumnData] => [
      name,
      new COLUMN_ARRAYS[type](length),
    ]),
  )
  const targets = columns.flat().map(([, column]) => new Uint8Array(column.buffer))
  if (layout === MAGIC_1) for (const column of targets) await read(column)
  else await readPieces(read, targets)
  const parts = header.parts.map(({ id, version, keys, rows, meta }, i): Snapshot => {
    const own = columns[i].filter(([name]) => rows !== 'column' || name !== ROWS)
    const named = columns[i].find(([name]) => name === ROWS)?.[1] as Uint32Array
    return {
      id,
      version,
      keys: keys < 0 ? [] : lists[keys],
      ...(rows === undefined ? {} : { rows: rows === 'column' ? named : rows }),
      columns: Object.fromEntries(own),
      meta: unspill(meta, blocks),
    }
  })
  return { position: header.position, savedMs: header.savedMs, parts }
}

async function readPieces(read: Read, columns: readonly Uint8Array[]): Promise<void> {
  const head = Buffer.alloc(PIECE_BYTES)
  for (;;) {
    await read(head)
    const column = head.readUInt32LE()
    if (column === NO_COLUMN) return
    const at = head.readDoubleLE(8)
    const bytes = head.readUInt32LE(4)
    if (!(at + bytes <= (columns[column]?.length ?? 0))) throw new Error('a piece lies beyond its column')
    await read(columns[column].subarray(at, at + bytes))
  }
}
