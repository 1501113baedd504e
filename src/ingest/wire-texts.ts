import { ByteArena } from '../core/byte-arena.ts'
import { PackedBytes, PackedReader } from '../core/packed-text.ts'

/** Wires of one chunk of addresses. */
const SHIFT = 16
const MASK = (1 << SHIFT) - 1

/**
 * Texts of the wires that have one of their own, off the JavaScript heap: of ten million series that are seen for the first
 * time, all counters wait with theirs for a second value.
 */
export class WireTexts {
  readonly #arena = new ByteArena()
  /** Address of each wire's text, 0 without, by chunks of wires; made when one of them has a text. */
  readonly #addresses: (Uint32Array | undefined)[] = []
  /** Texts in each chunk; one without any is let go. */
  readonly #counts: number[] = []
  readonly #packed = new PackedBytes()
  readonly #reader = new PackedReader()

  of(wire: number): string | undefined {
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
    this.#packed.length = 0
    this.#packed.text(text)
    let chunk = this.#addresses[wire >>> SHIFT]
    if (chunk === undefined) {
      chunk = new Uint32Array(1 << SHIFT)
      this.#addresses[wire >>> SHIFT] = chunk
      this.#counts[wire >>> SHIFT] = 0
    }
    this.#counts[wire >>> SHIFT]++
    chunk[wire & MASK] = this.#arena.put(this.#packed.bytes, this.#packed.length)
  }

  delete(wire: number): void {
    const address = this.#addressOf(wire)
    if (address === 0) return
    const from = this.#arena.offset(address)
    this.#reader.seek(this.#arena.chunk(address), from)
    this.#reader.skipText()
    this.#arena.free(address, this.#reader.at - from)
    const chunk = this.#addresses[wire >>> SHIFT]
    if (chunk) chunk[wire & MASK] = 0
    if (--this.#counts[wire >>> SHIFT] === 0) this.#addresses[wire >>> SHIFT] = undefined
  }

  /** In the order of wires. */
  *entries(): IterableIterator<[wire: number, text: string]> {
    for (const [c, chunk] of this.#addresses.entries()) {
      if (chunk === undefined) continue
      for (let at = 0; at < chunk.length; at++) {
        if (chunk[at] === 0) continue
        const wire = c * (1 << SHIFT) + at
        yield [wire, this.of(wire) as string]
      }
    }
  }

  bytes(): number {
    const chunks = this.#addresses.reduce((sum, chunk) => sum + (chunk?.byteLength ?? 0), 0)
    return this.#arena.bytes() + chunks
  }
}
