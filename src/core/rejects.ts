/** What was refused, why, and a bounded number of examples to look at. */
export interface Reject {
  readonly timeMs: number
  /** A short stable word, such as `late`, `label-limit`, `malformed`. */
  readonly reason: string
  /** What was wrong and where, at most 300 characters. */
  readonly detail: string
}

export class Rejects {
  readonly #cap: number
  readonly #kept: Reject[] = []
  readonly #counts = new Map<string, number>()
  readonly #onReject: (reason: string, count: number) => void

  constructor(cap = 1000, onReject: (reason: string, count: number) => void = () => {}) {
    this.#cap = cap
    this.#onReject = onReject
  }

  /** Counts `count` rejects of one reason and keeps the newest example. */
  add(reason: string, detail: string, timeMs: number, count = 1): void {
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + count)
    this.#onReject(reason, count)
    this.#kept.push({ timeMs, reason, detail: detail.slice(0, 300) })
    if (this.#kept.length > this.#cap) this.#kept.splice(0, this.#kept.length - this.#cap)
  }

  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts)
  }

  /** Newest first. */
  recent(limit = 100): readonly Reject[] {
    return this.#kept.slice(-limit).reverse()
  }
}
