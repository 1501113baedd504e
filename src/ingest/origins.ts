/** Pairs beyond this are kept for tenants without a unit, so that no tenant's units use up what another's name needs. */
const UNITS_MAX = 60_000
const PAIRS_MAX = 65_535

type Pair = readonly [tenant: string, unit: string]

/** Tenants with a unit each, by index; 0 is neither. */
export class Origins {
  readonly #tenants: string[] = ['']
  readonly #units: string[] = ['']
  readonly #index = new Map<string, number>([['\0', 0]])
  readonly #known = new Set<string>([''])
  /** Tenants that have a pair without a unit. */
  #bare = 1

  /** Whether a tenant can be told from others: those that are known always can, with some unit or without. */
  hasRoom(tenant: string): boolean {
    return this.#known.has(tenant) || this.#left > 0
  }

  /** Of a tenant for which there is room, and a unit; without the unit when there are too many different ones. */
  index(tenant: string, unit: string): number {
    const known = this.#index.get(keyOf(tenant, unit))
    if (known !== undefined) return known
    const wanted = this.#known.has(tenant) ? 1 : 2
    if (unit !== '' && (this.length >= UNITS_MAX || this.#left < wanted)) return this.index(tenant, '')
    if (this.length >= PAIRS_MAX) throw new RangeError(`more than ${PAIRS_MAX} tenants and units`)
    return this.#add(tenant, unit)
  }

  /** Pairs of a checkpoint, in their order, after the first. */
  restore(pairs: readonly Pair[]): void {
    for (const [tenant, unit] of pairs) this.#add(tenant, unit)
  }

  /** Places that are nobody's: each tenant that is known may still come without a unit. */
  get #left(): number {
    return PAIRS_MAX - this.length - (this.#known.size - this.#bare)
  }

  #add(tenant: string, unit: string): number {
    const { length } = this
    this.#tenants.push(tenant)
    this.#units.push(unit)
    this.#index.set(keyOf(tenant, unit), length)
    this.#known.add(tenant)
    if (unit === '') this.#bare++
    return length
  }

  tenant(index: number): string {
    return this.#tenants[index]
  }

  unit(index: number): string {
    return this.#units[index]
  }

  get length(): number {
    return this.#tenants.length
  }

  /** All pairs but the first, in their order. */
  pairs(): [tenant: string, unit: string][] {
    return this.#tenants.slice(1).map((tenant, i) => [tenant, this.#units[i + 1]])
  }
}

const keyOf = (tenant: string, unit: string): string => `${tenant}\0${unit}`
