/**
 * Several tail probabilities of one window → one, by their harmonic mean: p = k / Σ 1/p_i, in surprise
 * s = log10(Σ 10^s_i) − log10 k. Source: Wilson 2019, "The harmonic mean p-value for combining dependent tests",
 * PNAS 116(4), which in the tail equals the Cauchy combination (ACAT, Liu & Xie 2020) without its tangents.
 * Why: our detectors look at one residual from several sides, so they are strongly correlated. Fisher's sum takes
 * them for independent and overstates (test/detectors/fusion.test.ts measures both); min-p pays the full price of k
 * looks however alike they are. The harmonic mean stays honest under any dependence and rewards agreement a little.
 */
const PER_UNIT = 32
const REACH = 4
/** 10^−d by distance d below the strongest; beyond four orders a voice adds nothing. */
const POWER = Float64Array.from({ length: REACH * PER_UNIT + 1 }, (_, i) => 10 ** (-i / PER_UNIT))
/** log10 of the sum, which lies in 1..voices, in steps of 1/64. */
const SUM_STEPS = 64
const VOICES_MAX = 16
const LOG_SUM = Float64Array.from({ length: SUM_STEPS * VOICES_MAX + 1 }, (_, i) =>
  Math.log10(Math.max(i, 1) / SUM_STEPS),
)
const LOG_COUNT = Float64Array.from({ length: VOICES_MAX + 1 }, (_, k) => Math.log10(Math.max(k, 1)))
/** Two voices by distance: log10(1 + 10^−d) − log10 2 in one table, since most rows need no more. */
const PAIR = Float64Array.from(
  POWER,
  (power, i) => Math.log10(1 + (i < REACH * PER_UNIT ? power : 0)) - Math.log10(2),
)

/** The tables, for a kernel that fuses up to three voices. */
export const FUSION_TABLES = {
  power: POWER,
  pair: PAIR,
  logSum: LOG_SUM.subarray(0, 4 * SUM_STEPS + 2),
  logCount: LOG_COUNT.subarray(0, 4),
} as const

/** A voice's contribution to the sum of inverse probabilities, relative to the strongest voice. */
function relative(distance: number): number {
  const place = distance * PER_UNIT
  if (place >= REACH * PER_UNIT) return 0
  const at = place | 0
  return POWER[at] + (place - at) * (POWER[at + 1] - POWER[at])
}

/**
 * Fuses rows from..to of up to 16 voices into `out`, and names the strongest voice per row in `strongest`. NaN
 * voices have no opinion; where none has, `out` is NaN.
 */
export function fuse(
  voices: readonly Float32Array[],
  from: number,
  to: number,
  out: Float32Array,
  strongest: Uint8Array,
): void {
  if (voices.length === 2) fuseTwo(voices[0], voices[1], from, to, out, strongest)
  else if (voices.length === 3) fuseThree(voices[0], voices[1], voices[2], from, to, out, strongest)
  else fuseMany(voices, from, to, out, strongest)
}

/**
 * Fuses again, with all voices, the rows of which one from the `first` on has an opinion: the usual few voices stay the
 * fast case.
 */
export function fuseCovered(
  all: readonly Float32Array[],
  first: number,
  from: number,
  to: number,
  out: Float32Array,
  strongest: Uint8Array,
): void {
  for (let i = from; i < to; i++) {
    for (let v = first; v < all.length; v++) {
      if (Number.isNaN(all[v][i])) continue
      fuse(all, i, i + 1, out, strongest)
      break
    }
  }
}

/**
 * The usual cases are written out: the loop over voices costs more than the arithmetic in it. So is `relative` in the two below:
 * a function is not always inlined, and then what it is given and returns is put on the heap.
 */
