import { type SeriesMeta, type SeriesRows, SeriesTable } from '../core/series.ts'

/** Has not been a suspect. */
export const NEVER_MS = 0
/** Of the slots, what golden signals of entities that matter may keep from suspects. */
const KEPT_SHARE = 0.5

/** Who is in the pool for suspects, a slot each, since when nobody suspects them, and who would make room for another. */
export class PoolSlots {
  /** The pool's own rows, which are its slots. */
  readonly rows: SeriesTable
  /** Slot plus one by row of the ensemble's table. */
  #slotOf = new Uint16Array(0)
  /** By slot: row of the ensemble's table, −1 where free; when it was a suspect last. */
  readonly #seriesOf: Int32Array
  readonly #suspectMs: Float64Array
  /** How much the entity of a golden signal matters, by slot; such a slot is not given to suspects. */
  readonly #importance: Float64Array

  constructor(count: number) {
    this.rows = new SeriesTable(count)
    this.#seriesOf = new Int32Array(count).fill(-1)
    this.#suspectMs = new Float64Array(count)
    this.#importance = new Float64Array(count)
  }

  get size(): number {
    return this.rows.size
  }

  get isFull(): boolean {
    return this.rows.size >= this.rows.limit
  }

  /** Golden signals that may be kept from suspects. */
  get #keptMost(): number {
    return Math.floor(KEPT_SHARE * this.rows.limit)
  }

  /** Slot of a series, or −1. */
  slotOf(series: number): number {
    return series < this.#slotOf.length ? this.#slotOf[series] - 1 : -1
  }

  /** Row of the ensemble's table in a slot that is taken. */
  seriesAt(slot: number): number {
    return this.#seriesOf[slot]
  }

  /** Gives a series of a table a free slot; `importance` 0 for what is no golden signal of an entity that matters. */
  take(series: number, of: SeriesRows, suspectMs: number, importance: number): number {
    const slot = this.rows.intern(of.meta(series))
    if (series >= this.#slotOf.length) {
      const longer = new Uint16Array(Math.max(series + 1, 2 * this.#slotOf.length, of.capacity))
      longer.set(this.#slotOf)
      this.#slotOf = longer
    }
    this.#slotOf[series] = slot + 1
    this.#seriesOf[slot] = series
    this.#suspectMs[slot] = suspectMs
    this.#importance[slot] = importance
    return slot
  }

  release(slot: number): void {
    this.#slotOf[this.#seriesOf[slot]] = 0
    this.#seriesOf[slot] = -1
    this.#importance[slot] = 0
    this.rows.evict(slot)
  }

  /** It is a suspect now. */
  suspect(slot: number, nowMs: number): void {
    this.#suspectMs[slot] = nowMs
  }

  /** Asks anew how much everybody matters. */
  weigh(importanceOf: (series: SeriesMeta) => number): void {
    for (const [slot, series] of this.#seriesOf.entries())
      this.#importance[slot] = series < 0 ? 0 : importanceOf(this.rows.meta(slot))
  }

  /**
   * Who goes for a golden signal: nobody while a slot is free, a suspect until golden signals have their share, then one of a less
   * important entity. Undefined when nobody has to go, −1 when nobody can.
   */
  victimOfGolden(importance: number): number | undefined {
    let kept = 0
    let least = -1
    for (let slot = 0; slot < this.#importance.length; slot++) {
      if (this.#importance[slot] === 0) continue
      kept++
      const less = least < 0 ? -1 : this.#importance[slot] - this.#importance[least]
      if (less < 0 || (less === 0 && this.keyOf(slot) < this.keyOf(least))) least = slot
    }
    if (kept < this.#keptMost) return this.isFull ? this.victimOfSuspect(Infinity) : undefined
    return least < 0 || this.#importance[least] >= importance ? -1 : least
  }

  /**
   * Who was a suspect longest ago, the first key among equals, except golden signals on their share of the slots; −1 when all were
   * since `beforeMs`.
   */
  victimOfSuspect(beforeMs: number): number {
    const kept = this.#importance.reduce((sum, importance) => sum + (importance > 0 ? 1 : 0), 0)
    const areSafe = kept <= this.#keptMost
    let victim = -1
    for (let slot = 0; slot < this.#seriesOf.length; slot++) {
      if (this.#seriesOf[slot] < 0 || this.#suspectMs[slot] > beforeMs) continue
      if (areSafe && this.#importance[slot] > 0) continue
      const earlier = victim < 0 ? -1 : this.#suspectMs[slot] - this.#suspectMs[victim]
      if (earlier < 0 || (earlier === 0 && this.keyOf(slot) < this.keyOf(victim))) victim = slot
    }
    return victim
  }

  keyOf(slot: number): string {
    return this.rows.meta(slot).key
  }

  /** Everybody by key, and what is known of them. */
  saved(): { readonly keys: string[]; readonly columns: Record<'suspectMs' | 'importance', Float64Array> } {
    const held = [...this.#seriesOf.keys()].filter(slot => this.#seriesOf[slot] >= 0)
    return {
      keys: held.map(slot => this.keyOf(slot)),
      columns: {
        suspectMs: Float64Array.from(held, slot => this.#suspectMs[slot]),
        importance: Float64Array.from(held, slot => this.#importance[slot]),
      },
    }
  }

  bytes(): number {
    const columns = [this.#slotOf, this.#seriesOf, this.#suspectMs, this.#importance]
    return columns.reduce((sum, { byteLength }) => sum + byteLength, 0)
  }
}
