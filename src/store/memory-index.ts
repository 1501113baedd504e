import type { Anomaly } from '../core/anomaly.ts'
import { type Change, keyOfChange, tenantOfChange } from '../core/change.ts'
import type { Disruption } from '../core/disruption.ts'
import type {
  AnomalyQuery,
  DisruptionQuery,
  IndexPosition,
  Page,
  RecordEntry,
  RecordIndex,
  RecordLine,
  RecordSource,
  Similar,
} from '../core/ports.ts'
import { unapplied } from './applied.ts'
import { comparePlaces, cursorOf, type Place, pageSize, placeOf } from './index-cursor.ts'
import { compareSimilar, similarity } from './similarity.ts'

export interface MemoryIndexOptions {
  readonly disruptionsMax?: number
  readonly anomaliesMax?: number
  readonly changesMax?: number
}

/** A disruption with its evidence takes about 20 kB. */
const DISRUPTIONS_MAX = 5000
/** An anomaly takes about 1 kB. */
const ANOMALIES_MAX = 50_000
/** A change takes about 300 bytes. */
const CHANGES_MAX = 1000
/** Part dropped at once when a shelf is full, so that dropping costs little per entry. */
const DROPPED_SHARE = 0.05

interface Kept<T> extends Place {
  value: T
}

/** Shelf of things that are detected, change and end, in the order of their detection. */
class Shelf<T extends { readonly id: string }> {
  readonly #max: number
  readonly #detectedMs: (value: T) => number
  readonly #ended: (value: T) => boolean
  readonly #byId = new Map<string, Kept<T>>()
  #order: Kept<T>[] = []
  dropped = 0

  constructor(max: number, detectedMs: (value: T) => number, ended: (value: T) => boolean) {
    this.#max = max
    this.#detectedMs = detectedMs
    this.#ended = ended
  }

  one(id: string): T | undefined {
    return this.#byId.get(id)?.value
  }

