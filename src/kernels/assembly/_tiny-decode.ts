// The ring of shapes of a row as whole numbers in order of time, for the search of _tiny-shapes.ts. A number is a factor by the lower half of the code times one by
// its upper half, in which the sign is, less an offset, so that sixteen are made at once; the tables are those of kernels/shape-numbers.ts.

import { CODES, PAST, RING, SHAPES, SHAPE_FACTORS, SHAPE_NUMBERS } from './_tiny-layout'

/** The lower halves of sixteen bytes. */
const NIBBLES: usize = memory.data<u8>([15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15], 16)

/**
 * Puts the codes of row `row` into CODES, the oldest first and `code`, which is that of its window `n`, at their end; and their numbers into PAST; both `beside` bytes on.
 * What lies in both ends of the ring is written twice, a ring apart, and the half that is not of this turn falls beside the place.
 */
export function decodeShapes(row: usize, n: u32, code: i32, beside: usize): void {
  const ring = row * RING + SHAPES
  const oldest = n & 63
  const r0 = v128.load(ring, 0)
  const r1 = v128.load(ring, 16)
  const r2 = v128.load(ring, 32)
  const r3 = v128.load(ring, 48)
  const largest = i8x16.max_u(
    i8x16.max_u(sizes(i8x16.splat(<i8>code)), i8x16.max_u(sizes(r0), sizes(r1))),
    i8x16.max_u(sizes(r2), sizes(r3)),
  )
  const scale = maximumOf(largest) >> 4
  const coarse = SHAPE_FACTORS + 32 + scale * 48
  decodeSixteen(r0, coarse, beside, 0 - oldest & 63)
  decodeSixteen(r1, coarse, beside, 16 - oldest & 63)
  decodeSixteen(r2, coarse, beside, 32 - oldest & 63)
  decodeSixteen(r3, coarse, beside, 48 - oldest & 63)
  store<i8>(CODES + beside + RING, <i8>code)
  store<i16>(PAST + beside, load<i16>(SHAPE_NUMBERS + 256 + (scale << 9) + (<isize>code << 1)), 128)
}

/** Magnitudes of codes; of negative ones, one less. */
// @ts-ignore: decorator
@inline function sizes(codes: v128): v128 { return v128.xor(codes, i8x16.lt_s(codes, i8x16.splat(0))) }

/** Puts sixteen codes, of which the first is `place` windows younger than the oldest, and their numbers where they belong. */
// @ts-ignore: decorator
@inline function decodeSixteen(codes: v128, coarse: usize, beside: usize, place: usize): void {
  const codesAt = CODES + beside + place
  v128.store(codesAt, codes)
  v128.store(codesAt - RING, codes)
  // Constants that lie in memory are read; made anew they take three operations each.
  const nibble = v128.load(NIBBLES)
  const sign = i8x16.lt_s(codes, i8x16.splat(0))
  const lower = v128.and(v128.xor(codes, sign), nibble)
  const upper = v128.and(i16x8.shr_u(codes, 4), nibble)
  const fl = i8x16.swizzle(v128.load(SHAPE_FACTORS), lower)
  const fh = i8x16.swizzle(v128.load(SHAPE_FACTORS, 16), lower)
  const cl = i8x16.swizzle(v128.load(coarse), upper)
  const ch = i8x16.swizzle(v128.load(coarse, 16), upper)
  const offset = v128.load(coarse, 32)
  const low = numbers(lowerOf(fl, fh), lowerOf(cl, ch), lowerOf(sign, sign), offset)
  const high = numbers(upperOf(fl, fh), upperOf(cl, ch), upperOf(sign, sign), offset)
  const numbersAt = PAST + beside + (place << 1)
  v128.store(numbersAt, low)
  v128.store(numbersAt, high, 16)
  v128.store(numbersAt - 2 * RING, low)
  v128.store(numbersAt - 2 * RING, high, 16)
}

// @ts-ignore: decorator
@inline function numbers(fine: v128, coarse: v128, sign: v128, offset: v128): v128 {
  return i16x8.sub(i16x8.q15mulr_sat_s(fine, coarse), v128.xor(offset, sign))
}
// @ts-ignore: decorator
@inline function lowerOf(a: v128, b: v128): v128 { return v128.shuffle<i8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23) }
// @ts-ignore: decorator
@inline function upperOf(a: v128, b: v128): v128 { return v128.shuffle<i8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31) }

/** The largest of sixteen bytes. */
// @ts-ignore: decorator
@inline function maximumOf(bytes: v128): usize {
  let most = i8x16.max_u(bytes, v128.shuffle<i32>(bytes, bytes, 2, 3, 0, 1))
  most = i8x16.max_u(most, v128.shuffle<i32>(most, most, 1, 0, 3, 2))
  most = i8x16.max_u(most, i16x8.shr_u(most, 8))
  const word = i32x4.extract_lane(most, 0)
  return <usize>max<i32>(word & 255, (word >> 16) & 255)
}
