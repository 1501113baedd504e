import { ByteArena, type SavedArena } from '../core/byte-arena.ts'
import { type Cut, CutColumn, type Stretch } from '../core/cut.ts'
import { ForeshockError } from '../core/errors.ts'
import { asciiHeader, PackedBytes, PackedReader } from '../core/packed-text.ts'
import type { ColumnData } from '../core/snapshot.ts'

/** Wires of one chunk of addresses. */
const SHIFT = 16
const MASK = (1 << SHIFT) - 1

/** Columns of a checkpoint: the address of each wire's text, 0 without; and the arena's chunks. */
const ADDRESSES = 'texts.at'
const ARENA = 'texts'

/** What a checkpoint holds of texts beside the columns. */
export type SavedTexts = SavedArena

/**
 * Texts of the wires that have one of their own, off the JavaScript heap: of ten million series that are seen for the first
 * time, all counters wait with theirs for a second value.
 */
export class WireTexts {
  #arena = new ByteArena()
  /** Address of each wire's text, 0 without, by chunks of wires; made when one of them has a text. */
  readonly #addresses: (Uint32Array | undefined)[] = []
  /** Texts in each chunk; one without any is let go. */
  readonly #counts: number[] = []
  /** The last one that was let go, all zero: a wire whose text goes as soon as it has come takes it again at once. */
  #spare: Uint32Array | undefined
  readonly #packed = new PackedBytes()
  readonly #reader = new PackedReader()
  /** What the newest cut still needs of each chunk of addresses. */
  #stretches: (Stretch | undefined)[] = []
  /** The text set last, which most often is let go before another one comes; −1 without one. */
  #newest = -1
  #newestText = ''

  of(wire: number): string | undefined {
    if (wire === this.#newest) return this.#newestText
    const address = this.#addressOf(wire)
    if (address === 0) return undefined
    this.#reader.seek(this.#arena.chunk(address), this.#arena.offset(address))
    return this.#reader.text()
  }

  #addressOf(wire: number): number {
    return this.#addresses[wire >>> SHIFT]?.[wire & MASK] ?? 0
  }

  set(wire: number, text: string): void {
    this.delete(wire)
    this.keep()
    this.#newest = wire
    this.#newestText = text
  }

  /** The newest will be asked for again: it is kept with the others. */
  keep(): void {
    if (this.#newest < 0) return
    const packed = this.#packed
    packed.length = 0
    packed.text(this.#newestText)
    this.#put(this.#newest, packed.bytes, 0, packed.length)
    this.#newest = -1
  }

  /** The same of ASCII characters, before which five bytes may be written over. */
  setAscii(wire: number, bytes: Uint8Array, from: number, length: number): void {
    this.delete(wire)
    this.keep()
    const start = asciiHeader(bytes, from, length)
    this.#put(wire, bytes, start, from + length - start)
  }

  #put(wire: number, bytes: Uint8Array, from: number, length: number): void {
    let chunk = this.#addresses[wire >>> SHIFT]
    if (chunk === undefined) {
      chunk = this.#spare ?? new Uint32Array(1 << SHIFT)
      this.#spare = undefined
      this.#addresses[wire >>> SHIFT] = chunk
      this.#counts[wire >>> SHIFT] = 0
    }
    this.#counts[wire >>> SHIFT]++
    this.#stretches[wire >>> SHIFT]?.touch()
    chunk[wire & MASK] = this.#arena.put(bytes, length, from)
  }

  delete(wire: number): void {
    if (wire === this.#newest) {
      this.#newest = -1
      return
    }
    const address = this.#addressOf(wire)
    if (address === 0) return
    this.keep()
    const from = this.#arena.offset(address)
    this.#reader.seek(this.#arena.chunk(address), from)
    this.#reader.skipText()
    this.#arena.free(address, this.#reader.at - from)
    this.#stretches[wire >>> SHIFT]?.touch()
    const chunk = this.#addresses[wire >>> SHIFT]
    if (chunk) chunk[wire & MASK] = 0
    if (--this.#counts[wire >>> SHIFT] === 0) {
      this.#addresses[wire >>> SHIFT] = undefined
      this.#spare = chunk
    }
    if (this.#arena.isSparse) this.#gather()
  }

  /**
   * Puts the texts that are left into a new arena. When all series are new each counter has one; of ten million 390 MB would
   * be free ever after, and as texts of new pods come and go all over it a cut would copy all of it.
   */
  #gather(): void {
    const old = this.#arena
    const arena = new ByteArena()
    for (const [c, chunk] of this.#addresses.entries()) {
      if (chunk === undefined) continue
      this.#stretches[c]?.touch()
      for (let i = 0; i <= MASK; i++) {
        if (chunk[i] === 0) continue
        const bytes = old.chunk(chunk[i])
        const from = old.offset(chunk[i])
        this.#reader.seek(bytes, from)
        this.#reader.skipText()
        chunk[i] = arena.put(bytes, this.#reader.at - from, from)
      }
    }
    old.letGo()
    this.#arena = arena
  }

  /** Texts of the wires below `length` as columns of a cut, and what is needed to go on with them. */
  cut(cut: Cut, length: number, columns: Record<string, ColumnData | CutColumn>): SavedTexts {
    this.keep()
    for (const stretch of this.#stretches) stretch?.touch()
    const column = new CutColumn(Uint32Array, length)
    columns[ADDRESSES] = column
    // A chunk that is let go stays as it is, all zero, so what it held is copied before.
    this.#stretches = this.#addresses.map((chunk, c) => {
      const at = c << SHIFT
      return chunk && cut.stretch(at / length, () => [{ column, at, values: chunk.subarray(0, length - at) }])
    })
    return this.#arena.cut(cut, ARENA, columns)
  }

  /** Into an empty one. Throws FS_SNAPSHOT_INVALID on another layout. */
  restore(
    columns: Readonly<Record<string, ColumnData>>,
    length: number,
    saved: SavedTexts,
    isGiven: boolean,
  ): void {
    const addresses = columns[ADDRESSES]
    if (!(addresses instanceof Uint32Array) || addresses.length !== length)
      throw new ForeshockError('FS_SNAPSHOT_INVALID', 'ingest: addresses of texts are missing')
    this.#arena.restore(ARENA, columns, saved, isGiven)
    for (let at = 0; at < length; at += 1 << SHIFT) {
      const some = addresses.subarray(at, at + (1 << SHIFT))
      let count = 0
      for (let i = 0; i < some.length; i++) if (some[i] > 0) count++
      if (count === 0) continue
      const chunk = new Uint32Array(1 << SHIFT)
      chunk.set(some)
      this.#addresses[at >>> SHIFT] = chunk
      this.#counts[at >>> SHIFT] = count
    }
  }

  bytes(): number {
    const chunks = this.#addresses.reduce((sum, chunk) => sum + (chunk?.byteLength ?? 0), 0)
    return this.#arena.bytes() + chunks + (this.#spare?.byteLength ?? 0)
  }
}
