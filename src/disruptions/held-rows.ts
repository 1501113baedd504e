import type { SeriesHistory } from '../core/history.ts'
import type { SeriesTable } from '../core/series.ts'
import type { Fleet } from './fleet.ts'

/** Rows that there is room for at first. */
const FEWEST_ROWS = 1024

/** Rows that have a past, by entity: gathered once for all questions that one window raises. */
export class HeldRows {
  readonly #table: SeriesTable
  readonly #history: SeriesHistory
  readonly #fleet: Fleet
  #isKnown = false
  /** Grouped by entity. */
  #rows = new Uint32Array(0)
  /** Where the rows of each entity begin; one more place than entities. */
  #from = new Uint32Array(1)
  #asked = new Uint32Array(0)
  /** Entities of the rows that are being gathered. */
  #owners = new Uint32Array(0)

  constructor(table: SeriesTable, history: SeriesHistory, fleet: Fleet) {
    this.#table = table
    this.#history = history
    this.#fleet = fleet
  }

  /** What was gathered is of another window. */
  renew(): void {
    this.#isKnown = false
  }

  /** Rows of a tenant's entities, of all of them or of those in `scope`, an entity after the other; good until asked again. */
  of(tenant: string, scope: ReadonlySet<string> | undefined): Uint32Array {
    if (!this.#isKnown) this.#gather()
    const { entities } = this.#fleet
    let length = 0
    for (const entity of scope === undefined ? this.#fleet.ownedBy(tenant) : this.#ids(tenant, scope)) {
      if (entity < 0 || entity >= this.#from.length - 1 || entities[entity].tenant !== tenant) continue
      const end = this.#from[entity + 1]
      for (let i = this.#from[entity]; i < end; i++) this.#asked[length++] = this.#rows[i]
    }
    return this.#asked.subarray(0, length)
  }

  *#ids(tenant: string, names: ReadonlySet<string>): IterableIterator<number> {
    for (const name of names) yield this.#fleet.id(tenant, name)
  }

  #gather(): void {
    const fleet = this.#fleet
    const from = new Uint32Array(fleet.entities.length + 1)
    let length = 0
    for (const row of rowsWithPast(this.#table, this.#history)) {
      const entity = fleet.ownerOf(row)
      if (entity < 0) continue
      if (length === this.#asked.length) this.#grow()
      this.#owners[length] = entity
      this.#asked[length++] = row
      from[entity + 1]++
    }
    for (let e = 1; e < from.length; e++) from[e] += from[e - 1]
    const next = from.slice()
    for (let i = 0; i < length; i++) this.#rows[next[this.#owners[i]]++] = this.#asked[i]
    this.#from = from
    this.#isKnown = true
  }

  #grow(): void {
    const rows = Math.max(FEWEST_ROWS, 2 * this.#asked.length)
    this.#asked = lengthened(this.#asked, rows)
    this.#owners = lengthened(this.#owners, rows)
    this.#rows = new Uint32Array(rows)
  }
}

function lengthened(column: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const longer = new Uint32Array(length)
  longer.set(column)
  return longer
}

/** Rows of series that have a past, in no order; all rows where nobody counts them. */
export function rowsWithPast(table: SeriesTable, history: SeriesHistory): Iterable<number> {
  return history.held?.() ?? everyRow(table)
}

function* everyRow(table: SeriesTable): IterableIterator<number> {
  for (let row = 0; row < table.capacity; row++) if (table.has(row)) yield row
}
