import { ByteArena, type SavedArena } from './byte-arena.ts'
import type { Cut, CutColumn } from './cut.ts'
import { ForeshockError } from './errors.ts'
import { PackedBytes, PackedReader } from './packed-text.ts'
import { RowIndex } from './row-index.ts'
import type { ColumnData } from './snapshot.ts'
import { U32Column } from './u32-column.ts'

/** Texts looked up or read lately that stay strings, 1 MB or so of each. */
const RECENT_MAX = 8192
/** Texts that `wanted` remembers to have seen once: 2 bytes each, as many as there are series, within bounds. */
const SEEN_LEAST = 1024
const SEEN_MOST = 1 << 20
const FREE = 0x8000_0000
const NONE = 0x7fff_ffff

/** A text that is asked for again and again, with the number that it was found under. */
export interface KnownText {
  readonly text: string
  /** Number in the dictionary and the time it was looked up at, which are its own to change. */
  id: number
  heldAt: number
}

export function knownText(text: string): KnownText {
  return { text, id: -1, heldAt: -1 }
}

export interface SavedDictionary {
  readonly length: number
  readonly size: number
  readonly free: number
  readonly arena: SavedArena
}

/**
 * Texts by number, each once, as bytes outside of the JavaScript heap; one that nobody holds any more makes room. A text
 * that comes once in a life, such as a request id, is its holder's to keep: `wanted` tells.
 */
export class TextDictionary {
  readonly #arena = new ByteArena()
  /** Address of a text; of a free number the next free one, marked. */
  readonly #at = new U32Column()
  readonly #holders = new U32Column()
  readonly #index = new RowIndex()
  readonly #packed = new PackedBytes()
  readonly #reader = new PackedReader()
  readonly #numbers = new Map<string, number>()
  readonly #texts = new Map<number, string>()
  #seen = new Uint16Array(SEEN_LEAST)
  #length = 0
  #free = NONE
  /** Texts that were let go so far: until the next one, numbers stay as they are. */
  #gone = 0
  size = 0

