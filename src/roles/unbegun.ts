/** Partitions that a process was given and cannot begin, with the reason: it is tried again and again, and nobody else has them. */
export class Unbegun {
  readonly #why = new Map<number, string>()

  /** Begins a partition. What it rejects with is the reason until it begins. */
  async begin<T>(partition: number, work: () => Promise<T>): Promise<T> {
    try {
      const begun = await work()
      this.#why.delete(partition)
      return begun
    } catch (error) {
      this.#why.set(partition, (error as Error).message)
      throw error
    }
  }

  /** What is in the way, of those that are held now, for /readyz; nothing when nothing is. */
  said(topic: string, held: readonly number[]): readonly string[] {
    const waiting = held.filter(partition => this.#why.has(partition))
    if (waiting.length === 0) return []
    return [`${topic}/${waiting.join(', ')} cannot be begun: ${this.#why.get(waiting[0])}`]
  }
}
