/** What SLI expressions are made of: each operator is a loop of its own over columns, so that its row is arithmetic and nothing else. */

/** Fills `out[0..groups)`. */
export type Step = (columns: readonly Float64Array[], groups: number, out: Float64Array) => void
type Binary = (a: number, b: number) => number

/** An operator of two parts. */
export function binaryStep(
  a: Step,
  b: Step,
  combine: (x: Float64Array, y: Float64Array, n: number) => void,
): Step {
  let scratch = new Float64Array(0)
  return (columns, groups, out) => {
    if (scratch.length < groups) scratch = new Float64Array(groups)
    a(columns, groups, out)
    b(columns, groups, scratch)
    combine(out, scratch, groups)
  }
}

/** By mathjs's names. */
export const OPERATORS: Readonly<Record<string, (x: Float64Array, y: Float64Array, n: number) => void>> = {
  add: (x, y, n) => {
    for (let i = 0; i < n; i++) x[i] += y[i]
  },
  subtract: (x, y, n) => {
    for (let i = 0; i < n; i++) x[i] -= y[i]
  },
  multiply: (x, y, n) => {
    for (let i = 0; i < n; i++) x[i] *= y[i]
  },
  divide: (x, y, n) => {
    // Nothing over nothing says nothing: no opinion, where IEEE would say infinity.
    for (let i = 0; i < n; i++) x[i] = y[i] === 0 ? Number.NaN : x[i] / y[i]
  },
  pow: (x, y, n) => {
    for (let i = 0; i < n; i++) x[i] = x[i] ** y[i]
  },
  smaller: comparison((a, b) => (a < b ? 1 : 0)),
  smallerEq: comparison((a, b) => (a <= b ? 1 : 0)),
  larger: comparison((a, b) => (a > b ? 1 : 0)),
  largerEq: comparison((a, b) => (a >= b ? 1 : 0)),
  equal: comparison((a, b) => (a === b ? 1 : 0)),
  unequal: comparison((a, b) => (a !== b ? 1 : 0)),
}

/** A missing side makes a comparison missing too; IEEE would say false. */
export function comparison(holds: Binary): (x: Float64Array, y: Float64Array, n: number) => void {
  return (x, y, n) => {
    for (let i = 0; i < n; i++)
      x[i] = Number.isNaN(x[i]) || Number.isNaN(y[i]) ? Number.NaN : holds(x[i], y[i])
  }
}

export const UNARY: Readonly<Record<string, (x: number) => number>> = {
  abs: Math.abs,
  sqrt: Math.sqrt,
  log: Math.log,
  exp: Math.exp,
}

/** A function of each row's value. */
export function mapped(inner: Step, map: (x: number) => number): Step {
  return (columns, groups, out) => {
    inner(columns, groups, out)
    for (let i = 0; i < groups; i++) out[i] = map(out[i])
  }
}
