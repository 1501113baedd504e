/** Wires of one map: a map holds 2^24 entries at the most. */
const SHIFT = 20
/** About what an entry costs beside its units: its place in the map, the header of the text. */
const ENTRY_BYTES = 64

/** Texts of the few wires that have one of their own. */
export class WireTexts {
  readonly #maps: Map<number, string>[] = []
  /** UTF-16 units held. */
  #units = 0
  #size = 0

  of(wire: number): string | undefined {
    return this.#maps[wire >>> SHIFT]?.get(wire)
  }

  set(wire: number, text: string): void {
    this.delete(wire)
    while (this.#maps.length <= wire >>> SHIFT) this.#maps.push(new Map())
    this.#maps[wire >>> SHIFT].set(wire, text)
    this.#units += text.length
    this.#size++
  }

  delete(wire: number): void {
    const held = this.of(wire)
    if (held === undefined) return
    this.#maps[wire >>> SHIFT].delete(wire)
    this.#units -= held.length
    this.#size--
  }

  /** In the order of wires. */
  *entries(): IterableIterator<[wire: number, text: string]> {
    for (const map of this.#maps) {
      for (const wire of Uint32Array.from(map.keys()).sort()) yield [wire, map.get(wire) as string]
    }
  }

  bytes(): number {
    return this.#units + this.#size * ENTRY_BYTES
  }
}
