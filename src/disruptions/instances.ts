import { grown, type InstanceColumns, instanceColumns } from './evidence.ts'

export interface InstanceMemory {
  readonly entity: number
  readonly name: string
  /** A newcomer replaces an instance that left at about the same time. */
  readonly firstSeenMs: number
}

/** A place of an instance that nobody has. */
const NOBODY: InstanceMemory = { entity: -1, name: '', firstSeenMs: Number.NEGATIVE_INFINITY }

/**
 * Running copies of entities, by number. One without any row has left for good, and another gets its number. Those of saved
 * state have a while to be claimed by rows that come back.
 */
export class Instances {
  /** By number; of a number that is free, an entity of −1. */
  readonly all: InstanceMemory[] = []
  columns: InstanceColumns = instanceColumns(64)
  /** Those that there was no room for, each time they were seen anew. */
  dropped = 0
  readonly #max: number
  readonly #ids = new Map<string, number>()
  /** Rows of each. */
  #rows = new Uint32Array(64)
  readonly #free: number[] = []
  /** Those of saved state; the ones that no row has come back to by `#claimedByMs` are forgotten. */
  #unclaimed: number[] = []
  #claimedByMs = Number.NaN

  /** `max`: instances that are told apart, at most. */
  constructor(max: number) {
    this.#max = max
  }

  /** Number of an instance of an entity, a new one where it is new; −1 when there is no room. */
  intern(entity: number, name: string, firstSeenMs: number): number {
    const key = `${entity}\n${name}`
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    if (this.#free.length === 0 && this.all.length >= this.#max) {
      this.dropped++
      return -1
    }
    const id = this.#free.pop() ?? this.all.length
    this.#ids.set(key, id)
    this.all[id] = { entity, name, firstSeenMs }
    const have = this.columns.recent.length
    if (this.all.length > have) {
      this.columns = instanceColumns(grown(this.all.length, have), this.columns)
      const rows = new Uint32Array(this.columns.recent.length)
      rows.set(this.#rows)
      this.#rows = rows
    }
    return id
  }

  /** A row is of the instance from now on. */
  join(id: number): void {
    this.#rows[id]++
  }

  /** A row is of the instance no more. */
  leave(id: number): void {
    if (--this.#rows[id] === 0) this.#release(id)
  }

  /** No row is known any more; they come back one by one. */
  letGoRows(): void {
    this.#rows.fill(0)
  }

  /** Forgets those of saved state that nobody has claimed within `graceMs` of the first call. */
  expire(nowMs: number, graceMs: number): void {
    if (this.#unclaimed.length === 0) return
    if (Number.isNaN(this.#claimedByMs)) this.#claimedByMs = nowMs + graceMs
    if (nowMs < this.#claimedByMs) return
    for (const id of this.#unclaimed) if (this.#rows[id] === 0 && this.all[id] !== NOBODY) this.#release(id)
    this.#unclaimed = []
  }

  /** Those of entities that were forgotten: their numbers will be others'. */
  forget(entities: ReadonlySet<number>): void {
    for (const [id, { entity }] of this.all.entries()) if (entities.has(entity)) this.#release(id)
  }

  #release(id: number): void {
    const { entity, name } = this.all[id]
    this.#ids.delete(`${entity}\n${name}`)
    this.all[id] = NOBODY
    this.#free.push(id)
  }

  /** Those that there are, in the order of their numbers. */
  known(): InstanceMemory[] {
    // A checkpoint stops everything for it, and `filter` takes six times as long as a plain copy.
    const known = this.all.slice()
    if (this.#free.length === 0) return known
    let held = 0
    for (const one of this.all) if (one !== NOBODY) known[held++] = one
    known.length = held
    return known
  }

  /** All of saved state, in their old order, in place of what there is. */
  restore(saved: readonly InstanceMemory[]): void {
    this.all.length = 0
    this.#ids.clear()
    this.#rows.fill(0)
    this.#free.length = 0
    this.#unclaimed = saved.map(({ entity, name, firstSeenMs }) => this.intern(entity, name, firstSeenMs))
    this.#claimedByMs = Number.NaN
  }
}
