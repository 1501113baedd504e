import type { FeatureBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT, type ColumnStore } from '../core/columns.ts'
import { ForeshockError } from '../core/errors.ts'
import { type MetricKind, type Unit, unitFloor } from '../core/metric-kind.ts'
import { type BadDirection, type SeriesTable, seriesHead } from '../core/series.ts'
import { type EntityColumns, NO_CEILING, type ROW_COLUMNS } from './evidence.ts'
import { FAMILY_SLOTS } from './families.ts'

/**
 * Shares of success that are always full, and of failure that are always none: to leave that limit for some
 * windows is strange however little it is, and strangest where an earlier disaster has widened the usual spread,
 * which is what the detectors divide by. Evidence is the distance from the limit in half floors (half a point of
 * a share: what `sigma` of the change scores grants a constant series), 0..8, as the detectors grade. A series
 * that often leaves its limit without anybody being told is left to the detectors alone.
 * Source: own; chosen on Online Boutique of Nezha, where every fall below 98 % within a day lies in a fault.
 */

/** Windows at the limit before leaving it means anything: as many as the detectors need to speak. */
const CLEAN_WINDOWS = 12
const EVIDENCE_MAX = 8
/** Each time that the limit was left and nothing came of it takes this much off what the next time says. */
const UNTOLD_WEIGHT = 0.5
/** Windows in which half of that is forgotten: the half-life of the detectors' tails. */
const UNTOLD_HALF_LIFE = 720
const UNTOLD_KEEP = 2 ** (-1 / UNTOLD_HALF_LIFE)
const CLEAN_MAX = 65_535
/** Shares that a chunk of rows has room for at first. */
const FEWEST_SHARES = 256

/** What a row is: not looked at yet, no share (`NO_CEILING`), or from here on one of the shares of `LIMITS`. */
const UNSEEN = 0
const FIRST_LIMIT = 2

interface Limit {
  readonly kind: MetricKind
  readonly unit: string
  readonly bad: BadDirection
  readonly limit: number
  /** Half a floor, the series' unit: what is nearer to the limit is at it. */
  readonly step: number
  readonly direction: -1 | 1
}

/** Shares that are full or none when all is well. Counts have no limit: what is much is not known. */
const LIMITS: readonly Limit[] = [
  limitOf('availability', 'ratio', 'down', 1, -1),
  limitOf('availability', 'percent', 'down', 100, -1),
  limitOf('error', 'ratio', 'up', 0, 1),
  limitOf('error', 'percent', 'up', 0, 1),
]

function limitOf(kind: MetricKind, unit: Unit, bad: BadDirection, limit: number, direction: -1 | 1): Limit {
  return { kind, unit, bad, limit, step: unitFloor(kind, unit) / 2, direction }
}

/** What was learned of one share, by the place of its row among the keys of a snapshot. */
export type SavedCeiling = readonly [place: number, clean: number, away: number, untold: number]
const SAVED_WIDTH = 4

export class Ceilings {
  readonly #table: SeriesTable
  /** Shares of each chunk of rows. */
  readonly #shares: Shares[] = []
  readonly #rows: ColumnStore<typeof ROW_COLUMNS>
  readonly #head = seriesHead()

  /** What a row is stands in its column `ceiling`, and its place among the shares in `share`. */
  constructor(table: SeriesTable, rows: ColumnStore<typeof ROW_COLUMNS>) {
    this.#table = table
    this.#rows = rows
  }

