import { ForeshockError } from './errors.ts'
import type { MetricKind, Unit } from './metric-kind.ts'

export type Labels = Readonly<Record<string, string>>
/** Which way is bad. */
export type BadDirection = 'up' | 'down' | 'both'

/** What is known of a series; never on the hot path. */
export interface SeriesMeta {
  /** Canonical text `metric{a="1",b="2"}`, labels sorted by name; unique within a table. */
  readonly key: string
  readonly tenant: string
  /** Metric name; derived statistics carry a suffix, such as `latency_seconds:p99` or `errors_total:rate`. */
  readonly metric: string
  readonly labels: Labels
  /** What a disruption is about: by default the `service` label. */
  readonly entity: string
  readonly unit: Unit
  readonly kind: MetricKind
  readonly bad: BadDirection
}

export function escapeLabel(value: string): string {
  return value.replace(/["\\\n]/g, c => (c === '\n' ? '\\n' : `\\${c}`))
}

/** The canonical key of a series. A tenant other than `default` stands in front, before a slash. */
export function seriesKey(metric: string, labels: Labels, tenant = 'default'): string {
  const names = Object.keys(labels).sort()
  const inner = names.map(name => `${name}="${escapeLabel(labels[name])}"`).join(',')
  return `${tenant === 'default' ? '' : `${tenant}/`}${metric}${inner === '' ? '' : `{${inner}}`}`
}

/** Who lies in which row: the series table, or a view of some of its series in rows of its own. */
export interface SeriesRows {
  /** Series held now. */
  readonly size: number
  /** One past the highest row ever given out: the length that columns need. */
  readonly capacity: number
  /** What is known of the series in a row. Throws where the row holds none. */
  meta(row: number): SeriesMeta
  has(row: number): boolean
  /** The row of a key, or −1. */
  row(key: string): number
  /** The key of the series in a row, '' where free. */
  key(row: number): string
  /** Key per row, '' where free. */
  keys(): readonly string[]
  /** Series in ascending order of rows. */
  metas(): IterableIterator<[row: number, meta: SeriesMeta]>
}

/**
 * Series key ↔ dense row. Rows are given out in arrival order and reused after eviction, so columns stay dense.
 */
export class SeriesTable implements SeriesRows {
  readonly limit: number
  readonly #rows = new Map<string, number>()
  readonly #metas: (SeriesMeta | undefined)[] = []
  readonly #free: number[] = []
  /** Series held by tenant; those without any are not in it. */
  readonly #held = new Map<string, number>()
  readonly #limitOf: ((tenant: string) => number) | undefined
  #keys: string[] | undefined

  /** `limit`: the most series held at once; `limitOf`: the most of a tenant. */
  constructor(limit = 1_000_000, limitOf?: (tenant: string) => number) {
    this.limit = limit
    this.#limitOf = limitOf
  }

  /** Series of a tenant held now. */
  heldBy(tenant: string): number {
    return this.#held.get(tenant) ?? 0
  }

  /** Why a tenant can have no further series, as rejects name it; undefined when it can. */
  refusal(tenant: string): 'series-limit' | 'tenant-series-limit' | undefined {
    if (this.#rows.size >= this.limit) return 'series-limit'
    if (this.#limitOf && this.heldBy(tenant) >= this.#limitOf(tenant)) return 'tenant-series-limit'
    return undefined
  }

  /** Series held now. */
  get size(): number {
    return this.#rows.size
  }

  /** One past the highest row ever given out: the length that columns need. */
  get capacity(): number {
    return this.#metas.length
  }

  /** The row of a key, or −1. */
  row(key: string): number {
    return this.#rows.get(key) ?? -1
  }

  meta(row: number): SeriesMeta {
    const meta = this.#metas[row]
    if (!meta) throw new ForeshockError('FS_ASSERTION', `row ${row} holds no series`)
    return meta
  }

  key(row: number): string {
    return this.#metas[row]?.key ?? ''
  }

  has(row: number): boolean {
    return this.#metas[row] !== undefined
  }

  /** The row of a series, made when new; −1 when there is no room for it: see `refusal`. */
  intern(meta: SeriesMeta): number {
    const known = this.#rows.get(meta.key)
    if (known !== undefined) return known
    if (this.refusal(meta.tenant) !== undefined) return -1
    const row = this.#free.pop() ?? this.#metas.length
    this.#metas[row] = meta
    this.#rows.set(meta.key, row)
    this.#count(meta.tenant, 1)
    this.#keys = undefined
    return row
  }

  /** Frees a row for reuse. The caller tells every part that keeps state to forget it. */
  evict(row: number): void {
    const meta = this.#metas[row]
    if (!meta) return
    this.#rows.delete(meta.key)
    this.#count(meta.tenant, -1)
    this.#metas[row] = undefined
    this.#free.push(row)
    this.#keys = undefined
  }

  /** Key per row, '' where free; the same array until the table changes. */
  keys(): readonly string[] {
    this.#keys ??= Array.from({ length: this.#metas.length }, (_, row) => this.#metas[row]?.key ?? '')
    return this.#keys
  }

  *metas(): IterableIterator<[row: number, meta: SeriesMeta]> {
    for (let row = 0; row < this.#metas.length; row++) {
      const meta = this.#metas[row]
      if (meta) yield [row, meta]
    }
  }

  /** JSON-safe copy that keeps the rows as they are, free ones in their order of reuse. */
  snapshot(): { metas: (SeriesMeta | null)[]; free: number[] } {
    return { metas: this.#metas.map(meta => meta ?? null), free: [...this.#free] }
  }

  /** Replaces the content of an empty table. What is more than a tenant may have by now stays. */
  restore(from: { metas: (SeriesMeta | null)[]; free: number[] }): void {
    if (this.#metas.length > 0)
      throw new ForeshockError('FS_ASSERTION', 'a series table is restored only when empty')
    for (const [row, meta] of from.metas.entries()) {
      this.#metas[row] = meta ?? undefined
      if (!meta) continue
      this.#rows.set(meta.key, row)
      this.#count(meta.tenant, 1)
    }
    this.#free.push(...from.free)
    this.#keys = undefined
  }

  #count(tenant: string, change: number): void {
    const held = this.heldBy(tenant) + change
    if (held > 0) this.#held.set(tenant, held)
    else this.#held.delete(tenant)
  }
}
