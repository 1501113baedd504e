import { clearSums, type EntityColumns, entityColumns, grown } from './evidence.ts'
import type { TenantGraphs } from './tenant-graphs.ts'

/** What is remembered of an entity from window to window. */
export interface EntityMemory {
  readonly tenant: string
  readonly name: string
  readonly namespace: string
  readonly firstSeenMs: number
  /** Evidence of the last three windows, newest first. */
  recent: [number, number, number]
  /** Start of the present run of strange windows, Unix ms; null when there is none. */
  onsetMs: number | null
  lastStrangeMs: number
  /** Traffic per window, slowly averaged, for shares of impact; NaN before there was any: null in its place would cost garbage. */
  traffic: number
}

/** Entity of everything of a tenant that is beyond the limit. */
const OVERFLOW = '(more)'

/**
 * Entities by number. One that no series is of any more, that nobody calls and no disruption is about, has left for good, and another
 * gets its number. Those of saved state have a while to be claimed by rows that come back.
 */
export class Entities {
  /** By number; of a number that is free, without a tenant. */
  readonly all: EntityMemory[] = []
  columns: EntityColumns = entityColumns(64)
  /** Those that there was no room for, each time they were seen anew. */
  dropped = 0
  /** Goes up whenever numbers are given back or taken again: then `ownedBy` has changed before its end. */
  changes = 0
  readonly #limit: number
  readonly #graphs: TenantGraphs
  readonly #ids = new Map<string, number>()
  /** Entities of each tenant, ascending. */
  readonly #own = new Map<string, number[]>()
  /** Rows of each. */
  #rows = new Uint32Array(64)
  /** Descending: the smallest is taken first, which a restored register does as well. */
  #free: number[] = []
  /** Until then saved ones wait for their rows; NaN when none do, +∞ until the first look. */
  #claimedByMs = Number.NaN

  constructor(limit: number, graphs: TenantGraphs) {
    this.#limit = limit
    this.#graphs = graphs
  }

  /** −1 of one that is not known. */
  id(tenant: string, name: string): number {
    return this.#ids.get(keyOf(tenant, name)) ?? -1
  }

  ownedBy(tenant: string): readonly number[] {
    return this.#own.get(tenant) ?? []
  }

  tenants(): Iterable<string> {
    return this.#own.keys()
  }

  /** Number of an entity, a new one where it is new. Beyond the limit all new ones of a tenant share one, which is about nothing in particular. */
  intern(tenant: string, name: string, namespace: string, timeMs: number): number {
    const known = this.id(tenant, name)
    if (known >= 0) return known
    if (this.all.length - this.#free.length >= this.#limit - 1 && name !== OVERFLOW) {
      this.dropped++
      return this.intern(tenant, OVERFLOW, namespace, timeMs)
    }
    const id = this.#free.pop() ?? this.all.length
    if (id < this.all.length) this.changes++
    this.#enter(id, newcomer(tenant, name, namespace, timeMs))
    this.#grow()
    return id
  }

  /** A row is of the entity from now on. */
  join(id: number): void {
    this.#rows[id]++
  }

  /** A row is of the entity no more. */
  leave(id: number): void {
    this.#rows[id]--
  }

  /** No row is known any more; they come back one by one. */
  letGoRows(): void {
    this.#rows.fill(0)
    this.#claimedByMs = Number.POSITIVE_INFINITY
  }

  /** Ends a window: sums go back to zero. */
  endWindow(): void {
    clearSums(this.columns)
  }

  /** Nothing is strange until it is seen again. */
  letGo(): void {
    for (const memory of this.all) {
      memory.recent = [0, 0, 0]
      memory.onsetMs = null
      memory.lastStrangeMs = 0
    }
  }

  /** Forgets those without a row that are neither in a call graph nor held; after `letGoRows` none for `graceMs`. */
  expire(nowMs: number, graceMs: number, held: ReadonlySet<number>): void {
    if (this.#claimedByMs === Number.POSITIVE_INFINITY) this.#claimedByMs = nowMs + graceMs
    if (nowMs < this.#claimedByMs) return
    this.#claimedByMs = Number.NaN
    const gone: number[] = []
    for (const [id, { tenant, name }] of this.all.entries()) {
      if (this.#rows[id] > 0 || tenant === '' || held.has(id) || this.#graphs.of(tenant).has(name)) continue
      gone.push(id)
      this.#ids.delete(keyOf(tenant, name))
      this.all[id] = nobody()
    }
    if (gone.length === 0) return
    this.changes++
    this.#free = [...this.#free, ...gone].sort((a, b) => b - a)
    for (const [tenant, own] of this.#own) {
      const left = own.filter(id => this.all[id].tenant !== '')
      if (left.length > 0) this.#own.set(tenant, left)
      else this.#own.delete(tenant)
    }
  }

  /** All of saved state, under their old numbers, in place of what there is. */
  restore(saved: readonly EntityMemory[]): void {
    this.all.length = 0
    this.#ids.clear()
    this.#own.clear()
    this.#free = []
    this.changes++
    for (const [id, memory] of saved.entries()) {
      if (memory.tenant === '') {
        this.all.push(nobody())
        this.#free.push(id)
      } else this.#enter(id, copyOf(memory))
    }
    this.#free.reverse()
    this.#grow()
    this.letGoRows()
  }

  #enter(id: number, memory: EntityMemory): void {
    const { tenant, name } = memory
    this.#ids.set(keyOf(tenant, name), id)
    this.all[id] = memory
    const own = this.#own.get(tenant)
    if (own) insert(own, id)
    else {
      this.#own.set(tenant, [id])
      // From now on it has a graph of its own.
      this.#graphs.own(tenant)
    }
  }

  #grow(): void {
    const have = this.columns.recent.length
    if (this.all.length <= have) return
    this.columns = entityColumns(grown(this.all.length, have), this.columns)
    const rows = new Uint32Array(this.columns.recent.length)
    rows.set(this.#rows)
    this.#rows = rows
  }
}

/** A number that is free. */
const nobody = (): EntityMemory => newcomer('', '', '', Number.NEGATIVE_INFINITY)

/** All are made here: objects of one shape hold their numbers without a box, which every window would make anew. */
function newcomer(tenant: string, name: string, namespace: string, firstSeenMs: number): EntityMemory {
  return {
    tenant,
    name,
    namespace,
    firstSeenMs,
    recent: [0, 0, 0],
    onsetMs: null,
    lastStrangeMs: 0,
    traffic: Number.NaN,
  }
}

function copyOf({ tenant, name, namespace, firstSeenMs, ...rest }: EntityMemory): EntityMemory {
  const copy = newcomer(tenant, name, namespace, firstSeenMs)
  copy.recent = [...rest.recent]
  copy.onsetMs = rest.onsetMs
  copy.lastStrangeMs = rest.lastStrangeMs
  copy.traffic = rest.traffic
  return copy
}

const keyOf = (tenant: string, name: string): string => `${tenant}\n${name}`

/** Into ascending numbers; nearly always at their end. */
function insert(ids: number[], id: number): void {
  let at = ids.length
  while (at > 0 && ids[at - 1] > id) at--
  ids.splice(at, 0, id)
}
