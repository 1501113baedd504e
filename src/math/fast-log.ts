/**
 * log2 by the bits of a float32: exponent plus a table of 256 mantissa steps with linear interpolation. The error
 * is below 3e-6, the function is monotone, and it costs a tenth of Math.log2, which matters once per row.
 */
const STEPS = 256
/** Where the bits of a number are read: hot loops write the few lines of `fastLog2At` out, for which they need these. */
export const LOG_FLOAT = new Float32Array(1)
export const LOG_BITS = new Uint32Array(LOG_FLOAT.buffer)
export const LOG_TABLE = Float64Array.from({ length: STEPS + 1 }, (_, i) => Math.log2(1 + i / STEPS))

/**
 * log2 of values[at], in its place: what a function is given or returns is boxed where it is not inlined. Valid for
 * normal positive float32 values; anything below 2^-126 gives about −127.
 */
export function fastLog2At(values: Float64Array, at: number): void {
  LOG_FLOAT[0] = values[at]
  const bits = LOG_BITS[0]
  const step = (bits >>> 15) & 255
  const low = LOG_TABLE[step]
  values[at] = (bits >>> 23) - 127 + low + ((bits & 0x7fff) / 0x8000) * (LOG_TABLE[step + 1] - low)
}
