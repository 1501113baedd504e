/**
 * The usual largest evidence of a day: the median of the last 28 daily maxima, as one byte a day. Dividing by it gives
 * every series about the same number of loud days, whatever its noise: an alert budget without labels. (Few noisy
 * series cause most false alerts; this cut them to a third on the sets it was tried on.)
 */
export const DAYS_KEPT = 28
/** Assumed while no day is over. */
const USUAL_AT_FIRST = 1.5
/** Evidence is divided by this plus the usual maximum, so that a series that is hardly ever strange stays quiet. */
const FLOOR = 1
/** Makes the divided evidence of an ordinary series as large as the undivided one. */
const GAIN = 2
/** Byte codes 1 + 46·ln(1 + v/.25): two per cent apart, up to 62; 0 is a day not seen. */
const CODE_GAIN = 46
const CODE_KNEE = 0.25

const sorted = new Uint8Array(DAYS_KEPT)

/** Evidence in units of the series' usual loudest hour; `usual` is 0 while none is known. */
export function againstUsualDay(evidence: number, usual: number): number {
  return (GAIN * evidence) / (FLOOR + (usual > 0 ? usual : USUAL_AT_FIRST))
}

/** `againstUsualDay` of the evidence in `w[from]` and `usual[i]` into `w[to]`: numbers given to a function may be boxed. */
export function againstUsualDayAt(
  w: Float64Array,
  from: number,
  usual: Float32Array,
  i: number,
  to: number,
): void {
  const known = usual[i]
  w[to] = (GAIN * w[from]) / (FLOOR + (known > 0 ? known : USUAL_AT_FIRST))
}

/** Puts the maximum of day number `day` into the ring; returns the median (lower of two) of all days in it. */
export function closeDay(ring: Uint8Array, at: number, day: number, maximum: number): number {
  HELD[0] = maximum
  closeDayAt(ring, at, day, HELD, HELD, 0)
  return HELD[0]
}

const HELD = new Float64Array(1)

/** `closeDay` of maxima[i] into usual[i]: numbers given to a function or returned may be boxed. */
export function closeDayAt(
  ring: Uint8Array,
  at: number,
  day: number,
  maxima: Float32Array | Float64Array,
  usual: Float32Array | Float64Array,
  i: number,
): void {
  const code = 1 + Math.round(CODE_GAIN * Math.log(1 + Math.max(0, maxima[i]) / CODE_KNEE))
  ring[at + (day % DAYS_KEPT)] = Math.min(255, code)
  let count = 0
  for (let d = 0; d < DAYS_KEPT; d++) {
    const value = ring[at + d]
    if (value === 0) continue
    let place = count++
    while (place > 0 && sorted[place - 1] > value) {
      sorted[place] = sorted[place - 1]
      place--
    }
    sorted[place] = value
  }
  usual[i] = CODE_KNEE * (Math.exp((sorted[(count - 1) >> 1] - 1) / CODE_GAIN) - 1)
}
