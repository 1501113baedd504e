import type { Cut, CutColumn, CutSnapshot } from './cut.ts'
import { ForeshockError } from './errors.ts'
import { escapeLabel } from './label-text.ts'
import type { MetricKind, Unit } from './metric-kind.ts'
import { RowIndex } from './row-index.ts'
import {
  type SavedRecords,
  type SeriesPart,
  type SeriesParts,
  SeriesRecords,
  type WantedLabels,
} from './series-records.ts'
import type { ColumnData, Snapshot } from './snapshot.ts'
import { textHash, u32Column } from './text-dictionary.ts'
import { U32Column } from './u32-column.ts'

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

/** What of a series is read a dozen times quicker than all of it; filled anew for each series of a walk. */
export type SeriesHead = { -readonly [K in Exclude<keyof SeriesMeta, 'key' | 'labels'>]: SeriesMeta[K] }

export function seriesHead(): SeriesHead {
  return { tenant: '', metric: '', entity: '', unit: '', kind: 'other', bad: 'both' }
}

/** The canonical key of a series. A tenant other than `default` stands in front, before a slash. */
export function seriesKey(metric: string, labels: Labels, tenant = 'default'): string {
  const start = tenant === 'default' ? metric : `${tenant}/${metric}`
  let inner = ''
  for (const name of Object.keys(labels).sort())
    inner += `${inner === '' ? '{' : ','}${name}="${escapeLabel(labels[name])}"`
  return inner === '' ? start : `${start}${inner}}`
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
  /** What of a series is quickly read, into `out`; false where the row holds none. */
  head(row: number, out: SeriesHead): boolean
  /** The row of a key, or −1. */
  row(key: string): number
  /** The key of the series in a row, '' where free. */
  key(row: number): string
  /** Key per row, '' where free. */
  keys(): readonly string[]
  /** Series in ascending order of rows. */
  metas(): IterableIterator<[row: number, meta: SeriesMeta]>
}

const ID = 'series'
/** Version 1 was a list of metas in JSON. */
const VERSION = 2
/** Marks the address of a free row, which then is the next free row. */
const FREE = 0x8000_0000
const NONE = 0x7fff_ffff
/** Series whose metas stay objects for a while, by the low bits of their row; a power of two. */
const CACHED = 8192

interface SavedTable extends SavedRecords {
  readonly size: number
  readonly free: number
  readonly held: readonly (readonly [tenant: string, series: number])[]
}

/**
 * Series key ↔ dense row. Rows are given out in arrival order and reused after eviction, so columns stay dense. What is
 * known of a series lies in columns and byte arenas, and becomes an object when it is asked for.
 */