  /**
   * Raises the evidence of entities whose shares left their limit. To be called once for all rows of a batch, after the
   * evidence that the detectors gave them was gathered, with the positions of those that may be such; `disrupted` is 1 for entities
   * (by index) of which a disruption is told already.
   */
  raise(
    batch: FeatureBatch,
    positions: Uint32Array,
    count: number,
    entities: EntityColumns,
    disrupted: Uint8Array,
  ): void {
    const { chunks } = this.#rows
    const { series, observed } = batch
    for (let p = 0; p < count; p++) {
      const row = series[positions[p]]
      const rows = chunks[row >> CHUNK_SHIFT]
      const place = row & CHUNK_MASK
      const kind = rows.ceiling[place] === UNSEEN ? this.#learn(row) : rows.ceiling[place]
      const value = observed[positions[p]]
      if (kind < FIRST_LIMIT || Number.isNaN(value)) continue
      const entity = rows.entity[place] - 1
      const told = entity < disrupted.length && disrupted[entity] === 1
      const share = LIMITS[kind - FIRST_LIMIT]
      const strength = away(this.#shares[row >> CHUNK_SHIFT], rows.share[place], share, value, told)
      if (strength === 0) continue
      const at = entity * FAMILY_SLOTS + rows.family[place]
      if (!(strength > entities.strength[at])) continue
      entities.strength[at] = strength
      entities.ratio[at] = 0
      entities.direction[at] = share.direction
    }
  }

  forget(row: number): void {
    const chunk = this.#rows.chunks[row >> CHUNK_SHIFT]
    if (!chunk) return
    const place = row & CHUNK_MASK
    if (chunk.ceiling[place] >= FIRST_LIMIT) this.#shares[row >> CHUNK_SHIFT].give(chunk.share[place])
    chunk.ceiling[place] = UNSEEN
  }

  /** `SAVED_WIDTH` numbers a share: see SavedCeiling. */
  saved(): Float64Array {
    let count = 0
    for (const shares of this.#shares) count += shares?.held ?? 0
    const out = new Float64Array(SAVED_WIDTH * count)
    let to = 0
    for (const [c, shares] of this.#shares.entries()) {
      if (!shares) continue
      const { ceiling, share } = this.#rows.chunks[c]
      for (let place = 0; place < ceiling.length; place++) {
        if (ceiling[place] < FIRST_LIMIT) continue
        const at = share[place]
        out[to] = (c << CHUNK_SHIFT) + place
        out[to + 1] = shares.clean[at]
        out[to + 2] = shares.isAway[at]
        out[to + 3] = shares.untold[at]
        to += SAVED_WIDTH
      }
    }
    return out
  }

  /** Takes over what a snapshot knew of the series that are here; `rowOf` gives the row of a place in it, or −1. */
  restore(saved: ArrayLike<number>, rowOf: (place: number) => number): void {
    this.#shares.length = 0
    for (const { ceiling } of this.#rows.chunks) ceiling.fill(UNSEEN)
    for (let from = 0; from + SAVED_WIDTH <= saved.length; from += SAVED_WIDTH) {
      const row = rowOf(saved[from])
      if (row < 0 || !this.#table.has(row) || this.#learn(row) < FIRST_LIMIT) continue
      const shares = this.#shares[row >> CHUNK_SHIFT]
      const at = this.#rows.chunks[row >> CHUNK_SHIFT].share[row & CHUNK_MASK]
      shares.clean[at] = saved[from + 1]
      shares.isAway[at] = saved[from + 2]
      shares.untold[at] = saved[from + 3]
    }
  }

  bytes(): number {
    let sum = 0
    for (const shares of this.#shares) if (shares) sum += shares.bytes()
    return sum
  }

  #learn(row: number): number {
    if (!this.#table.head(row, this.#head))
      throw new ForeshockError('FS_ASSERTION', `row ${row} holds no series`)
    const { kind, unit, bad } = this.#head
    const found = LIMITS.findIndex(one => one.kind === kind && one.unit === unit && one.bad === bad)
    const chunk = this.#rows.chunks[row >> CHUNK_SHIFT]
    const place = row & CHUNK_MASK
    const what = found < 0 ? NO_CEILING : FIRST_LIMIT + found
    if (found >= 0 && chunk.ceiling[place] === UNSEEN) {
      this.#shares[row >> CHUNK_SHIFT] ??= new Shares()
      chunk.share[place] = this.#shares[row >> CHUNK_SHIFT].take()
    }
    chunk.ceiling[place] = what
    return what
  }
}

/** Shares that one chunk of rows holds, in columns. */
class Shares {
  /** Windows at the limit so far, saturating. */
  clean = new Uint16Array(FEWEST_SHARES)
  isAway = new Uint8Array(FEWEST_SHARES)
  /** Times it was left and came back untold, slowly forgotten. */
  untold = new Float64Array(FEWEST_SHARES)
  readonly #free: number[] = []
  #used = 0

  take(): number {
    const at = this.#free.pop() ?? this.#used++
    if (at === this.clean.length) this.#grow()
    this.clean[at] = 0
    this.isAway[at] = 0
    this.untold[at] = 0
    return at
  }

  give(at: number): void {
    this.#free.push(at)
  }

  get held(): number {
    return this.#used - this.#free.length
  }

  bytes(): number {
    return this.clean.byteLength + this.isAway.byteLength + this.untold.byteLength
  }

  #grow(): void {
    const [clean, isAway, untold] = [this.clean, this.isAway, this.untold]
    this.clean = new Uint16Array(clean.length * 2)
    this.clean.set(clean)
    this.isAway = new Uint8Array(isAway.length * 2)
    this.isAway.set(isAway)
    this.untold = new Float64Array(untold.length * 2)
    this.untold.set(untold)
  }
}

/** One window of one share. Returns how strange it is, 0..8. */
function away(shares: Shares, at: number, { limit, step }: Limit, value: number, told: boolean): number {
  const distance = Math.abs(value - limit)
  shares.untold[at] *= UNTOLD_KEEP
  if (distance <= step) {
    if (shares.isAway[at] === 1 && !told) shares.untold[at]++
    shares.isAway[at] = 0
    if (shares.clean[at] < CLEAN_MAX) shares.clean[at]++
    return 0
  }
  shares.isAway[at] = 1
  if (shares.clean[at] < CLEAN_WINDOWS) return 0
  return Math.min(EVIDENCE_MAX, distance / step) / (1 + UNTOLD_WEIGHT * shares.untold[at])
}
