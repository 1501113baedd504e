/** The newest ids, bounded: a set that forgets its oldest. */
export class SeenIds {
  readonly cap: number
  readonly #ids = new Set<string>()

  constructor(cap: number) {
    this.cap = cap
  }

  has(id: string): boolean {
    return this.#ids.has(id)
  }

  add(id: string): void {
    this.#ids.add(id)
    if (this.#ids.size <= this.cap) return
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest)
      return
    }
  }
}
