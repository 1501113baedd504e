import { entityKey } from '../core/entity-key.ts'
import type { SeriesRows } from '../core/series.ts'
import { grown } from './row-pool.ts'

/**
 * Who gets how much memory. Golden signals (latency, errors, traffic, saturation, availability; those of important
 * entities first) and suspects (series with an anomaly now or lately) are given a larger profile while a byte budget
 * lasts, and lose it when others need it more or they have long been quiet. Decided at set times from what is known
 * then, ties by key: the same input gives the same decisions, on whatever rows series lie.
 */
export interface PromotionOptions {
  /** Most bytes of all profiles' state together; 0 promotes nobody. */
  readonly budgetBytes: number
}

/** Time between reviews: long against a window, short against an incident. */
const REVIEW_MS = 600_000
/** A suspicion counts half after this much quiet. */
const SUSPICION_HALF_MS = 6 * 3_600_000
/** A fresh suspicion against a golden signal (1, and up to 1 more for its entity): suspects come first. */
const SUSPICION = 3
/** From this worth on a series is promoted … */
const WORTH_IN = 0.5
/** … and down to this it stays so: a suspect is dropped after 21 quiet hours. */
const WORTH_OUT = 0.25
/** Who has a larger profile already counts this much more, so that two like series do not swap it for ever. */
const INCUMBENT = 1.5
/** Series that change their profile in one review at most: a move of rings takes 20–100 µs. */
export const MOVES_MAX = 1000
/** Share of the spare bytes that goes to `compact` before anybody gets `full`. */
const COMPACT_SHARE = 0.5
/** Kinds that say how a service does. */
export const GOLDEN_KINDS: ReadonlySet<string> = new Set([
  'latency',
  'error',
  'traffic',
  'saturation',
  'availability',
])
/** Worth is told apart in that many steps when there are more candidates than places. */
const STEPS = 512
const WORTH_MAX = INCUMBENT * (2 + SUSPICION)

export interface Move {
  readonly series: number
  /** Place of the profile in PROFILES. */
  readonly to: number
}

/** What a review needs to know of the series that may move. */
export interface Standing {
  /** Series that may move: those without a rule of their own that have had an opinion for a while. */
  readonly series: ArrayLike<number>
  /** Place in PROFILES that everybody has, and that of a series now. */
  readonly base: number
  placeOf(series: number): number
  /** Bytes of a row by place in PROFILES, and bytes that all rows take when everybody has the base. */
  readonly rowBytes: readonly number[]
  readonly baseBytes: number
}

export class Promotion {
  readonly #table: SeriesRows
  readonly #budget: number
  /** Unix seconds of the last suspicion by series; 0 never. */
  #suspectS = new Uint32Array(0)
  /** 0 not looked up, 1 plain, 2 golden. */
  #golden = new Uint8Array(0)
  #reviewed = Number.NEGATIVE_INFINITY

  constructor(table: SeriesRows, { budgetBytes }: PromotionOptions) {
    this.#table = table
    this.#budget = budgetBytes
  }

  get budgetBytes(): number {
    return this.#budget
  }

