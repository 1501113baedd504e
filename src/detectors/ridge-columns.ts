type Numbers = Float64Array | Float32Array

/**
 * A column of a block's state of m metrics. Shapes: `metric` [w × m], view-major; `pair` [n × n] with n = w × m, of
 * which the lower triangle counts; `row` [capacity × width], width = w × m, of which the first `rows` rows count.
 */
export interface StateColumn {
  readonly name: string
  readonly shape: 'metric' | 'pair' | 'row'
  readonly data: Numbers
  readonly rows?: number
  readonly width?: number
  /** What a metric that was not there has; 0 where not said. */
  readonly empty?: number
}

/** Numbers of a column that are saved. */
export function savedLength({ shape, data, rows = 0, width = 0 }: StateColumn): number {
  if (shape === 'metric') return data.length
  if (shape === 'row') return Math.min(data.length, rows * width)
  const n = Math.sqrt(data.length)
  return (n * (n + 1)) / 2
}

/** Writes what counts of a column to `out` from `at`; returns where it ends. */
export function packColumn(column: StateColumn, out: Numbers, at: number): number {
  const { shape, data } = column
  if (shape !== 'pair') {
    const length = savedLength(column)
    out.set(data.subarray(0, length), at)
    return at + length
  }
  const n = Math.sqrt(data.length)
  let to = at
  for (let a = 0; a < n; a++) {
    out.set(data.subarray(a * n, a * n + a + 1), to)
    to += a + 1
  }
  return to
}

/** The reverse of `packColumn`. */
export function unpackColumn(column: StateColumn, from: Numbers, at: number): number {
  const { shape, data } = column
  if (shape !== 'pair') {
    const length = savedLength(column)
    data.set(from.subarray(at, at + length))
    return at + length
  }
  const n = Math.sqrt(data.length)
  let read = at
  for (let a = 0; a < n; a++) {
    data.set(from.subarray(read, read + a + 1), a * n)
    read += a + 1
  }
  return read
}

/**
 * Carries the columns of a block over to one of other metrics: new metric j was `origin[j]`, −1 where it was not there.
 * The order among the old ones stays.
 */
export function carryColumns(
  from: readonly StateColumn[],
  to: readonly StateColumn[],
  metricsBefore: number,
  origin: Int32Array,
): void {
  for (const [i, column] of to.entries()) {
    const old = from[i]
    if (old.data.length === 0 || column.data.length === 0) continue
    if (column.shape === 'pair') carryPairs(old.data, column.data, metricsBefore, origin)
    else if (column.shape === 'metric') carryMetrics(old.data, 0, metricsBefore, column, 0, origin)
    else
      for (let r = 0; r < (column.rows ?? 0); r++) {
        carryMetrics(old.data, r * (old.width ?? 0), metricsBefore, column, r * (column.width ?? 0), origin)
      }
  }
}

function carryMetrics(
  from: Numbers,
  fromAt: number,
  before: number,
  column: StateColumn,
  toAt: number,
  origin: Int32Array,
): void {
  const { data, empty = 0 } = column
  const m = origin.length
  const width = column.shape === 'row' ? (column.width ?? 0) : data.length
  for (let k = 0; k < width; k++) {
    const was = origin[k % m]
    data[toAt + k] = was < 0 ? empty : from[fromAt + Math.floor(k / m) * before + was]
  }
}

function carryPairs(from: Numbers, to: Numbers, before: number, origin: Int32Array): void {
  const m = origin.length
  const n = Math.sqrt(to.length)
  const nBefore = Math.sqrt(from.length)
  for (let a = 0; a < n; a++) {
    const wasA = origin[a % m]
    if (wasA < 0) continue
    const rowA = (Math.floor(a / m) * before + wasA) * nBefore
    for (let b = 0; b <= a; b++) {
      const wasB = origin[b % m]
      if (wasB >= 0) to[a * n + b] = from[rowA + Math.floor(b / m) * before + wasB]
    }
  }
}
