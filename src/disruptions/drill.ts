import { drillCounts } from './drill-count.ts'
import { drillRate } from './drill-rate.ts'
import { type Explanation, invalid, LeafTable } from './leaf-table.ts'

/** Which columns mean what. Names of columns; what is left over are the dimensions. */
export type DrillColumns =
  | { readonly kind: 'count'; readonly observed: string; readonly expected: string }
  | { readonly kind: 'rate'; readonly time: string; readonly numerator: string; readonly denominator: string }

/** Windows before the moment that make a rate's baseline. */
const PAST_WINDOWS = 10

/** Collects leaf rows and says which combination of attribute values explains their deviation. */
export class Drill {
  readonly #columns: DrillColumns
  readonly #table: LeafTable
  readonly #places: readonly number[]
  readonly #dimensions: readonly number[]
  readonly #a: number[] = []
  readonly #b: number[] = []
  readonly #timeMs: number[] = []
  readonly #timeOf: (cell: string) => number

  /** `header`: names of all columns. `timeOf` reads the time column, Unix ms or NaN. */
  constructor(header: readonly string[], columns: DrillColumns, timeOf: (cell: string) => number) {
    const named =
      columns.kind === 'count'
        ? [columns.observed, columns.expected]
        : [columns.numerator, columns.denominator, columns.time]
    for (const name of named) if (!header.includes(name)) throw invalid(`there is no column "${name}"`)
    this.#places = named.map(name => header.indexOf(name))
    this.#dimensions = header.flatMap((_, i) => (this.#places.includes(i) ? [] : [i]))
    this.#columns = columns
    this.#table = new LeafTable(this.#dimensions.map(i => header[i]))
    this.#timeOf = timeOf
  }

  /** Adds one row of cells; returns why it cannot be read, or ''. */
  add(cells: readonly string[]): string {
    const [a, b] = [numberOf(cells[this.#places[0]]), numberOf(cells[this.#places[1]])]
    const wrong = isCount(a) ? (isCount(b) ? -1 : 1) : 0
    if (wrong >= 0) return `"${cells[this.#places[wrong]]}" is not a number of 0 or more`
    if (this.#columns.kind === 'rate') {
      const timeMs = this.#timeOf(cells[this.#places[2]] ?? '')
      if (Number.isNaN(timeMs)) return `"${cells[this.#places[2]]}" is not a time`
      this.#timeMs.push(timeMs)
    }
    this.#table.add(this.#dimensions.map(i => cells[i] ?? ''))
    this.#a.push(a)
    this.#b.push(b)
    return ''
  }

  /** `atMs`: the moment of a rate; NaN is the newest time in the rows. */
  explain(atMs: number): Explanation[] {
    const [a, b] = [Float64Array.from(this.#a), Float64Array.from(this.#b)]
    if (this.#columns.kind === 'count') return drillCounts(this.#table, a, b)
    const times = [...new Set(this.#timeMs)].sort((x, y) => x - y)
    let at = times.length - 1
    while (at >= 0 && times[at] > atMs) at--
    if (at < 0) throw invalid('no row is from that time or before')
    if (at === 0) throw invalid('no row is from before that time: a rate needs a past')
    const past = new Set(times.slice(Math.max(0, at - PAST_WINDOWS), at))
    const now = this.#timeMs.map(timeMs => (timeMs === times[at] ? 1 : 0))
    const before = this.#timeMs.map(timeMs => (past.has(timeMs) ? 1 : 0))
    return drillRate(this.#table, {
      numerator: a.map((v, i) => v * now[i]),
      denominator: b.map((n, i) => n * now[i]),
      pastNumerator: a.map((v, i) => v * before[i]),
      pastDenominator: b.map((n, i) => n * before[i]),
    })
  }
}

function isCount(value: number): boolean {
  return value >= 0 && value < Number.POSITIVE_INFINITY
}

function numberOf(cell: string | undefined): number {
  return cell === undefined || cell.trim() === '' ? Number.NaN : Number(cell)
}

/** Leaf rows as objects, with which of their keys mean what; the keys of the first row are the columns. */
export interface DrillQuestion {
  readonly rows: readonly Readonly<Record<string, string | number>>[]
  readonly columns: DrillColumns
  /** Moment of a rate, Unix ms; undefined is the newest in the rows. */
  readonly atMs: number | undefined
}

/** Explains rows held in memory. Throws FS_INPUT_INVALID naming row and reason. */
export function drillRows(
  { rows, columns, atMs }: DrillQuestion,
  timeOf: (cell: string) => number,
): Explanation[] {
  const header = Object.keys(rows[0] ?? {})
  const drill = new Drill(header, columns, timeOf)
  for (const [i, row] of rows.entries()) {
    const wrong = drill.add(header.map(name => String(row[name] ?? '')))
    if (wrong !== '') throw invalid(`row ${i + 1}: ${wrong}`)
  }
  return drill.explain(atMs ?? Number.POSITIVE_INFINITY)
}