export class SeriesTable implements SeriesRows {
  readonly limit: number
  readonly #records = new SeriesRecords()
  readonly #index = new RowIndex()
  /** Address of each row's record. */
  readonly #at = new U32Column()
  /** Series held by tenant; those without any are not in it. */
  readonly #held = new Map<string, number>()
  readonly #limitOf: ((tenant: string) => number) | undefined
  readonly #cached: (SeriesMeta | undefined)[] = []
  readonly #cachedRow: number[] = []
  #keys: WeakRef<string[]> | undefined
  #size = 0
  #capacity = 0
  /** The row freed last. */
  #free = NONE

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
    if (this.#size >= this.limit) return 'series-limit'
    if (this.#limitOf && this.heldBy(tenant) >= this.#limitOf(tenant)) return 'tenant-series-limit'
    return undefined
  }

  /** Series held now. */
  get size(): number {
    return this.#size
  }

  /** One past the highest row ever given out: the length that columns need. */
  get capacity(): number {
    return this.#capacity
  }

  /** The row of a key, or −1. */
  row(key: string): number {
    return this.#find(key, textHash(key))
  }

  meta(row: number): SeriesMeta {
    const place = row & (CACHED - 1)
    if (this.#cachedRow[place] === row) {
      const cached = this.#cached[place]
      if (cached) return cached
    }
    if (!this.has(row)) throw new ForeshockError('FS_ASSERTION', `row ${row} holds no series`)
    const meta = this.#records.read(this.#at.at(row))
    this.#cached[place] = meta
    this.#cachedRow[place] = row
    return meta
  }

  head(row: number, out: SeriesHead): boolean {
    if (!this.has(row)) return false
    this.#records.head(this.#at.at(row), out)
    return true
  }

  /** What is known of a series but for its key, with the labels that are wanted only. Throws where the row holds none. */
  part(row: number, wanted: WantedLabels): SeriesPart {
    if (!this.has(row)) throw new ForeshockError('FS_ASSERTION', `row ${row} holds no series`)
    return this.#records.part(this.#at.at(row), wanted)
  }

  /** The value of one label of a series, read without the others; undefined where it has none of that name. */
  label(row: number, name: string): string | undefined {
    return this.has(row) ? this.#records.label(this.#at.at(row), name) : undefined
  }

  /** Whether the key of a series is spelt otherwise than `seriesKey` would. */
  hasOwnKey(row: number): boolean {
    return this.has(row) && this.#records.hasOwnKey(this.#at.at(row))
  }

  key(row: number): string {
    return this.has(row) ? this.#records.key(this.#at.at(row)) : ''
  }

  has(row: number): boolean {
    return row >= 0 && row < this.#capacity && this.#at.at(row) < FREE
  }

  /**
   * The row of a series, made when new; −1 when there is no room for it: see `refusal`, or when a series of another tenant has its
   * key: `acme/cpu` of `default` is spelt as `cpu` of `acme`.
   */
  intern(meta: SeriesMeta): number {
    const hash = textHash(meta.key)
    const known = this.#find(meta.key, hash)
    if (known >= 0) return this.#ownedBy(meta.tenant, known)
    if (this.refusal(meta.tenant) !== undefined) return -1
    const row = this.#takeRow()
    this.#at.set(row, this.#records.put(meta, this.#size))
    this.#joined(row, hash, meta.tenant)
    return row
  }

  /** As `intern`, of a series in parts whose canonical key has the `textHash` given. */
  internParts(parts: SeriesParts, hash: number): number {
    const known = this.#index.first(hash) < 0 ? -1 : this.#find(keyOf(parts), hash)
    const { tenant } = parts.shape.shape
    if (known >= 0) return this.#ownedBy(tenant, known)
    if (this.refusal(tenant) !== undefined) return -1
    const row = this.#takeRow()
    this.#at.set(row, this.#records.putParts(parts, this.#size))
    this.#joined(row, hash, tenant)
    return row
  }

  /** The row if it is of the tenant, else −1. */
  #ownedBy(tenant: string, row: number): number {
    return this.#records.tenant(this.#at.at(row)) === tenant ? row : -1
  }

  /**
   * Puts a series into a free row that somebody else chose: for a table that follows another one, in which nothing is ever
   * interned.
   */
  put(row: number, meta: SeriesMeta): void {
    this.#at.ensure(row + 1)
    while (this.#capacity <= row) this.#at.set(this.#capacity++, FREE | NONE)
    if (this.has(row)) throw new ForeshockError('FS_ASSERTION', `row ${row} holds a series`)
    this.#at.set(row, this.#records.put(meta, this.#size))
    this.#joined(row, textHash(meta.key), meta.tenant)
  }

  #joined(row: number, hash: number, tenant: string): void {
    this.#index.add(row, hash)
    this.#size++
    this.#count(tenant, 1)
    this.#keys = undefined
  }

  /** Frees a row for reuse. The caller tells every part that keeps state to forget it. */
  evict(row: number): void {
    if (!this.has(row)) return
    const address = this.#at.at(row)
    this.#index.remove(row)
    this.#count(this.#records.tenant(address), -1)
    this.#records.free(address)
    this.#at.set(row, FREE | this.#free)
    this.#free = row
    this.#size--
    this.#cachedRow[row & (CACHED - 1)] = -1
    this.#keys = undefined
  }

