/** Dense symmetric positive definite matrices, row-major Float64Array of n×n; only the lower triangle is read. */

/** Replaces the lower triangle of `a` by its Cholesky factor L, a = LLᵀ. False when `a` is not positive definite. */
export function choleskyInPlace(a: Float64Array, n: number): boolean {
  for (let i = 0; i < n; i++) {
    const rowI = i * n
    for (let j = 0; j <= i; j++) {
      const rowJ = j * n
      let sum = a[rowI + j]
      for (let k = 0; k < j; k++) sum -= a[rowI + k] * a[rowJ + k]
      if (i !== j) a[rowI + j] = sum / a[rowJ + j]
      else {
        if (!(sum > 0)) return false
        a[rowI + i] = Math.sqrt(sum)
      }
    }
  }
  return true
}

/** The full inverse of LLᵀ into `out`; `work` holds n×n numbers and ends as L⁻¹. Rows are walked in order. */
export function inverseFromCholesky(l: Float64Array, n: number, out: Float64Array, work: Float64Array): void {
  for (let i = 0; i < n; i++) {
    const rowI = i * n
    work.fill(0, rowI, rowI + i)
    work[rowI + i] = 1
    for (let k = 0; k < i; k++) {
      const factor = l[rowI + k]
      if (factor === 0) continue
      const rowK = k * n
      for (let j = 0; j <= k; j++) work[rowI + j] -= factor * work[rowK + j]
    }
    const scale = 1 / l[rowI + i]
    for (let j = 0; j <= i; j++) work[rowI + j] *= scale
  }
  out.fill(0)
  for (let k = 0; k < n; k++) {
    const rowK = k * n
    for (let a = 0; a <= k; a++) {
      const factor = work[rowK + a]
      if (factor === 0) continue
      const rowA = a * n
      for (let b = 0; b <= a; b++) out[rowA + b] += factor * work[rowK + b]
    }
  }
  for (let a = 0; a < n; a++) for (let b = 0; b < a; b++) out[b * n + a] = out[a * n + b]
}

/** xᵀ(LLᵀ)⁻¹x by forward substitution; `work` holds n numbers. */
export function quadraticForm(
  l: Float32Array | Float64Array,
  n: number,
  x: Float64Array,
  work: Float64Array,
): number {
  let form = 0
  for (let i = 0; i < n; i++) {
    const row = i * n
    let sum = x[i]
    for (let k = 0; k < i; k++) sum -= l[row + k] * work[k]
    const y = sum / l[row + i]
    work[i] = y
    form += y * y
  }
  return form
}

/** y = A·x for a full row-major matrix. */
export function multiply(a: Float32Array | Float64Array, n: number, x: Float64Array, y: Float64Array): void {
  for (let i = 0; i < n; i++) {
    const row = i * n
    let s0 = 0
    let s1 = 0
    let k = 0
    for (; k + 1 < n; k += 2) {
      s0 += a[row + k] * x[k]
      s1 += a[row + k + 1] * x[k + 1]
    }
    if (k < n) s0 += a[row + k] * x[k]
    y[i] = s0 + s1
  }
}