  put(value: T): void {
    const { id } = value
    const known = this.#byId.get(id)
    if (known) {
      known.value = value
      return
    }
    const kept = { id, detectedMs: this.#detectedMs(value), value }
    this.#byId.set(id, kept)
    const at = this.#after(kept)
    // The record is nearly in this order: what is new belongs at the end.
    if (at === this.#order.length) this.#order.push(kept)
    else this.#order.splice(at, 0, kept)
    if (this.#order.length > this.#max) this.#drop()
  }

  *newest(): IterableIterator<T> {
    for (let i = this.#order.length - 1; i >= 0; i--) yield this.#order[i].value
  }

  /** A page of what `wanted` accepts, latest first, beyond the cursor. */
  page(wanted: (value: T) => boolean, cursor: string | undefined, limit: number): Page<T> {
    const most = pageSize(limit)
    const start = cursor === undefined ? this.#order.length : this.#after(placeOf(cursor), true)
    const items: T[] = []
    let last: Place | undefined
    for (let i = start - 1; i >= 0; i--) {
      const kept = this.#order[i]
      if (!wanted(kept.value)) continue
      if (last && items.length === most) return { items, next: cursorOf(last) }
      items.push(kept.value)
      last = kept
    }
    return { items, next: null }
  }

  /** Index of the first that comes after a place, or stands at it when `orAt`. */
  #after(place: Place, orAt = false): number {
    let [low, high] = [0, this.#order.length]
    if (high > 0 && comparePlaces(this.#order[high - 1], place) < 0) return high
    while (low < high) {
      const middle = (low + high) >> 1
      const compared = comparePlaces(this.#order[middle], place)
      if (compared < 0 || (compared === 0 && !orAt)) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Drops the oldest that have ended, and the oldest of all when too few have. */
  #drop(): void {
    let excess = this.#order.length - Math.floor(this.#max * (1 - DROPPED_SHARE))
    this.dropped += excess
    for (const pass of [this.#ended, () => true]) {
      this.#order = this.#order.filter(({ id, value }) => {
        if (excess === 0 || !pass(value)) return true
        excess--
        this.#byId.delete(id)
        return false
      })
    }
  }
}

/**
 * The record's newest disruptions, anomalies and changes in memory. A page's cursor names a moment and an id, so what
 * arrives meanwhile neither shifts nor repeats anything. Time filters take what lasted at any moment of [fromMs, toMs).
 */
export class MemoryIndex implements RecordIndex {
  readonly #disruptions: Shelf<Disruption>
  readonly #anomalies: Shelf<Anomaly>
  readonly #changesMax: number
  readonly #changes = new Map<string, Change>()
  readonly #position = new Map<number, IndexPosition>()

  constructor(options: MemoryIndexOptions = {}) {
    this.#disruptions = new Shelf<Disruption>(
      options.disruptionsMax ?? DISRUPTIONS_MAX,
      one => Date.parse(one.detectedAt),
      one => one.status !== 'open',
    )
    this.#anomalies = new Shelf<Anomaly>(
      options.anomaliesMax ?? ANOMALIES_MAX,
      one => one.detectedMs,
      one => one.status !== 'open',
    )
    this.#changesMax = options.changesMax ?? CHANGES_MAX
  }

  /** Entries that were dropped to stay within bounds; the record still has them. */
  get dropped(): number {
    return this.#disruptions.dropped + this.#anomalies.dropped
  }

  async disruption(id: string): Promise<Disruption | undefined> {
    return this.#disruptions.one(id)
  }

  async disruptions(query: DisruptionQuery): Promise<Page<Disruption>> {
    const { tenant, status, severity, entity } = query
    const wanted = (one: Disruption) =>
      (tenant === undefined || one.tenant === tenant) &&
      (status === undefined || one.status === status) &&
      (severity === undefined || one.severity === severity) &&
      (entity === undefined || one.entity === entity || one.entities.includes(entity)) &&
      lasted(
        query,
        Date.parse(one.startedAt),
        one.resolvedAt === null ? undefined : Date.parse(one.resolvedAt),
      )
    return this.#disruptions.page(wanted, query.cursor, query.limit)
  }

  async anomalies(query: AnomalyQuery): Promise<Page<Anomaly>> {
    const { tenant, status, entity, series } = query
    const wanted = (one: Anomaly) =>
      (tenant === undefined || one.tenant === tenant) &&
      (status === undefined || one.status === status) &&
      (entity === undefined || one.entity === entity) &&
      (series === undefined || one.key === series) &&
      lasted(query, one.startMs, one.status === 'open' ? undefined : one.endMs)
    return this.#anomalies.page(wanted, query.cursor, query.limit)
  }

  /** Other disruptions of the same tenant that look like this one, most similar first, ties newest first. */
  async similar(id: string, limit: number): Promise<Similar[]> {
    const one = this.#disruptions.one(id)
    if (!one) return []
    const found: Similar[] = []
    for (const other of this.#disruptions.newest()) {
      if (other.id === id || other.tenant !== one.tenant) continue
      const similar = similarity(one, other)
      if (similar.similarity > 0) found.push(similar)
    }
    return found.sort(compareSimilar).slice(0, pageSize(limit))
  }

  async changes(limit: number, tenant?: string): Promise<Change[]> {
    const wanted = [...this.#changes].filter(
      ([, one]) => tenant === undefined || tenantOfChange(one) === tenant,
    )
    const newest = wanted.sort(([a, x], [b, y]) => y.timeMs - x.timeMs || (a < b ? 1 : a > b ? -1 : 0))
    return newest.slice(0, pageSize(limit)).map(([, one]) => one)
  }

  async apply(lines: readonly RecordLine[], source?: RecordSource): Promise<void> {
    const partition = source?.partition ?? 0
    const known = this.#position.get(partition)
    const fresh = unapplied(lines, known?.seq, source)
    for (const { entry } of fresh) this.#take(entry)
    const last = fresh.at(-1)
    if (last) this.#position.set(partition, { seq: last.seq, offset: source?.offset ?? 0 })
  }

  async position(): Promise<ReadonlyMap<number, IndexPosition>> {
    return new Map(this.#position)
  }

  async close(): Promise<void> {}

  #take(entry: RecordEntry): void {
    if (entry.type === 'disruption') {
      const { disruption } = entry.event
      const known = this.#disruptions.one(disruption.id)
      if (!known || known.revision <= disruption.revision) this.#disruptions.put(disruption)
    } else if (entry.type === 'anomaly') {
      const known = this.#anomalies.one(entry.anomaly.id)
      if (known?.status !== 'closed' || entry.anomaly.status === 'closed') this.#anomalies.put(entry.anomaly)
    } else if (entry.type === 'change') {
      const { change } = entry
      const key = keyOfChange(change)
      this.#changes.delete(key)
      this.#changes.set(key, change)
      if (this.#changes.size > this.#changesMax)
        this.#changes.delete(this.#changes.keys().next().value as string)
    }
  }
}

function lasted(
  query: { fromMs?: number; toMs?: number },
  startMs: number,
  endMs: number | undefined,
): boolean {
  if (query.toMs !== undefined && startMs >= query.toMs) return false
  return query.fromMs === undefined || endMs === undefined || endMs >= query.fromMs
}
