import { ForeshockError } from '../core/errors.ts'

/** Which combination of attribute values explains a deviation, with what it was and what it should have been. */
export interface Explanation {
  readonly rank: number
  readonly where: Readonly<Record<string, string>>
  /** Strength among the combinations, 0..1. */
  readonly score: number
  /** Share of the whole deviation that lies in it, 0..1. */
  readonly share: number
  /** Count, or rate for a ratio. */
  readonly observed: number
  readonly expected: number
}

/** Attributes of one table; combinations grow steeply with them. */
const DIMENSIONS_MAX = 12
const ROWS_MAX = 2_000_000
/** Rows × attribute sets looked at; about ten seconds of work. */
const WORK_MAX = 400_000_000

/** The attributes of leaf rows as codes: one column a dimension, values in order of first sight. */
export class LeafTable {
  readonly dimensions: readonly string[]
  readonly names: string[][]
  length = 0
  readonly #index: Map<string, number>[]
  #codes: Uint32Array[]

  constructor(dimensions: readonly string[]) {
    if (dimensions.length === 0) throw invalid('there is no dimension column to drill into')
    if (dimensions.length > DIMENSIONS_MAX)
      throw invalid(`${dimensions.length} dimensions, the most is ${DIMENSIONS_MAX}; name fewer`)
    this.dimensions = dimensions
    this.names = dimensions.map(() => [])
    this.#index = dimensions.map(() => new Map())
    this.#codes = dimensions.map(() => new Uint32Array(1024))
  }

  /** Adds a row by its attribute values, one a dimension; returns its number. */
  add(values: readonly string[]): number {
    if (this.length >= ROWS_MAX) throw invalid(`more than ${ROWS_MAX} rows`)
    if (this.length === this.#codes[0].length) this.#grow()
    for (let d = 0; d < this.dimensions.length; d++) {
      let code = this.#index[d].get(values[d])
      if (code === undefined) {
        code = this.names[d].length
        this.#index[d].set(values[d], code)
        this.names[d].push(values[d])
      }
      this.#codes[d][this.length] = code
    }
    return this.length++
  }

  /** Codes of one dimension, by row. */
  codes(dimension: number): Uint32Array {
    return this.#codes[dimension].subarray(0, this.length)
  }

  /** Sets of up to `most` dimensions, small sets first; bounded by the work they are. */
  sets(most: number): number[][] {
    const out: number[][] = []
    let last: number[][] = [[]]
    for (let size = 1; size <= Math.min(most, this.dimensions.length); size++) {
      const next: number[][] = []
      for (const set of last) {
        for (let d = (set[set.length - 1] ?? -1) + 1; d < this.dimensions.length; d++) next.push([...set, d])
      }
      if ((out.length + next.length) * this.length > WORK_MAX) {
        if (size === 1) throw invalid('more rows and dimensions than can be looked through; name fewer')
        break
      }
      out.push(...next)
      last = next
    }
    return out
  }

  /** The combination that a row belongs to within a set of dimensions. */
  where(row: number, set: readonly number[]): Record<string, string> {
    const out: Record<string, string> = Object.create(null)
    for (const d of set) out[this.dimensions[d]] = this.names[d][this.#codes[d][row]]
    return out
  }

  #grow(): void {
    this.#codes = this.#codes.map(column => {
      const longer = new Uint32Array(column.length * 2)
      longer.set(column)
      return longer
    })
  }
}

/** Rows grouped by the values of one set of dimensions. */
export interface Grouping {
  readonly set: readonly number[]
  /** Group of each row, dense. */
  readonly group: Uint32Array
  readonly count: number
  /** First row of each group: names its values. */
  readonly first: Uint32Array
}

/** Groups of every set, each made from the set one dimension smaller, so that keys stay small integers. */
export function groupings(table: LeafTable, most: number): Grouping[] {
  const made = new Map<string, Grouping>()
  const out: Grouping[] = []
  for (const set of table.sets(most)) {
    const parent = made.get(set.slice(0, -1).join())
    const last = set[set.length - 1]
    const grouping = refine(table, set, parent, table.codes(last), table.names[last].length)
    made.set(set.join(), grouping)
    out.push(grouping)
  }
  return out
}

function refine(
  table: LeafTable,
  set: readonly number[],
  parent: Grouping | undefined,
  codes: Uint32Array,
  values: number,
): Grouping {
  const { length } = table
  const ids = new Map<number, number>()
  const group = new Uint32Array(length)
  const first: number[] = []
  for (let row = 0; row < length; row++) {
    const key = (parent ? parent.group[row] : 0) * values + codes[row]
    let id = ids.get(key)
    if (id === undefined) {
      id = first.length
      ids.set(key, id)
      first.push(row)
    }
    group[row] = id
  }
  return { set, group, count: first.length, first: Uint32Array.from(first) }
}

export function invalid(reason: string): ForeshockError {
  return new ForeshockError('FS_INPUT_INVALID', reason)
}
