// A JSON number → the float64 that is nearest to it; math/json-number.ts is the twin. Up to 15 digits and powers of ten to 22 are exact
// in one float operation (Clinger, "How to read floating point numbers accurately", 1990). What has up to 19 digits is multiplied by the
// power of ten in 128 bits, which decides nearly always (Lemire, "Number parsing at a gigabyte per second", Software: Practice and
// Experience 51(8), 2021). The rest, such as subnormals and longer digits, is asked of the engine.
import { EXACT_POWERS, POWERS } from './_json-layout'

const LEAST_POWER = -348
const MOST_POWER = 347
/** Digits that fit into 64 bits whatever they are. */
const DIGITS_MAX = 19
/** Beyond it a power is beyond all floats. */
const POWER_CAP = 100_000
const MOST_EXACT: u64 = 1 << 53

// The number that begins at `from`, as the engine reads it.
// @ts-ignore: decorator
@external("env", "slowNumber")
declare function slowNumber(from: u32): f64

/** Where the number that was read last ends; 0 when it was none. */
export let numberEnd: u32 = 0

/** The number at `from`. Something that no number goes on with must stand behind it within the memory. */
export function number(from: u32): f64 {
  let at = from
  numberEnd = 0
  const negative = load<u8>(at) == 0x2d
  if (negative) at++
  let digit = <u32>load<u8>(at) - 48
  if (digit > 9) return 0
  let mantissa: u64 = 0
  let digits = 0
  let power = 0
  let cut = false
  at++
  if (digit != 0) {
    mantissa = digit
    digits = 1
    for (digit = <u32>load<u8>(at) - 48; digit <= 9; digit = <u32>load<u8>(++at) - 48) {
      if (digits < DIGITS_MAX) {
        mantissa = mantissa * 10 + digit
        digits++
      } else {
        power++
        cut = true
      }
    }
  }
  if (load<u8>(at) == 0x2e) {
    digit = <u32>load<u8>(++at) - 48
    if (digit > 9) return 0
    for (; digit <= 9; digit = <u32>load<u8>(++at) - 48) {
      if (digits < DIGITS_MAX) {
        mantissa = mantissa * 10 + digit
        power--
        if (mantissa != 0) digits++
      } else cut = true
    }
  }
  if ((load<u8>(at) | 0x20) == 0x65) {
    at++
    const sign = load<u8>(at)
    if (sign == 0x2b || sign == 0x2d) at++
    digit = <u32>load<u8>(at) - 48
    if (digit > 9) return 0
    let said = 0
    for (; digit <= 9; digit = <u32>load<u8>(++at) - 48) {
      if (said < POWER_CAP) said = said * 10 + digit
    }
    power += sign == 0x2d ? -said : said
  }
  numberEnd = at
  if (mantissa == 0 && !cut) return negative ? -0.0 : 0
  if (!cut && mantissa <= MOST_EXACT && power >= -22 && power <= 22) {
    const whole = <f64>mantissa
    const found =
      power < 0
        ? whole / load<f64>(EXACT_POWERS + (<u32>-power << 3))
        : whole * load<f64>(EXACT_POWERS + (<u32>power << 3))
    return negative ? -found : found
  }
  if (!cut && power >= LEAST_POWER && power <= MOST_POWER) {
    const bits = nearest(mantissa, power)
    if (bits != 0) return reinterpret<f64>(bits | (negative ? 0x8000000000000000 : 0))
  }
  return slowNumber(from)
}

let high: u64 = 0
let low: u64 = 0

/** a · b in 128 bits. */
// @ts-ignore: decorator
@inline
function multiply(a: u64, b: u64): void {
  const aLow = a & 0xffffffff
  const aHigh = a >> 32
  const bLow = b & 0xffffffff
  const bHigh = b >> 32
  const first = aLow * bLow
  const second = aHigh * bLow + (first >> 32)
  const third = aLow * bHigh + (second & 0xffffffff)
  low = (third << 32) | (first & 0xffffffff)
  high = aHigh * bHigh + (second >> 32) + (third >> 32)
}

/** Bits of the float64 nearest to mantissa · 10^power, or 0 where 128 bits of the power do not decide it or it is none of the normal ones. */
function nearest(mantissa: u64, power: i32): u64 {
  const shift = clz(mantissa)
  const m = mantissa << shift
  const entry = POWERS + (<u32>(power - LEAST_POWER) << 4)
  multiply(m, load<u64>(entry))
  let top = high
  let rest = low
  // The power is cut off, so the product may be too small by less than m in the low half: look closer where that could matter.
  if ((top & 0x1ff) == 0x1ff && rest + m < m) {
    multiply(m, load<u64>(entry, 8))
    const sum = rest + high
    if (sum < rest) top++
    rest = sum
    if ((top & 0x1ff) == 0x1ff && rest + 1 == 0 && low + m < m) return 0
  }
  const carry = top >> 63
  let bits = top >> (carry + 9)
  // Half way between two floats, as far as can be seen.
  if (rest == 0 && (top & 0x1ff) == 0 && (bits & 3) == 1) return 0
  bits = (bits + (bits & 1)) >> 1
  // Binary exponent: ⌊power · log2 10⌋ by a fraction that is right within the range of the table.
  let exponent: i64 = (<i64>((217_706 * power) >> 16)) + 1023 + 63 - shift + <i64>carry
  if (bits >> 53 != 0) {
    bits >>= 1
    exponent++
  }
  if (exponent < 1 || exponent > 2046) return 0
  return (<u64>exponent << 52) | (bits & 0xfffffffffffff)
}
