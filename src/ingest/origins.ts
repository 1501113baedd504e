/** Pairs beyond this are kept for tenants without a unit, so that no tenant's units use up what another's name needs. */
const UNITS_MAX = 60_000
const PAIRS_MAX = 65_535

/** Tenants with a unit each, by index; 0 is neither. */
export class Origins {
  readonly #tenants: string[] = ['']
  readonly #units: string[] = ['']
  readonly #index = new Map<string, number>([['\0', 0]])

  /** Of a tenant and a unit; without the unit when there are too many different ones. */
  index(tenant: string, unit: string): number {
    const key = `${tenant}\0${unit}`
    const known = this.#index.get(key)
    if (known !== undefined) return known
    const { length } = this.#tenants
    if (unit !== '' && length >= UNITS_MAX) return this.index(tenant, '')
    if (length >= PAIRS_MAX) throw new RangeError(`more than ${PAIRS_MAX} tenants and units`)
    this.#tenants.push(tenant)
    this.#units.push(unit)
    this.#index.set(key, length)
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
