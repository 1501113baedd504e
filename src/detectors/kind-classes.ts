import { CHUNK_MASK, CHUNK_SHIFT, type Chunk, ColumnStore } from '../core/columns.ts'
import { ForeshockError } from '../core/errors.ts'
import { KIND_TRAITS, type MetricKind, type Unit, unitFloor } from '../core/metric-kind.ts'
import { type BadDirection, type SeriesHead, type SeriesRows, seriesHead } from '../core/series.ts'

/** Distinct (kind, unit floor, direction) triples told apart; later ones count as the last of them. */
const CLASSES_MAX = 255
/** Names of metrics remembered; when there are too many, all are forgotten. */
const NAMED_MAX = 4096
/** Least scale relative to the level: below it float32 cannot tell values apart. */
const RESOLUTION = 1e-6
/** Least scale of all, so that nothing is divided by zero. */
const SCALE_LEAST = 1e-300
const SPEC = { of: 'u8' } as const
export type ClassChunk = Chunk<typeof SPEC>

/** Which way is bad, as columns hold it: 1 up, −1 down, 0 both. */
export type BadSign = -1 | 0 | 1

/**
 * Kind traits of a row as one byte into three small tables, looked up once per series instead of once per row.
 * Derived from the series table, so it is rebuilt and never saved.
 */
export class KindClasses {
  readonly relative = new Float64Array(CLASSES_MAX + 1)
  readonly absolute = new Float64Array(CLASSES_MAX + 1)
  readonly bad = new Int8Array(CLASSES_MAX + 1)
  /** Least value there can be: a latency is never negative, of kind `other` nothing is known. */
  readonly least = new Float64Array(CLASSES_MAX + 1)
  readonly #table: SeriesRows
  readonly #index = new Map<string, number>()
  readonly #store = new ColumnStore(SPEC)
  readonly #head: SeriesHead = seriesHead()
  /** What metrics were found to be when last asked for. */
  readonly #named = new Map<
    string,
    { readonly kind: MetricKind; readonly unit: Unit; readonly bad: BadDirection; readonly found: number }
  >()
  readonly #direction: ((row: number) => BadDirection | undefined) | undefined

  /** `direction` says which way is bad where rules differ from what the metric's kind says. */
  constructor(table: SeriesRows, direction?: (row: number) => BadDirection | undefined) {
    this.#table = table
    this.#direction = direction
  }

  get chunks(): readonly ClassChunk[] {
    return this.#store.chunks
  }

  /** Classes told apart so far: they have numbers 1..size. */
  get size(): number {
    return Math.min(this.#index.size, CLASSES_MAX)
  }

  /** Fills `out` with the classes of rows, which ascend; makes room for them and looks up who is new. */
  fill(rows: Uint32Array, length: number, out: Uint8Array): void {
    if (length === 0) return
    const [first, last] = [rows[0], rows[length - 1]]
    this.ensure(last + 1)
    const { chunks } = this.#store
    if (last - first === length - 1 && first >> CHUNK_SHIFT === last >> CHUNK_SHIFT) {
      const at = first & CHUNK_MASK
      out.set(chunks[first >> CHUNK_SHIFT].of.subarray(at, at + length))
    } else for (let i = 0; i < length; i++) out[i] = chunks[rows[i] >> CHUNK_SHIFT].of[rows[i] & CHUNK_MASK]
    for (let i = out.indexOf(0); i >= 0 && i < length; i = out.indexOf(0, i + 1))
      out[i] = this.classOf(rows[i])
  }

  /** Makes room for rows 0..rows−1; a row holds 0 until `classOf` names its class. */
  ensure(rows: number): void {
    this.#store.ensure(rows)
  }

  /** Looks the class of a row up in the series table and remembers it. */
  classOf(row: number): number {
    const found = this.#find(row)
    this.#store.chunks[row >> CHUNK_SHIFT].of[row & CHUNK_MASK] = found
    return found
  }

  #find(row: number): number {
    const head = this.#head
    if (!this.#table.head(row, head)) throw new ForeshockError('FS_ASSERTION', `row ${row} holds no series`)
    const { kind, unit, metric } = head
    const bad = this.#direction?.(row) ?? head.bad
    const known = this.#named.get(metric)
    if (known !== undefined && known.kind === kind && known.unit === unit && known.bad === bad)
      return known.found
    const found = this.#make(kind, unit, metric, bad)
    if (this.#named.size >= NAMED_MAX) this.#named.clear()
    this.#named.set(metric, { kind, unit, bad, found })
    return found
  }

  #make(kind: MetricKind, unit: Unit, metric: string, bad: BadDirection): number {
    const sign: BadSign = bad === 'up' ? 1 : bad === 'down' ? -1 : 0
    const relative = KIND_TRAITS[kind].relativeFloor
    const absolute = unitFloor(kind, unit, metric)
    const least = kind === 'other' ? Number.NEGATIVE_INFINITY : 0
    const key = `${relative} ${absolute} ${sign} ${least}`
    let found = this.#index.get(key)
    if (found === undefined) {
      found = Math.min(this.#index.size + 1, CLASSES_MAX)
      this.#index.set(key, found)
      this.relative[found] = Math.max(relative, RESOLUTION)
      this.absolute[found] = Math.max(absolute, SCALE_LEAST)
      this.bad[found] = sign
      this.least[found] = least
    }
    return found
  }

  /** The name of a class, the same over restarts; classes that had no room are of the last one. */
  nameOf(found: number): string {
    for (const [name, number] of this.#index) if (number === found) return name
    return ''
  }

  forget(row: number): void {
    this.#store.clear(row)
  }

  bytes(): number {
    return this.#store.bytes()
  }
}
