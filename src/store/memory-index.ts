import type { Anomaly } from '../core/anomaly.ts'
import type { Disruption } from '../core/disruption.ts'
import { ForeshockError } from '../core/errors.ts'
import type { AnomalyQuery, DisruptionQuery, RecordIndex, RecordLine, Similar } from '../core/ports.ts'
import { similarity } from './similarity.ts'

export interface MemoryIndexOptions {
  readonly disruptionsMax?: number
  readonly anomaliesMax?: number
}

/** A disruption with its evidence takes about 20 kB. */
const DISRUPTIONS_MAX = 5000
/** An anomaly takes about 1 kB. */
const ANOMALIES_MAX = 50_000
/** Part dropped at once when a shelf is full, so that dropping costs little per entry. */
const DROPPED_SHARE = 0.05
const LIMIT_MAX = 1000

interface Kept<T> {
  /** Sequence number of the line that first named it: its place for ever. */
  readonly seq: number
  value: T
}

/** Newest-first shelf of things that are born, change and end. */
class Shelf<T> {
  readonly #max: number
  readonly #ended: (value: T) => boolean
  readonly #byId = new Map<string, Kept<T>>()
  /** In order of birth. */
  #order: { readonly id: string; readonly kept: Kept<T> }[] = []
  dropped = 0

  constructor(max: number, ended: (value: T) => boolean) {
    this.#max = max
    this.#ended = ended
  }

  one(id: string): T | undefined {
    return this.#byId.get(id)?.value
  }

  put(id: string, seq: number, value: T): void {
    const known = this.#byId.get(id)
    if (known) {
      known.value = value
      return
    }
    const kept = { seq, value }
    this.#byId.set(id, kept)
    this.#order.push({ id, kept })
    if (this.#order.length > this.#max) this.#drop()
  }

  *newest(): IterableIterator<T> {
    for (let i = this.#order.length - 1; i >= 0; i--) yield this.#order[i].kept.value
  }

  /** A page of what `wanted` accepts, newest first, born before the cursor. */
  page(
    wanted: (value: T) => boolean,
    cursor: string | undefined,
    limit: number,
  ): { items: T[]; next: string | null } {
    const before = cursor === undefined ? Number.POSITIVE_INFINITY : seqOf(cursor)
    const most = Math.max(1, Math.min(LIMIT_MAX, Math.floor(limit)))
    const items: T[] = []
    let last = 0
    for (let i = this.#order.length - 1; i >= 0; i--) {
      const { seq, value } = this.#order[i].kept
      if (seq >= before || !wanted(value)) continue
      if (items.length === most) return { items, next: cursorOf(last) }
      items.push(value)
      last = seq
    }
    return { items, next: null }
  }

  /** Drops the oldest that have ended, and the oldest of all when too few have. */
  #drop(): void {
    let excess = this.#order.length - Math.floor(this.#max * (1 - DROPPED_SHARE))
    this.dropped += excess
    for (const pass of [this.#ended, () => true]) {
      this.#order = this.#order.filter(({ id, kept }) => {
        if (excess === 0 || !pass(kept.value)) return true
        excess--
        this.#byId.delete(id)
        return false
      })
    }
  }
}

function cursorOf(seq: number): string {
  return Buffer.from(`seq:${seq}`).toString('base64url')
}

function seqOf(cursor: string): number {
  const match = /^seq:(\d{1,16})$/.exec(Buffer.from(cursor, 'base64url').toString())
  if (!match) throw new ForeshockError('FS_INPUT_INVALID', 'the cursor is not one that was given out')
  return Number(match[1])
}

/**
 * The record's newest disruptions and anomalies in memory, newest first. A page's cursor names a place in the
 * record, so what arrives meanwhile neither shifts nor repeats anything. Time filters take what lasted at any
 * moment of [fromMs, toMs).
 */
export class MemoryIndex implements RecordIndex {
  readonly #disruptions: Shelf<Disruption>
  readonly #anomalies: Shelf<Anomaly>

  constructor(options: MemoryIndexOptions = {}) {
    this.#disruptions = new Shelf(options.disruptionsMax ?? DISRUPTIONS_MAX, one => one.status !== 'open')
    this.#anomalies = new Shelf(options.anomaliesMax ?? ANOMALIES_MAX, one => one.status !== 'open')
  }

  /** Entries that were dropped to stay within bounds; the record still has them. */
  get dropped(): number {
    return this.#disruptions.dropped + this.#anomalies.dropped
  }

  disruption(id: string): Disruption | undefined {
    return this.#disruptions.one(id)
  }

  anomaly(id: string): Anomaly | undefined {
    return this.#anomalies.one(id)
  }

  /** Throws FS_INPUT_INVALID for a cursor that was not given out. */
  disruptions(query: DisruptionQuery): { items: Disruption[]; next: string | null } {
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

  /** Throws FS_INPUT_INVALID for a cursor that was not given out. */
  anomalies(query: AnomalyQuery): { items: Anomaly[]; next: string | null } {
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
  similar(id: string, limit = 10): Similar[] {
    const one = this.disruption(id)
    if (!one) return []
    const found: Similar[] = []
    for (const other of this.#disruptions.newest()) {
      if (other.id === id || other.tenant !== one.tenant) continue
      const similar = similarity(one, other)
      if (similar.similarity > 0) found.push(similar)
    }
    return found.sort((a, b) => b.similarity - a.similarity).slice(0, limit)
  }

  apply({ seq, entry }: RecordLine): void {
    if (entry.type === 'disruption') {
      const { disruption } = entry.event
      const known = this.#disruptions.one(disruption.id)
      if (!known || known.revision <= disruption.revision)
        this.#disruptions.put(disruption.id, seq, disruption)
    } else if (entry.type === 'anomaly') {
      this.#anomalies.put(entry.anomaly.id, seq, entry.anomaly)
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
