import type { SeriesHistory } from '../core/history.ts'
import type { SeriesTable } from '../core/series.ts'
import type { Fleet } from './fleet.ts'

/** Rows that have a past, by entity: gathered once for all questions that one window raises. */
export class HeldRows {
  readonly #table: SeriesTable
  readonly #history: SeriesHistory
  readonly #fleet: Fleet
  #byEntity: Map<number, number[]> | undefined

  constructor(table: SeriesTable, history: SeriesHistory, fleet: Fleet) {
    this.#table = table
    this.#history = history
    this.#fleet = fleet
  }

  /** What was gathered is of another window. */
  renew(): void {
    this.#byEntity = undefined
  }

  /** Rows of a tenant's entities, of all of them or of those in `scope`; in no order. */
  *of(tenant: string, scope: ReadonlySet<string> | undefined): IterableIterator<number> {
    this.#byEntity ??= this.#gathered()
    const { entities } = this.#fleet
    for (const entity of scope === undefined ? this.#fleet.ownedBy(tenant) : this.#ids(tenant, scope)) {
      const rows = this.#byEntity.get(entity)
      if (rows && entities[entity].tenant === tenant) yield* rows
    }
  }

  *#ids(tenant: string, names: ReadonlySet<string>): IterableIterator<number> {
    for (const name of names) yield this.#fleet.id(tenant, name)
  }

  #gathered(): Map<number, number[]> {
    const out = new Map<number, number[]>()
    for (const row of rowsWithPast(this.#table, this.#history)) {
      const entity = this.#fleet.entityOf(row)
      if (entity < 0) continue
      const rows = out.get(entity)
      if (rows) rows.push(row)
      else out.set(entity, [row])
    }
    return out
  }
}

/** Rows of series that have a past, in no order; all rows where nobody counts them. */
export function rowsWithPast(table: SeriesTable, history: SeriesHistory): Iterable<number> {
  return history.held?.() ?? everyRow(table)
}

function* everyRow(table: SeriesTable): IterableIterator<number> {
  for (let row = 0; row < table.capacity; row++) if (table.has(row)) yield row
}
