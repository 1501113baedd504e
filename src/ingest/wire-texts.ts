import { WIRE_MASK, WIRE_SHIFT } from '../kernels/assembly/_wire-layout.ts'

/** Texts of the few wires that have one of their own: a chunk of 4,096 without any costs nothing. */
export class WireTexts {
  readonly #chunks: (string | undefined)[][] = []
  readonly #counts: number[] = []
  /** UTF-16 units held. */
  #units = 0

  of(wire: number): string | undefined {
    return this.#chunks[wire >>> WIRE_SHIFT]?.[wire & WIRE_MASK]
  }

  set(wire: number, text: string): void {
    const index = wire >>> WIRE_SHIFT
    while (this.#chunks.length <= index) {
      this.#chunks.push([])
      this.#counts.push(0)
    }
    const chunk = this.#chunks[index]
    const slot = wire & WIRE_MASK
    while (chunk.length <= slot) chunk.push(undefined)
    const held = chunk[slot]
    if (held === undefined) this.#counts[index]++
    else this.#units -= held.length
    chunk[slot] = text
    this.#units += text.length
  }

  delete(wire: number): void {
    const index = wire >>> WIRE_SHIFT
    const chunk = this.#chunks[index]
    const held = chunk?.[wire & WIRE_MASK]
    if (chunk === undefined || held === undefined) return
    this.#units -= held.length
    chunk[wire & WIRE_MASK] = undefined
    if (--this.#counts[index] === 0) this.#chunks[index] = []
  }

  /** In the order of wires. */
  *entries(): IterableIterator<[wire: number, text: string]> {
    for (let index = 0; index < this.#chunks.length; index++) {
      const chunk = this.#chunks[index]
      for (let slot = 0; slot < chunk.length; slot++) {
        const text = chunk[slot]
        if (text !== undefined) yield [index * (WIRE_MASK + 1) + slot, text]
      }
    }
  }

  /** About: one byte a unit, a header each, a reference in each place of a chunk. */
  bytes(): number {
    let sum = this.#units
    for (let index = 0; index < this.#chunks.length; index++)
      sum += this.#chunks[index].length * 8 + this.#counts[index] * 24
    return sum
  }
}
