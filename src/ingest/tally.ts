import type { Rejects } from '../core/rejects.ts'

/** Reasons named in a receipt. */
const REASONS_MAX = 5
const NO_REASONS: readonly string[] = []

/**
 * The rejects of one body, counted by reason: one example each, however many there are, so that a body of a
 * million bad samples costs a million additions and not a million strings.
 */
export class Tally {
  readonly #counts = new Map<string, number>()
  readonly #details = new Map<string, string>()
  rejected = 0
  histograms = 0
  samples = 0
  exemplars = 0

  clear(): void {
    // A map that is cleared makes a new table, even when it was empty.
    if (this.#counts.size > 0) this.#counts.clear()
    if (this.#details.size > 0) this.#details.clear()
    this.rejected = 0
    this.samples = 0
    this.histograms = 0
    this.exemplars = 0
  }

  /** Counts one reject; true when it is the first of its reason and `explain` is wanted. */
  reject(reason: string): boolean {
    this.rejected++
    const count = this.#counts.get(reason) ?? 0
    this.#counts.set(reason, count + 1)
    return count === 0
  }

  explain(reason: string, detail: string): void {
    this.#details.set(reason, detail)
  }

  flush(rejects: Pick<Rejects, 'add'>, timeMs: number): void {
    if (this.#counts.size === 0) return
    for (const [reason, count] of this.#counts) {
      rejects.add(reason, this.#details.get(reason) ?? reason, timeMs, count)
    }
  }

  reasons(): readonly string[] {
    if (this.#counts.size === 0) return NO_REASONS
    return [...this.#counts]
      .slice(0, REASONS_MAX)
      .map(([reason, count]) => `${reason}: ${this.#details.get(reason) ?? ''} (${count})`)
  }
}
