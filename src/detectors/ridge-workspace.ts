/** Scratch matrices for blocks that work one after the other: no block keeps its own. */
export class RidgeWorkspace {
  #squares: readonly Float64Array[] = []
  readonly #views = new Map<number, readonly [Float64Array, Float64Array, Float64Array]>()

  /** Three n×n matrices of arbitrary content, lent until the next call. */
  squares(n: number): readonly [Float64Array, Float64Array, Float64Array] {
    if (this.#squares.length === 0 || this.#squares[0].length < n * n) {
      this.#squares = Array.from({ length: 3 }, () => new Float64Array(n * n))
      this.#views.clear()
    }
    let views = this.#views.get(n)
    if (views === undefined) {
      const [a, b, c] = this.#squares.map(square => square.subarray(0, n * n))
      views = [a, b, c]
      this.#views.set(n, views)
    }
    return views
  }

  bytes(): number {
    return this.#squares.reduce((sum, square) => sum + square.byteLength, 0)
  }
}
