/** Scales in which the shape search of the kernel `tiny` has its values as whole numbers: by the upper half of the largest code. */
export const SHAPE_SCALES = 8
/** The largest number leaves room: eight squares of twice as much fit into 32 bits, two into 31. */
const LARGEST = 11_580
/** 1 as a factor by the lower half of a code, and the bits by which a product of two factors is too long. */
const ONE = 1 << 14
const PRODUCT_BITS = 15
const FACTOR_MAX = 0x7fff
/** Differences in a shape. */
const SHINGLE = 8

/** Tables that the kernel reads as they are. */
export interface ShapeNumbers {
  /** [SHAPE_SCALES × 256] by code + 128; codes too large for a scale are 0 there. */
  readonly numbers: Int16Array
  /** By lower half of a code, sixteen lower bytes and sixteen upper ones; by scale the same by upper half, and the offset eight times as i16. */
  readonly factors: Uint8Array
  /** What two distances may be off by together, in units of any scale. */
  readonly error: Float64Array
}

/**
 * What a code stands for, sign·knee·(growth^|code| − 1), as a whole number in units of a scale: a factor by the lower half of the code times
 * one by its upper half, in which the sign is, less an offset. Of a negative code the halves are those of its bits turned round, which are one less than
 * its magnitude. `decoded`: 256 values by code + 128.
 */
export function shapeNumbers(decoded: Float64Array): ShapeNumbers {
  const growth = decoded[128 + 2] / decoded[128 + 1] - 1
  const knee = decoded[128 + 1] / (growth - 1)
  const fine = Int16Array.from({ length: 16 }, (_, half) => Math.round(ONE * growth ** half))
  const numbers = new Int16Array(256 * SHAPE_SCALES)
  const factors = new Uint8Array(32 + 48 * SHAPE_SCALES)
  putBytes(factors, 0, fine)
  let apart = 0
  for (let scale = 0; scale < SHAPE_SCALES; scale++) {
    const codes = 16 * (scale + 1)
    // Half a unit more is taken off negative products than off positive ones: turning bits round is not quite changing the sign.
    const offset = Math.floor(LARGEST / (growth ** codes - 1) - 0.5)
    const units = (offset + 0.5) / knee
    const coarse = Int16Array.from({ length: 16 }, (_, half) => {
      const size = half < 8 ? growth ** (16 * half) : -(growth ** (16 * (15 - half) + 1))
      const factor = Math.round((size * (offset + 0.5) * 2 ** PRODUCT_BITS) / ONE)
      return Math.max(-FACTOR_MAX, Math.min(FACTOR_MAX, factor))
    })
    putBytes(factors, 32 + 48 * scale, coarse)
    new Int16Array(factors.buffer, 32 + 48 * scale + 32, 8).fill(offset)
    let [least, most] = [0, 0]
    for (let code = -codes; code < codes; code++) {
      const lower = (code < 0 ? ~code : code) & 15
      const product = fine[lower] * coarse[(code >> 4) & 15]
      const number = ((product + (1 << (PRODUCT_BITS - 1))) >> PRODUCT_BITS) - (code < 0 ? ~offset : offset)
      numbers[256 * scale + 128 + code] = number
      const off = number - decoded[128 + code] * units
      least = Math.min(least, off)
      most = Math.max(most, off)
    }
    apart = Math.max(apart, most - least)
  }
  // The root of the sum of eight squares is off by no more than √8 times what each difference is off by.
  return { numbers, factors, error: Float64Array.of(2 * Math.sqrt(SHINGLE) * apart) }
}

/** Lower bytes of sixteen numbers, then the upper ones. */
function putBytes(to: Uint8Array, at: number, from: Int16Array): void {
  for (const [i, number] of from.entries()) {
    to[at + i] = number
    to[at + 16 + i] = number >> 8
  }
}