  /** Key per row, '' where free; the same array as long as somebody holds it and the table does not change. */
  keys(): readonly string[] {
    const known = this.#keys?.deref()
    if (known) return known
    const keys = Array.from({ length: this.#capacity }, (_, row) => this.key(row))
    this.#keys = new WeakRef(keys)
    return keys
  }

  *metas(): IterableIterator<[row: number, meta: SeriesMeta]> {
    for (let row = 0; row < this.#capacity; row++) if (this.has(row)) yield [row, this.meta(row)]
  }

  /** Free rows, the one that is reused first at the end. */
  freeRows(): number[] {
    const rows: number[] = []
    for (let row = this.#free; row !== NONE; row = this.#at.at(row) & NONE) rows.push(row)
    return rows.reverse()
  }

  bytes(): number {
    return this.#records.bytes() + this.#index.bytes() + this.#at.bytes()
  }

  /** A plain copy that keeps the rows as they are, free ones in their order of reuse. */
  snapshot(): Snapshot {
    const columns: Record<string, ColumnData> = {
      at: this.#at.slice(this.#capacity),
      hash: this.#index.snapshot(this.#capacity),
    }
    const records = this.#records.snapshot(columns)
    const meta: SavedTable = { ...records, size: this.#size, free: this.#free, held: [...this.#held] }
    return { id: ID, version: VERSION, keys: [], columns, meta }
  }

  /** As `snapshot`, without copying what is large: see `Cut`. */
  cut(cut: Cut): CutSnapshot {
    const columns: Record<string, ColumnData | CutColumn> = {
      at: this.#at.cut(cut, this.#capacity),
      hash: this.#index.cut(cut, this.#capacity),
    }
    const records = this.#records.cut(cut, columns)
    const meta: SavedTable = { ...records, size: this.#size, free: this.#free, held: [...this.#held] }
    return { id: ID, version: VERSION, keys: [], columns, meta }
  }

  /**
   * Replaces the content of an empty table. What is more than a tenant may have by now stays. Throws FS_SNAPSHOT_INVALID
   * on a layout it cannot read.
   */
  restore(from: Snapshot): void {
    if (this.#capacity > 0)
      throw new ForeshockError('FS_ASSERTION', 'a series table is restored only when empty')
    if (from.id === ID && from.version === 1) this.#restoreMetas(from.meta as SavedMetas)
    else this.#restoreColumns(from)
  }

  #restoreColumns(from: Snapshot): void {
    if (from.id !== ID || from.version !== VERSION)
      throw new ForeshockError(
        'FS_SNAPSHOT_INVALID',
        `expected ${ID} v${VERSION}, got ${from.id} v${from.version}`,
      )
    const meta = from.meta as SavedTable
    const rows = from.columns.at?.length ?? 0
    const at = u32Column(from.columns, 'at', rows)
    const hashes = u32Column(from.columns, 'hash', rows)
    this.#records.restore(from.columns, meta, from.isGiven)
    this.#at.load(at, from.isGiven)
    this.#capacity = rows
    this.#size = meta.size
    this.#free = meta.free
    for (const [tenant, series] of meta.held) this.#held.set(tenant, series)
    this.#index.restore(hashes, row => at[row] < FREE)
  }

  #restoreMetas({ metas, free }: SavedMetas): void {
    this.#capacity = metas.length
    this.#at.ensure(metas.length)
    for (const [row, meta] of metas.entries()) {
      this.#at.set(row, FREE | NONE)
      if (!meta) continue
      this.#at.set(row, this.#records.put(meta, metas.length))
      this.#index.add(row, textHash(meta.key))
      this.#size++
      this.#count(meta.tenant, 1)
    }
    for (const row of free) {
      this.#at.set(row, FREE | this.#free)
      this.#free = row
    }
  }

  #find(key: string, hash: number): number {
    const index = this.#index
    for (let row = index.first(hash); row >= 0; row = index.next()) if (this.key(row) === key) return row
    return -1
  }

  #takeRow(): number {
    const row = this.#free
    if (row !== NONE) {
      this.#free = this.#at.at(row) & NONE
      return row
    }
    this.#at.ensure(this.#capacity + 1)
    return this.#capacity++
  }

  #count(tenant: string, change: number): void {
    const held = this.heldBy(tenant) + change
    if (held > 0) this.#held.set(tenant, held)
    else this.#held.delete(tenant)
  }
}

/** The key of a series in parts. */
function keyOf({ shape: { shape }, metric, values }: SeriesParts): string {
  const labels = Object.fromEntries(shape.names.map((name, i) => [name, values[i].text]))
  return seriesKey(metric.text, labels, shape.tenant)
}

/** What version 1 saved, and what a change of the configuration works on. */
export interface SavedMetas {
  readonly metas: readonly (SeriesMeta | null)[]
  /** Free rows, the one that is reused first at the end. */
  readonly free: readonly number[]
}

/** A saved table of any version as a list of metas, which `restore` takes too as version 1. */
export function savedMetas(from: Snapshot): SavedMetas {
  if (from.version === 1) return from.meta as SavedMetas
  const table = new SeriesTable()
  table.restore(from)
  const metas = Array.from({ length: table.capacity }, (_, row) => (table.has(row) ? table.meta(row) : null))
  return { metas, free: table.freeRows() }
}
