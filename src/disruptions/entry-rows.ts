import type { TenantGraphs } from './tenant-graphs.ts'

interface Entry {
  /** Of the tenant's graph, when the rows were placed. */
  version: number
  readonly rows: number[]
}

/** Rows that are measured at the entry of a tenant: a graph that has grown may have another front door for them. */
export class EntryRows {
  readonly #graphs: TenantGraphs
  readonly #byTenant = new Map<string, Entry>()

  constructor(graphs: TenantGraphs) {
    this.#graphs = graphs
  }

  /** A row was placed by the tenant's graph as it is; `rowsMax`: rows that there can be. */
  add(tenant: string, row: number, rowsMax: number): void {
    const entry = this.#byTenant.get(tenant)
    if (entry) enter(entry.rows, row, rowsMax)
    else this.#byTenant.set(tenant, { version: this.#graphs.of(tenant).version, rows: [row] })
  }

  /** Hands out each row that was placed by a graph that has grown since, and forgets it. */
  takeStale(displace: (row: number) => void): void {
    for (const [tenant, entry] of this.#byTenant) {
      const { version } = this.#graphs.of(tenant)
      if (entry.version === version) continue
      entry.version = version
      for (const row of entry.rows) displace(row)
      entry.rows.length = 0
    }
  }

  clear(): void {
    this.#byTenant.clear()
  }
}

/** Rows that are given back and placed again and again must not be remembered each time. */
function enter(entryRows: number[], row: number, rowsMax: number): void {
  entryRows.push(row)
  if (entryRows.length <= 2 * rowsMax) return
  const rows = new Set(entryRows)
  entryRows.length = 0
  for (const one of rows) entryRows.push(one)
}
