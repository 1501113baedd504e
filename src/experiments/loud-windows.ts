import { fillFrom, textOf } from './column-text.ts'

/** Windows kept, 20 bytes each; the oldest go first. */
const WINDOWS_MAX = 65_536

/** Windows that either version found loud, in the order of time, so that labels can come long after them. */
export class LoudWindows {
  /** End of the newest window that had to go, Unix ms; −∞ while none had. */
  droppedMs = -Infinity
  #length = 0
  /** Place of the oldest. */
  #start = 0
  readonly #endMs = new Float64Array(WINDOWS_MAX)
  readonly #place = new Int32Array(WINDOWS_MAX)
  readonly #champion = new Float32Array(WINDOWS_MAX)
  readonly #challenger = new Float32Array(WINDOWS_MAX)

  get length(): number {
    return this.#length
  }

  add(endMs: number, place: number, champion: number, challenger: number): void {
    let at = this.#start + this.#length
    if (this.#length === WINDOWS_MAX) {
      this.droppedMs = this.#endMs[this.#start % WINDOWS_MAX]
      this.#start = (this.#start + 1) % WINDOWS_MAX
      this.#length--
      at = this.#start + this.#length
    }
    at %= WINDOWS_MAX
    this.#endMs[at] = endMs
    this.#place[at] = place
    this.#champion[at] = champion
    this.#challenger[at] = challenger
    this.#length++
  }

  /**
   * Ends of the first windows in (fromMs, toMs] at which a series of these places reached the thresholds; Infinity
   * where none did.
   */
  firstAlerts(
    fromMs: number,
    toMs: number,
    places: ReadonlySet<number>,
    champion: number,
    challenger: number,
  ): { readonly champion: number; readonly challenger: number } {
    let first = Infinity
    let second = Infinity
    for (let k = this.#after(fromMs); k < this.#length; k++) {
      const at = (this.#start + k) % WINDOWS_MAX
      const endMs = this.#endMs[at]
      if (endMs > toMs || (first < Infinity && second < Infinity)) break
      const a = this.#champion[at] >= champion
      const b = this.#challenger[at] >= challenger
      if (!((a && endMs < first) || (b && endMs < second)) || !places.has(this.#place[at])) continue
      if (a && endMs < first) first = endMs
      if (b && endMs < second) second = endMs
    }
    return { champion: first, challenger: second }
  }

  /** Index of the first window that ends after `ms`. */
  #after(ms: number): number {
    let low = 0
    let high = this.#length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#endMs[(this.#start + middle) % WINDOWS_MAX] > ms) high = middle
      else low = middle + 1
    }
    return low
  }

  save() {
    const order = Int32Array.from({ length: this.#length }, (_, k) => (this.#start + k) % WINDOWS_MAX)
    return {
      droppedMs: Number.isFinite(this.droppedMs) ? this.droppedMs : null,
      length: this.#length,
      endMs: textOf(Float64Array.from(order, at => this.#endMs[at])),
      place: textOf(Int32Array.from(order, at => this.#place[at])),
      champion: textOf(Float32Array.from(order, at => this.#champion[at])),
      challenger: textOf(Float32Array.from(order, at => this.#challenger[at])),
    }
  }

  restore(from: ReturnType<LoudWindows['save']>): void {
    this.droppedMs = from.droppedMs ?? -Infinity
    this.#length = Math.min(from.length, WINDOWS_MAX)
    this.#start = 0
    fillFrom(from.endMs, this.#endMs)
    fillFrom(from.place, this.#place)
    fillFrom(from.champion, this.#champion)
    fillFrom(from.challenger, this.#challenger)
  }
}