  /** The number of a text that is held, or −1. */
  find(text: string): number {
    const recent = this.#numbers.get(text)
    if (recent !== undefined) return recent
    const hash = textHash(text)
    for (let id = this.#index.first(hash); id >= 0; id = this.#index.next()) {
      if (this.text(id) !== text) continue
      remember(this.#numbers, text, id)
      return id
    }
    return -1
  }

  /** As `find`, and remembered until a text is let go. */
  look(known: KnownText): number {
    if (known.heldAt === this.#gone) return known.id
    const id = this.find(known.text)
    if (id >= 0) {
      known.id = id
      known.heldAt = this.#gone
    }
    return id
  }

  /** One holder more of a text that is held. */
  hold(id: number): void {
    this.#holders.set(id, this.#holders.at(id) + 1)
  }

  /** Whether a text that is not held has been asked for before: the first time it is not worth an entry. */
  wanted(text: string, series: number): boolean {
    if (this.#seen.length < Math.min(series, SEEN_MOST)) this.#seen = new Uint16Array(2 * this.#seen.length)
    const hash = textHash(text)
    const at = hash & (this.#seen.length - 1)
    const mark = (hash >>> 16) | 1
    const isKnown = this.#seen[at] === mark
    this.#seen[at] = mark
    return isKnown
  }

  /** The number of a text, which has one holder more; made when new. */
  take(text: string): number {
    let id = this.find(text)
    if (id < 0) id = this.#add(text)
    this.hold(id)
    return id
  }

  /** One holder less. */
  release(id: number): void {
    const left = this.#holders.at(id) - 1
    this.#holders.set(id, left)
    if (left > 0) return
    const text = this.text(id)
    this.#gone++
    this.#numbers.delete(text)
    this.#texts.delete(id)
    this.#index.remove(id)
    const address = this.#at.at(id)
    const offset = this.#seek(address)
    this.#reader.skipText()
    this.#arena.free(address, this.#reader.at - offset)
    this.#at.set(id, FREE | this.#free)
    this.#free = id
    this.size--
  }

  text(id: number): string {
    const recent = this.#texts.get(id)
    if (recent !== undefined) return recent
    this.#seek(this.#at.at(id))
    const text = this.#reader.text()
    remember(this.#texts, id, text)
    return text
  }

  bytes(): number {
    const parts = [this.#arena, this.#at, this.#holders, this.#index]
    return parts.reduce((sum, part) => sum + part.bytes(), this.#seen.byteLength)
  }

  snapshot(columns: Record<string, ColumnData>): SavedDictionary {
    columns['texts.at'] = this.#at.slice(this.#length)
    columns['texts.holders'] = this.#holders.slice(this.#length)
    columns['texts.hash'] = this.#index.snapshot(this.#length)
    const arena = this.#arena.snapshot('texts', columns)
    return { length: this.#length, size: this.size, free: this.#free, arena }
  }

  /** As `snapshot`, without copying what is large. */
  cut(cut: Cut, columns: Record<string, ColumnData | CutColumn>): SavedDictionary {
    columns['texts.at'] = this.#at.cut(cut, this.#length)
    columns['texts.holders'] = this.#holders.cut(cut, this.#length)
    columns['texts.hash'] = this.#index.cut(cut, this.#length)
    const arena = this.#arena.cut(cut, 'texts', columns)
    return { length: this.#length, size: this.size, free: this.#free, arena }
  }

  /** Fills an empty dictionary. Throws FS_SNAPSHOT_INVALID on another layout. */
  restore(columns: Readonly<Record<string, ColumnData>>, from: SavedDictionary, isGiven = false): void {
    const at = u32Column(columns, 'texts.at', from.length)
    const hashes = u32Column(columns, 'texts.hash', from.length)
    this.#at.load(at, isGiven)
    this.#holders.load(u32Column(columns, 'texts.holders', from.length))
    this.#arena.restore('texts', columns, from.arena, isGiven)
    this.#length = from.length
    this.#free = from.free
    this.size = from.size
    this.#index.restore(hashes, id => at[id] < FREE)
  }

  #seek(address: number): number {
    const offset = this.#arena.offset(address)
    this.#reader.seek(this.#arena.chunk(address), offset)
    return offset
  }

  #add(text: string): number {
    let id = this.#free
    if (id === NONE) id = this.#length++
    else this.#free = this.#at.at(id) & NONE
    this.#at.ensure(id + 1)
    this.#holders.ensure(id + 1)
    const packed = this.#packed
    packed.length = 0
    packed.text(text)
    this.#at.set(id, this.#arena.put(packed.bytes, packed.length))
    this.#holders.set(id, 0)
    this.#index.add(id, textHash(text))
    this.size++
    return id
  }
}

/** A column of numbers of a snapshot. Throws FS_SNAPSHOT_INVALID when it is missing or of another length. */
export function u32Column(
  columns: Readonly<Record<string, ColumnData>>,
  name: string,
  length: number,
): Uint32Array {
  const column = columns[name]
  if (column instanceof Uint32Array && column.length === length) return column
  throw new ForeshockError('FS_SNAPSHOT_INVALID', `series: column ${name} is missing or of another shape`)
}

/** When there are too many, all are forgotten: what is asked for often is soon back. */
function remember<K, V>(map: Map<K, V>, key: K, value: V): void {
  if (map.size >= RECENT_MAX) map.clear()
  map.set(key, value)
}

/** A 32-bit multiply-rotate hash of the UTF-16 units (mixing as in FxHash, the finaliser of MurmurHash3). */
export function textHash(text: string): number {
  let h = 0
  for (let i = 0; i < text.length; i++)
    h = Math.imul(((h << 5) | (h >>> 27)) ^ text.charCodeAt(i), 0x27220a95)
  h ^= text.length
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
