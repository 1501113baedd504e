import type { SeriesMeta, SeriesTable } from '../core/series.ts'
import { matcherOf } from '../core/series-match.ts'

/** Memory profiles of the daily shape, smallest first; `none` is a series without one. */
export const PROFILES = ['none', 'tiny', 'compact', 'full'] as const
export type Profile = (typeof PROFILES)[number]

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
  readonly #table: SeriesTable
  readonly #rules: readonly ((meta: SeriesMeta) => boolean)[]
  readonly #profiles: readonly Profile[]
  readonly #default: Profile
  /** Place in PROFILES plus one by row; 0 is not looked up yet. */
  #known = new Uint8Array(0)

  constructor(table: SeriesTable, fallback: Profile, rules: readonly ProfileRule[]) {
    const rank = (rule: ProfileRule) => (rule.series !== undefined ? 0 : rule.metric !== undefined ? 1 : 2)
    const sorted = rules.toSorted((a, b) => rank(a) - rank(b))
    this.#table = table
    this.#default = fallback
    this.#profiles = sorted.map(rule => rule.profile)
    this.#rules = sorted.map(matcher)
  }

  /** The profiles that any series may have, without `none`. */
  used(): Profile[] {
    const named = new Set([this.#default, ...this.#profiles])
    return PROFILES.filter(profile => profile !== 'none' && named.has(profile))
  }

  /** True when every series has the default. */
  get isUniform(): boolean {
    return this.#profiles.every(profile => profile === this.#default)
  }

  /** Place in PROFILES of the series' profile. */
  of(row: number): number {
    if (row >= this.#known.length) {
      const longer = new Uint8Array(Math.max(row + 1, 2 * this.#known.length, 1024))
      longer.set(this.#known)
      this.#known = longer
    }
    const known = this.#known[row]
    if (known > 0) return known - 1
    const meta = this.#table.meta(row)
    const at = this.#rules.findIndex(matches => matches(meta))
    const place = PROFILES.indexOf(at < 0 ? this.#default : this.#profiles[at])
    this.#known[row] = place + 1
    return place
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
