// Shows that the factor, the inverse, the quadratic form and the product of a random positive definite matrix agree
// with each other and with the identity, and that a matrix that is not positive definite is refused.
import { describe, expect, it } from 'vitest'
import { choleskyInPlace, inverseFromCholesky, multiply, quadraticForm } from '../../src/math/cholesky.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'

function positiveDefinite(n: number, seed: number): Float64Array {
  const random = mulberry32(seed)
  const b = Float64Array.from({ length: n * n }, () => random() - 0.5)
  const a = new Float64Array(n * n)
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      let sum = i === j ? 0.1 : 0
      for (let k = 0; k < n; k++) sum += b[i * n + k] * b[j * n + k]
      a[i * n + j] = sum
    }
  return a
}

describe('cholesky', () => {
  it.each([1, 2, 7, 40])('inverts a %i×%i matrix', n => {
    const a = positiveDefinite(n, n)
    const l = a.slice()
    expect(choleskyInPlace(l, n)).toBe(true)
    const inverse = new Float64Array(n * n)
    inverseFromCholesky(l, n, inverse, new Float64Array(n * n))
    const x = Float64Array.from({ length: n }, (_, i) => Math.sin(i + 1))
    const y = new Float64Array(n)
    const back = new Float64Array(n)
    multiply(inverse, n, x, y)
    multiply(a, n, y, back)
    for (let i = 0; i < n; i++) expect(back[i]).toBeCloseTo(x[i], 7)
    let form = 0
    for (let i = 0; i < n; i++) form += x[i] * y[i]
    expect(quadraticForm(l, n, x, new Float64Array(n))).toBeCloseTo(form, 6)
  })

  it('refuses a matrix that is not positive definite', () => {
    expect(choleskyInPlace(Float64Array.of(1, 0, 2, 1), 2)).toBe(false)
  })
})
