/**
 * The discrete Fourier transform of a power-of-two length, in place (Cooley & Tukey 1965, radix 2, decimation in
 * time), X_k = Σ x_n·e^(−2πi·kn/N), without a scale factor. The inverse conjugates and divides by N.
 */
interface FftPlan {
  readonly size: number
  readonly cos: Float64Array
  readonly sin: Float64Array
  /** Bit-reversed place of each index. */
  readonly reversed: Uint32Array
}

/** Tables for one length; throws RangeError when it is not a power of two of at least 2. */
export function fftPlan(size: number): FftPlan {
  const bits = Math.log2(size)
  if (!Number.isInteger(bits) || bits < 1) throw new RangeError(`${size} is not a power of two above 1`)
  const reversed = new Uint32Array(size)
  for (let i = 1; i < size; i++) reversed[i] = (reversed[i >> 1] >> 1) | ((i & 1) << (bits - 1))
  const angle = (k: number) => (-2 * Math.PI * k) / size
  return {
    size,
    cos: Float64Array.from({ length: size / 2 }, (_, k) => Math.cos(angle(k))),
    sin: Float64Array.from({ length: size / 2 }, (_, k) => Math.sin(angle(k))),
    reversed,
  }
}

/** Transforms `re` + i·`im`, both of the plan's length. */
export function fft(plan: FftPlan, re: Float64Array, im: Float64Array): void {
  const { size, cos, sin, reversed } = plan
  for (let i = 0; i < size; i++) {
    const j = reversed[i]
    if (j <= i) continue
    const real = re[i]
    re[i] = re[j]
    re[j] = real
    const imaginary = im[i]
    im[i] = im[j]
    im[j] = imaginary
  }
  for (let half = 1; half < size; half <<= 1) {
    const stride = size / (2 * half)
    for (let start = 0; start < size; start += 2 * half) {
      for (let k = 0, w = 0; k < half; k++, w += stride) {
        const a = start + k
        const b = a + half
        const real = re[b] * cos[w] - im[b] * sin[w]
        const imaginary = re[b] * sin[w] + im[b] * cos[w]
        re[b] = re[a] - real
        im[b] = im[a] - imaginary
        re[a] += real
        im[a] += imaginary
      }
    }
  }
}

/** Undoes `fft`. */
export function inverseFft(plan: FftPlan, re: Float64Array, im: Float64Array): void {
  const { size } = plan
  for (let i = 0; i < size; i++) im[i] = -im[i]
  fft(plan, re, im)
  for (let i = 0; i < size; i++) {
    re[i] /= size
    im[i] /= -size
  }
}