function fuseTwo(
  a: Float32Array,
  b: Float32Array,
  from: number,
  to: number,
  out: Float32Array,
  strongest: Uint8Array,
): void {
  for (let i = from; i < to; i++) {
    const x = a[i]
    const y = b[i]
    const second = y > x || Number.isNaN(x)
    strongest[i] = second && !Number.isNaN(y) ? 1 : 0
    const distance = second ? y - x : x - y
    if (Number.isNaN(distance)) {
      out[i] = Number.isNaN(x) ? y : x
      continue
    }
    const place = distance * PER_UNIT
    const at = place < REACH * PER_UNIT ? place | 0 : REACH * PER_UNIT - 1
    const part = place < REACH * PER_UNIT ? place - at : 1
    const value = (second ? y : x) + PAIR[at] + part * (PAIR[at + 1] - PAIR[at])
    out[i] = value > 0 ? value : 0
  }
}

function fuseThree(
  a: Float32Array,
  b: Float32Array,
  c: Float32Array,
  from: number,
  to: number,
  out: Float32Array,
  strongest: Uint8Array,
): void {
  for (let i = from; i < to; i++) {
    const x = a[i]
    const y = b[i]
    const z = c[i]
    let best = -1
    let which = 0
    let speaking = 0
    if (x >= 0) {
      best = x
      speaking = 1
    }
    if (y >= 0) {
      speaking++
      if (y > best) {
        best = y
        which = 1
      }
    }
    if (z >= 0) {
      speaking++
      if (z > best) {
        best = z
        which = 2
      }
    }
    strongest[i] = which
    if (speaking <= 1) {
      out[i] = speaking === 0 ? Number.NaN : best
      continue
    }
    // The strongest is its own measure: only the others are looked up.
    const other = which === 2 ? y : z
    let first = which === 0 ? y : x
    if (!(first >= 0)) first = other
    let sum = 1
    let place = (best - first) * PER_UNIT
    if (!(place >= REACH * PER_UNIT)) {
      const at = place | 0
      sum += POWER[at] + (place - at) * (POWER[at + 1] - POWER[at])
    }
    place = (best - other) * PER_UNIT
    if (speaking === 3 && !(place >= REACH * PER_UNIT)) {
      const at = place | 0
      sum += POWER[at] + (place - at) * (POWER[at + 1] - POWER[at])
    }
    place = sum * SUM_STEPS
    const at = place | 0
    const value = best + (LOG_SUM[at] + (place - at) * (LOG_SUM[at + 1] - LOG_SUM[at])) - LOG_COUNT[speaking]
    out[i] = value > 0 ? value : 0
  }
}

function fuseMany(
  voices: readonly Float32Array[],
  from: number,
  to: number,
  out: Float32Array,
  strongest: Uint8Array,
): void {
  const count = voices.length
  for (let i = from; i < to; i++) {
    let best = -1
    let which = 0
    let speaking = 0
    for (let v = 0; v < count; v++) {
      const s = voices[v][i]
      if (!(s >= 0)) continue
      speaking++
      if (s > best) {
        best = s
        which = v
      }
    }
    strongest[i] = which
    if (speaking <= 1) {
      out[i] = speaking === 0 ? Number.NaN : best
      continue
    }
    let sum = 0
    for (let v = 0; v < count; v++) {
      const s = voices[v][i]
      const place = (best - s) * PER_UNIT
      if (!(s >= 0) || place >= REACH * PER_UNIT) continue
      const at = place | 0
      sum += POWER[at] + (place - at) * (POWER[at + 1] - POWER[at])
    }
    const place = sum * SUM_STEPS
    const at = place | 0
    const value = best + (LOG_SUM[at] + (place - at) * (LOG_SUM[at + 1] - LOG_SUM[at])) - LOG_COUNT[speaking]
    out[i] = value > 0 ? value : 0
  }
}

/** Shares of the voices in one row, summing to 1: their parts of Σ 1/p. */
export function shares(voices: readonly Float32Array[], at: number): number[] {
  let best = 0
  for (const voice of voices) if (voice[at] > best) best = voice[at]
  const parts = voices.map(voice => (Number.isNaN(voice[at]) ? 0 : relative(best - voice[at])))
  const sum = parts.reduce((total, part) => total + part, 0)
  return parts.map(part => (sum > 0 ? part / sum : 0))
}