  /** The series is strange in the window that ends at `windowEndMs`. */
  suspect(series: number, windowEndMs: number): void {
    if (series >= this.#suspectS.length) this.#suspectS = grown(this.#suspectS, series + 1)
    this.#suspectS[series] = Math.max(0, Math.floor(windowEndMs / 1000))
  }

  /** When a series was last strange, Unix seconds; 0 never. */
  suspectS(series: number): number {
    return series < this.#suspectS.length ? this.#suspectS[series] : 0
  }

  forget(series: number): void {
    if (series < this.#suspectS.length) this.#suspectS[series] = 0
    if (series < this.#golden.length) this.#golden[series] = 0
  }

  /** Whether a review is due at a window's end; it then counts as held. */
  isDue(windowEndMs: number): boolean {
    const period = Math.floor(windowEndMs / REVIEW_MS)
    if (this.#budget === 0 || period <= this.#reviewed) return false
    const isFirst = this.#reviewed === Number.NEGATIVE_INFINITY
    this.#reviewed = period
    return !isFirst
  }

  get reviewed(): number {
    return this.#reviewed
  }

  resumeAt(reviewed: number): void {
    this.#reviewed = reviewed
  }

  /** How much a larger profile of this series is worth, into its place of `worths`; `importance` 0..1 by `entityKey`. */
  #weigh(
    series: number,
    windowEndMs: number,
    importance: ReadonlyMap<string, number>,
    worths: Float64Array,
  ): void {
    if (series >= this.#golden.length) this.#golden = grown(this.#golden, series + 1)
    if (this.#golden[series] === 0)
      this.#golden[series] = GOLDEN_KINDS.has(this.#table.meta(series).kind) ? 2 : 1
    let worth = 0
    if (this.#golden[series] === 2) {
      worth = 1
      if (importance.size > 0) {
        const { tenant, entity } = this.#table.meta(series)
        worth += importance.get(entityKey(tenant, entity)) ?? 0
      }
    }
    const since = this.suspectS(series)
    if (since > 0) worth += SUSPICION * 2 ** (-Math.max(0, windowEndMs - 1000 * since) / SUSPICION_HALF_MS)
    worths[series] = worth
  }

  /** The moves of a review, those that free memory first; at most MOVES_MAX. */
  review(windowEndMs: number, importance: ReadonlyMap<string, number>, standing: Standing): Move[] {
    const { base, rowBytes, baseBytes, series } = standing
    const spare = this.#budget - baseBytes
    const [compact, full] = [2, 3]
    // Columns by row and no maps: a review looks at every series.
    let rows = 0
    for (let i = 0; i < series.length; i++) if (series[i] >= rows) rows = series[i] + 1
    const worths = new Float64Array(rows)
    for (let i = 0; i < series.length; i++) {
      this.#weigh(series[i], windowEndMs, importance, worths)
      const isIn = standing.placeOf(series[i]) > base
      if (!(worths[series[i]] >= (isIn ? WORTH_OUT : WORTH_IN))) worths[series[i]] = 0
      else if (isIn) worths[series[i]] *= INCUMBENT
    }
    const least = Math.min(...rowBytes.slice(base + 1)) - rowBytes[base]
    const order = this.#best(series, worths, Math.max(0, Math.floor(spare / least)))
    const targets = new Uint8Array(rows).fill(base)
    let left = spare
    if (base < compact) {
      const cost = rowBytes[compact] - rowBytes[base]
      const most = Math.max(0, Math.min(order.length, Math.floor((COMPACT_SHARE * spare) / cost)))
      for (let i = 0; i < most; i++) targets[order[i]] = compact
      left -= most * cost
    }
    for (let i = 0; i < order.length; i++) {
      const cost = rowBytes[full] - rowBytes[targets[order[i]]]
      if (cost > left) break
      targets[order[i]] = full
      left -= cost
    }
    return this.#moves(standing, worths, order, targets)
  }

  /** Rows of the `most` worthiest, in order; worth nought is none. */
  #best(series: ArrayLike<number>, worths: Float64Array, most: number): number[] {
    let count = 0
    for (let i = 0; i < series.length; i++) if (worths[series[i]] > 0) count++
    let from = 0
    if (count > most) {
      // All of the steps that fit, and the one that fits in part: sorting a million would stop the pipeline.
      const counts = new Uint32Array(STEPS + 1)
      for (let i = 0; i < series.length; i++) if (worths[series[i]] > 0) counts[stepOf(worths, series[i])]++
      from = STEPS
      for (let sum = counts[from]; from > 0 && sum < most; ) sum += counts[--from]
    }
    const candidates: number[] = []
    for (let i = 0; i < series.length; i++)
      if (worths[series[i]] > 0 && stepOf(worths, series[i]) >= from) candidates.push(series[i])
    candidates.sort((a, b) => {
      if (worths[a] !== worths[b]) return worths[a] > worths[b] ? -1 : 1
      return this.#table.meta(a).key < this.#table.meta(b).key ? -1 : 1
    })
    if (candidates.length > most) candidates.length = most
    return candidates
  }

  bytes(): number {
    return this.#suspectS.byteLength + this.#golden.byteLength
  }

  #moves(standing: Standing, worths: Float64Array, order: readonly number[], targets: Uint8Array): Move[] {
    const down: Move[] = []
    for (let i = 0; i < standing.series.length; i++) {
      const series = standing.series[i]
      if (targets[series] < standing.placeOf(series)) down.push({ series, to: targets[series] })
    }
    // The longest quiet go first.
    const key = ({ series }: Move) => this.#table.meta(series).key
    down.sort((a, b) => worths[a.series] - worths[b.series] || (key(a) < key(b) ? -1 : 1))
    const up: Move[] = []
    for (const series of order) {
      if (targets[series] > standing.placeOf(series)) up.push({ series, to: targets[series] })
    }
    return [...down, ...up].slice(0, MOVES_MAX)
  }
}

function stepOf(worths: Float64Array, series: number): number {
  return Math.min(STEPS, Math.floor((STEPS * worths[series]) / WORTH_MAX))
}
