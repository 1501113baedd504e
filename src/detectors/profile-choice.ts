import type { SeriesMeta, SeriesRows } from '../core/series.ts'
import { matcherOf } from '../core/series-match.ts'

/** Memory profiles of the daily shape, smallest first; `none` is a series without one. */
export const PROFILES = ['none', 'tiny', 'compact', 'full'] as const
export type Profile = (typeof PROFILES)[number]

/** Set beside the place of a series that a rule names. */
const PINNED = 8

/** A profile for the series that match every glob given; `*` stands for any text. */
export interface ProfileRule {
  readonly series?: string | undefined
  readonly metric?: string | undefined
  readonly entity?: string | undefined
  readonly profile: Profile
}

/**
 * Which profile a series has: the first rule that names its key, else the first its metric, else the first its entity,
 * else the default. Looked up once a series.
 */
export class ProfileChoice {
  readonly #table: SeriesRows
  readonly #rules: readonly ((meta: SeriesMeta) => boolean)[]
  readonly #profiles: readonly Profile[]
  readonly #default: Profile
  /** Place in PROFILES plus one by row, and PINNED; 0 is not looked up yet. */
  #known = new Uint8Array(0)

  constructor(table: SeriesRows, fallback: Profile, rules: readonly ProfileRule[]) {
    const rank = (rule: ProfileRule) => (rule.series !== undefined ? 0 : rule.metric !== undefined ? 1 : 2)
    const sorted = rules.toSorted((a, b) => rank(a) - rank(b))
    this.#table = table
    this.#default = fallback
    this.#profiles = sorted.map(rule => rule.profile)
    this.#rules = sorted.map(matcher)
  }

  /** Whether any series has a profile. */
  get isUsed(): boolean {
    return this.#default !== 'none' || this.#profiles.some(profile => profile !== 'none')
  }

  /** Place in PROFILES of the default. */
  get base(): number {
    return PROFILES.indexOf(this.#default)
  }

  /** Whether a rule names the series: what a rule says is not changed by any budget. */
  isPinned(row: number): boolean {
    return (this.#look(row) & PINNED) !== 0
  }

  /** Place in PROFILES of the series' profile. */
  of(row: number): number {
    return (this.#look(row) & ~PINNED) - 1
  }

  #look(row: number): number {
    if (row >= this.#known.length) {
      const longer = new Uint8Array(Math.max(row + 1, 2 * this.#known.length, 1024))
      longer.set(this.#known)
      this.#known = longer
    }
    const known = this.#known[row]
    if (known > 0) return known
    if (this.#rules.length === 0) {
      this.#known[row] = PROFILES.indexOf(this.#default) + 1
      return this.#known[row]
    }
    const meta = this.#table.meta(row)
    const at = this.#rules.findIndex(matches => matches(meta))
    const place = PROFILES.indexOf(at < 0 ? this.#default : this.#profiles[at])
    this.#known[row] = (place + 1) | (at < 0 ? 0 : PINNED)
    return this.#known[row]
  }

  forget(row: number): void {
    if (row < this.#known.length) this.#known[row] = 0
  }

  bytes(): number {
    return this.#known.byteLength
  }
}

function matcher({ series, metric, entity }: ProfileRule): (meta: SeriesMeta) => boolean {
  return matcherOf({ series, metric, group: entity })
}
