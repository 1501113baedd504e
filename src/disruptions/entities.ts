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

/** How long one that is silent is remembered: a job that runs once a week is no newcomer. */
const REMEMBERED_MS = 8 * 24 * 3_600_000
/** The same where so large a part of the room is taken. */
const CROWDED = 0.9
const CROWDED_MS = 3_600_000

/**
 * Entities by number. One that has been silent for long, that nobody calls and no disruption is about, is forgotten, and another gets
 * its number.
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
  /** When a series of each was last heard, Unix ms. */
  #heardMs = new Float64Array(64)
  /** Descending: the smallest is taken first, which a restored register does as well. */
  #free: number[] = []

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
    this.#heardMs[id] = timeMs
    return id
  }

  /** Ends a window: sums go back to zero. */
  endWindow(nowMs: number): void {
    const { live } = this.columns
    for (let id = 0; id < this.all.length; id++) if (live[id] > 0) this.#heardMs[id] = nowMs
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

  /** Forgets those silent for long that are neither in a call graph nor held. Returns their numbers, which new ones may take. */
  expire(nowMs: number, held: ReadonlySet<number>): ReadonlySet<number> {
    const isCrowded = this.all.length - this.#free.length >= CROWDED * this.#limit
    const beforeMs = nowMs - (isCrowded ? CROWDED_MS : REMEMBERED_MS)
    const gone = new Set<number>()
    for (const [id, { tenant, name }] of this.all.entries()) {
      if (this.#heardMs[id] >= beforeMs || tenant === '' || held.has(id) || this.#graphs.of(tenant).has(name))
        continue
      gone.add(id)
      this.#ids.delete(keyOf(tenant, name))
      this.all[id] = nobody()
    }
    if (gone.size === 0) return gone
    this.changes++
    this.#free = [...this.#free, ...gone].sort((a, b) => b - a)
    for (const [tenant, own] of this.#own) {
      const left = own.filter(id => this.all[id].tenant !== '')
      if (left.length > 0) this.#own.set(tenant, left)
      else this.#own.delete(tenant)
    }
    return gone
  }

  /** For a checkpoint, as a copy. */
  heardMs(): Float64Array {
    return this.#heardMs.slice(0, this.all.length)
  }

  /** All of saved state, under their old numbers, in place of what there is; heard at `nowMs` where that was not saved. */
  restore(saved: readonly EntityMemory[], heardMs: Float64Array | undefined, nowMs: number): void {
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
    if (heardMs?.length === saved.length) this.#heardMs.set(heardMs)
    else this.#heardMs.fill(nowMs)
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
    const heardMs = new Float64Array(this.columns.recent.length)
    heardMs.set(this.#heardMs)
    this.#heardMs = heardMs
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
