import { type Cut, CutColumn, type Stretch } from './cut.ts'
import { ForeshockError } from './errors.ts'
import { release } from './release.ts'
import type { ColumnData } from './snapshot.ts'

/** Blocks begin at multiples of four bytes: a free one holds the address of the next. */
const UNIT = 4
const CHUNK_SHIFT = 18
/** Units in a chunk of 1 MiB. */
const CHUNK_UNITS = 1 << CHUNK_SHIFT
const MASK = CHUNK_UNITS - 1
/** Up to here every size has free blocks of its own, in units; beyond only powers of two do. */
const EXACT_UNITS = 512
const EXACT_BITS = 9
const CLASSES = EXACT_UNITS + (CHUNK_SHIFT - EXACT_BITS) + 1
const WORDS = Math.ceil(CLASSES / 32)
/** Addresses stay below 2^31: the upper half of 32 bits is the holder's to mark with. */
const CHUNKS_MAX = 2 ** 31 / CHUNK_UNITS
const EMPTY = Buffer.alloc(0)
const LOOP_BYTES_MAX = 96
/** Bytes of the first chunk at first, and its growth: most arenas stay small. */
const FIRST_BYTES = 1024
const GROWTH = 1.25
/** An arena of at least so many chunks of which less than this share is in use is worth being gathered in a new one. */
const SPARSE_CHUNKS = 4
const SPARSE_SHARE = 1 / 8

export interface SavedArena {
  readonly next: number
  readonly heads: readonly (readonly [sizeClass: number, address: number])[]
  /** Bytes of each chunk. */
  readonly chunks: readonly number[]
  readonly spare: readonly number[]
  /** Units that somebody holds; left out by who did not count them. */
  readonly used?: number
}

/**
 * Many short byte strings in chunks of 1 MiB. What is given back is used again: by strings of the same size first, then a
 * larger block is split. A string longer than a chunk has one of its own. The length of a string is its holder's to know.
 */
export class ByteArena {
  readonly #chunks: Buffer[] = [EMPTY]
  /** What the newest cut has of each chunk. A chunk that is let go, or that another one replaces, stays as it is. */
  #stretches: readonly Stretch[] = []
  /** First free block by class of size, 0 without. */
  readonly #heads = new Uint32Array(CLASSES)
  /** A bit for each class that has a free block. */
  readonly #some = new Uint32Array(WORDS)
  /** Numbers of chunks without content. */
  readonly #spare: number[] = []
  /** The first unit of the chunk in use that was never given out; 0 is nobody's address. */
  #next = 1
  /** Units that somebody holds. */
  #used = 0

  /** The chunk that an address lies in, to read from. */
  chunk(address: number): Buffer {
    return this.#chunks[address >>> CHUNK_SHIFT]
  }

  /** Where in its chunk. */
  offset(address: number): number {
    return (address & MASK) * UNIT
  }

  /** Keeps `length` bytes from `from` on; returns their address. */
  put(bytes: Uint8Array, length: number, from = 0): number {
    const units = rounded(Math.max(1, Math.ceil(length / UNIT)))
    this.#used += units
    const address = this.#reuse(units) || this.#extend(units)
    const chunk = this.#writable(address)
    const to = this.offset(address)
    // A view costs more than copying a few bytes one by one.
    if (length > LOOP_BYTES_MAX) chunk.set(bytes.subarray(from, from + length), to)
    else for (let i = 0; i < length; i++) chunk[to + i] = bytes[from + i]
    return address
  }

  /** Gives back what `put` gave for a string of this length. */
  free(address: number, length: number): void {
    const units = rounded(Math.max(1, Math.ceil(length / UNIT)))
    this.#used -= units
    if (units <= CHUNK_UNITS) {
      this.#release(address, units)
      return
    }
    this.#chunks[address >>> CHUNK_SHIFT] = EMPTY
    this.#spare.push(address >>> CHUNK_SHIFT)
  }

  bytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.byteLength, this.#heads.byteLength)
  }

  /** Whether most of much memory is free: a holder who knows all addresses does well to put the rest into a new arena. */
  get isSparse(): boolean {
    const chunks = this.#chunks.length
    return chunks >= SPARSE_CHUNKS && this.#used < SPARSE_SHARE * chunks * CHUNK_UNITS
  }

  /** Gives the memory back, but for what a cut still needs; nothing may be asked of it afterwards. */
  letGo(): void {
    for (const [i, chunk] of this.#chunks.entries()) {
      const isWhole = chunk.length > 0 && chunk.length === chunk.buffer.byteLength
      if (isWhole && this.#stretches[i]?.isPending !== true) release(chunk)
    }
    this.#chunks.length = 0
  }

  /** Plain copies of the chunks, a column each under `name`, and what is needed to go on with them. */
  snapshot(name: string, columns: Record<string, ColumnData>): SavedArena {
    for (const [i, chunk] of this.#chunks.entries()) columns[`${name}.${i}`] = Uint8Array.from(chunk)
    return this.#saved()
  }

  /** As `snapshot`, without copying the chunks. */
  cut(cut: Cut, name: string, columns: Record<string, ColumnData | CutColumn>): SavedArena {
    for (const stretch of this.#stretches) stretch.touch()
    this.#stretches = this.#chunks.map((chunk, i) => {
      const column = new CutColumn(Uint8Array, chunk.length)
      columns[`${name}.${i}`] = column
      // No Buffer: slicing one copies nothing.
      const values = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length)
      return cut.stretch(i / this.#chunks.length, () => [{ column, at: 0, values }])
    })
    return this.#saved()
  }

  #saved(): SavedArena {
    const heads: [number, number][] = []
    for (const [sizeClass, address] of this.#heads.entries())
      if (address > 0) heads.push([sizeClass, address])
    const chunks = this.#chunks.map(chunk => chunk.length)
    return { next: this.#next, heads, chunks, spare: [...this.#spare], used: this.#used }
  }

  /** The chunk that an address lies in, to write to: what a cut still needs of it is copied first. */
  #writable(address: number): Buffer {
    this.#stretches[address >>> CHUNK_SHIFT]?.touch()
    return this.chunk(address)
  }

  /**
   * Fills an empty arena; `isGiven`: with the chunks as they are, since nobody else has them. Throws FS_SNAPSHOT_INVALID when
   * one is missing.
   */
  restore(
    name: string,
    columns: Readonly<Record<string, ColumnData>>,
    from: SavedArena,
    isGiven = false,
  ): void {
    for (const [i, length] of from.chunks.entries()) {
      const column = columns[`${name}.${i}`]
      if (!(column instanceof Uint8Array) || column.length !== length)
        throw new ForeshockError('FS_SNAPSHOT_INVALID', `${name}: chunk ${i} is missing or of another length`)
      this.#chunks[i] = Buffer.from(column.buffer, column.byteOffset, length)
      if (!isGiven) this.#chunks[i] = Buffer.from(this.#chunks[i])
    }
    this.#next = from.next
    this.#used = from.used ?? from.chunks.reduce((sum, length) => sum + length / UNIT, 0)
    this.#spare.push(...from.spare)
    for (const [sizeClass, address] of from.heads) {
      this.#heads[sizeClass] = address
      this.#mark(sizeClass)
    }
  }

  #reuse(units: number): number {
    if (units > CHUNK_UNITS) return 0
    const wanted = classOf(units)
    const found = this.#heads[wanted] > 0 ? wanted : this.#larger(wanted)
    if (found < 0) return 0
    const address = this.#heads[found]
    const next = this.chunk(address).readUInt32LE(this.offset(address))
    this.#heads[found] = next
    if (next === 0) this.#some[found >>> 5] &= ~(1 << (found & 31))
    const rest = unitsOf(found) - units
    if (rest > 0) this.#release(address + units, rest)
    return address
  }

  /** The smallest class above with a free block, or −1. */
  #larger(sizeClass: number): number {
    for (let word = sizeClass >>> 5; word < WORDS; word++) {
      let bits = this.#some[word]
      // Of the first word only what lies above the class.
      if (word === sizeClass >>> 5) bits &= (-2 << (sizeClass & 31)) >>> 0
      if (bits !== 0) return word * 32 + (31 - Math.clz32(bits & -bits))
    }
    return -1
  }

  /** Takes units that were never given out. */
  #extend(units: number): number {
    if (units > CHUNK_UNITS) return this.#newChunk(units * UNIT)
    const within = this.#next & MASK
    if (within === 0 || within + units > CHUNK_UNITS) {
      if (within > 0) {
        this.#fit(CHUNK_UNITS)
        this.#release(this.#next, CHUNK_UNITS - within)
      }
      this.#next = this.#newChunk(CHUNK_UNITS * UNIT)
    } else this.#fit(within + units)
    const address = this.#next
    this.#next += units
    return address
  }

  /** A chunk that holds nothing yet; its first address. */
  #newChunk(bytes: number): number {
    const at = this.#spare.pop() ?? Math.max(1, this.#chunks.length)
    if (at >= CHUNKS_MAX) throw new ForeshockError('FS_ASSERTION', 'an arena has 8192 chunks at most')
    this.#chunks[at] = Buffer.alloc(bytes)
    return at * CHUNK_UNITS
  }

  /** Makes the chunk in use long enough: only the first one is not whole from the start, and grows. */
  #fit(units: number): void {
    if (this.#next >= CHUNK_UNITS) return
    const held = this.#chunks[0]
    if (held.length >= units * UNIT) return
    const length = Math.max(FIRST_BYTES, UNIT * Math.ceil((GROWTH * held.length) / UNIT), units * UNIT)
    this.#chunks[0] = Buffer.alloc(Math.min(CHUNK_UNITS * UNIT, length))
    this.#chunks[0].set(held)
  }

  /** Puts units into the free blocks, in as few pieces as their classes allow. */
  #release(address: number, units: number): void {
    let at = address
    for (let rest = units; rest > 0; ) {
      const piece = rest <= EXACT_UNITS ? rest : 1 << (31 - Math.clz32(rest))
      const sizeClass = classOf(piece)
      this.#writable(at).writeUInt32LE(this.#heads[sizeClass], this.offset(at))
      this.#heads[sizeClass] = at
      this.#mark(sizeClass)
      at += piece
      rest -= piece
    }
  }

  #mark(sizeClass: number): void {
    this.#some[sizeClass >>> 5] |= 1 << (sizeClass & 31)
  }
}

/** Units that a block of at least so many has. */
function rounded(units: number): number {
  if (units <= EXACT_UNITS) return units
  if (units > CHUNK_UNITS) return Math.ceil(units / CHUNK_UNITS) * CHUNK_UNITS
  return 1 << (32 - Math.clz32(units - 1))
}

function classOf(units: number): number {
  return units <= EXACT_UNITS ? units : EXACT_UNITS + (31 - Math.clz32(units)) - EXACT_BITS
}

function unitsOf(sizeClass: number): number {
  return sizeClass <= EXACT_UNITS ? sizeClass : 1 << (sizeClass - EXACT_UNITS + EXACT_BITS)
}
