import type { DetectorContext } from '../core/detector.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { ProfileUse } from '../core/stages.ts'
import type { ProfileChoice } from './profile-choice.ts'
import { ProfileTier } from './profile-tier.ts'
import type { Promotion } from './promotion.ts'
import type { SlotRow } from './slot-convert.ts'

export const TIER_NAMES = ['tiny', 'compact', 'full'] as const
/** Place of the first of them in PROFILES. */
const FIRST = 1

/**
 * Which memory profile each series has and where its state lies: it comes to the one that its rules and the default ask for,
 * and moves, with what was learned of it, when a review gives the memory out anew.
 */
export class ProfilePlaces {
  readonly tiers: readonly ProfileTier[]
  readonly #choice: ProfileChoice
  readonly #promotion: Promotion
  /** Place in PROFILES plus one by series that has state; 0 without. */
  #places = new Uint8Array(0)
  /** Rows that a review may move. */
  #candidates = new Uint32Array(0)
  promotions = 0
  demotions = 0

  constructor(context: DetectorContext, choice: ProfileChoice, promotion: Promotion) {
    this.tiers = TIER_NAMES.map(name => new ProfileTier(context, name))
    this.#choice = choice
    this.#promotion = promotion
  }

  /** Makes room for so many series. */
  reserve(rows: number): void {
    if (this.#places.length >= rows) return
    const longer = new Uint8Array(Math.max(rows, 2 * this.#places.length, 1024))
    longer.set(this.#places)
    this.#places = longer
  }

  /** The tier of a series that has state; undefined without. */
  tierOf(row: number): ProfileTier | undefined {
    const place = row < this.#places.length ? this.#places[row] : 0
    return place === 0 ? undefined : this.tiers[place - 1 - FIRST]
  }

  /** The tier that a series has from now on, for which there is room; undefined when it is to have none. */
  enter(row: number): ProfileTier | undefined {
    const place = this.#choice.of(row) + 1
    if (place <= FIRST) return undefined
    this.#places[row] = place
    return this.tiers[place - 1 - FIRST]
  }

  /** Whether reviews can give anybody more than everybody has. */
  get canPromote(): boolean {
    const { base } = this.#choice
    return base >= FIRST && base < FIRST + TIER_NAMES.length - 1
  }

  /**
   * Gives the memory out anew. `window`: number of the present window on the clocks of people; a series younger than
   * `warmUpWindows` stays where it is.
   */
  review(
    windowEndMs: number,
    window: number,
    warmUpWindows: number,
    importance: ReadonlyMap<string, number>,
  ): void {
    const { base } = this.#choice
    const rowBytes = [0, ...this.tiers.map(tier => tier.rowBytes)]
    if (this.#candidates.length < this.#places.length) this.#candidates = new Uint32Array(this.#places.length)
    let count = 0
    // Rows are counted and bytes worked out at the end: sums of bytes would be put on the heap, row by row.
    let free = 0
    const pinned = new Uint32Array(rowBytes.length)
    for (let row = 0; row < this.#places.length; row++) {
      if (this.#places[row] === 0) continue
      const place = this.#places[row] - 1
      if (this.#choice.isPinned(row)) {
        pinned[place]++
        continue
      }
      free++
      if (this.tiers[place - FIRST].ageOf(row, window) >= warmUpWindows) this.#candidates[count++] = row
    }
    const baseBytes = rowBytes.reduce(
      (sum, bytes, place) => sum + pinned[place] * bytes,
      free * rowBytes[base],
    )
    const series = this.#candidates.subarray(0, count)
    const placeOf = (row: number) => this.#places[row] - 1
    const standing = { series, base, placeOf, rowBytes, baseBytes }
    for (const { series: row, to } of this.#promotion.review(windowEndMs, importance, standing)) {
      const now = placeOf(row)
      let place = to
      // A chunk of rows may be more than what is left: the next smaller profile may still fit.
      while (place > now && !this.#fits(row, place)) place--
      if (place === now) continue
      this.#move(row, place)
      if (place > now) this.promotions++
      else this.demotions++
    }
  }

  #fits(row: number, place: number): boolean {
    return this.stateBytes() + this.tiers[place - FIRST].nextBytes(row) <= this.#promotion.budgetBytes
  }

  #move(row: number, to: number): void {
    const from = this.tiers[this.#places[row] - 1 - FIRST]
    const source = from.rowOf(row)
    if (source) this.tiers[to - FIRST].adopt(row, source)
    from.drop(row)
    this.#places[row] = to + 1
  }

  /** Takes a series in, which has none yet, with what was learned of it elsewhere. */
  adopt(row: number, from: SlotRow): void {
    this.reserve(row + 1)
    this.enter(row)?.adopt(row, from)
  }

  forget(row: number): void {
    for (const tier of this.tiers) tier.drop(row)
    if (row < this.#places.length) this.#places[row] = 0
  }

  /** Puts rows of tier `i` back. */
  restore(
    i: number,
    from: Pick<Snapshot, 'keys' | 'rows' | 'columns' | 'isGiven'>,
    seriesOf: (at: number) => number,
  ): void {
    const tier = this.tiers[i]
    tier.restore(from, seriesOf)
    for (let row = 0; row < tier.pool.capacity; row++) {
      const series = tier.pool.seriesAt(row)
      this.reserve(series + 1)
      this.#places[series] = i + FIRST + 1
    }
  }

  /**
   * Gives a restored series the profile that a rule or the default asks for; a promoted one may keep more. False when it is
   * to have none and was dropped.
   */
  settle(row: number): boolean {
    const place = this.#places[row] - 1
    const wanted = this.#choice.of(row)
    if (place === wanted) return true
    if (!this.#choice.isPinned(row) && place > wanted && wanted >= FIRST && this.#promotion.budgetBytes > 0)
      return true
    if (wanted >= FIRST) {
      this.#move(row, wanted)
      return true
    }
    this.tiers[place - FIRST].drop(row)
    this.#places[row] = 0
    return false
  }

  /** Series and bytes by profile, and moves since the start. */
  use(): ProfileUse {
    return {
      profiles: this.tiers.map((tier, i) => ({
        profile: TIER_NAMES[i],
        series: tier.pool.capacity,
        bytes: tier.bytes(),
      })),
      promotions: this.promotions,
      demotions: this.demotions,
    }
  }

  stateBytes(): number {
    return this.tiers.reduce((sum, tier) => sum + tier.bytes(), 0)
  }

  bytes(): number {
    return this.stateBytes() + this.#places.byteLength
  }
}
