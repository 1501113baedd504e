import { ABSENT_EVIDENCE, type EntityColumns } from './evidence.ts'
import { DRIVEN, F, FAMILIES, FAMILY_SLOTS, FELT, STREAM_WEIGHT } from './families.ts'
import { type Expected, isExpected } from './planned.ts'

/** Felt evidence below this means that users are served as usual. */
export const SERVED_BELOW = 2.5
/** Traffic changed when it left this band around what was expected. */
const TRAFFIC_BAND = 1.1
/** Resources may rise this much faster than traffic before traffic no longer explains them. */
const RESOURCE_SLOPE = 1.5
/** Lost traffic: below this share of the expected it is felt, whatever else is normal. */
const TRAFFIC_LOST = 0.1
/** Weight of lost traffic: enough to open by itself. */
const TRAFFIC_LOST_WEIGHT = 0.75
/** Weight of a family in which a series is critical: enough to open by itself when it lasts. */
const CRITICAL_WEIGHT = 0.75

/** Places of what `entityStrength` is given and says: numbers given, returned or kept in objects would cost garbage an entity. */
export const STRENGTH = {
  /** Given: evidence of silence, 0..8, and observed / expected traffic, NaN unknown. */
  absence: 0,
  traffic: 1,
  /** Said, 0..16: largest family plus half of the second and third. */
  evidence: 2,
  /** Evidence that was set aside because it had been announced. */
  suppressed: 3,
  /** Evidence that was set aside because traffic explains it. */
  driven: 4,
  /** Largest evidence that users feel something, 0..8. */
  felt: 5,
} as const
export const STRENGTH_WIDTH = 6

const weighted = new Float64Array(FAMILY_SLOTS)

/** Evidence of one entity in one window, by what STRENGTH says; `critical`: a bit per family in which a series is critical. */
export function entityStrength(
  columns: EntityColumns,
  entity: number,
  critical: number,
  expected: Expected | undefined,
  out: Float64Array,
): void {
  const at = entity * FAMILY_SLOTS
  const absence = out[STRENGTH.absence]
  let felt = absence
  for (let f = 0; f < FAMILIES.length; f++) {
    if (FELT[f] && columns.strength[at + f] > felt) felt = columns.strength[at + f]
  }
  const served = felt < SERVED_BELOW
  out[STRENGTH.felt] = felt
  out[STRENGTH.suppressed] = 0
  out[STRENGTH.driven] = 0
  for (let f = 0; f < FAMILIES.length; f++) {
    const a = f === F.absence ? absence : columns.strength[at + f]
    // Products, not a choice of weights: a number that a constant of the module may stand for is put on the heap.
    let value = a * STREAM_WEIGHT[f]
    const up = columns.direction[at + f] > 0
    if (f === F.load && columns.ratio[at + f] < TRAFFIC_LOST && !up) value = a * TRAFFIC_LOST_WEIGHT
    else if (up && DRIVEN[f] && f !== F.load && (critical >> f) & 1)
      value = a * Math.max(STREAM_WEIGHT[f], CRITICAL_WEIGHT)
    if (value > 0 && isExpected(expected, f)) {
      out[STRENGTH.suppressed] += value
      value = 0
    } else if (value > 0 && served && DRIVEN[f] && isDriven(f, up, columns.ratio, at + f, out)) {
      out[STRENGTH.driven] += value
      value = 0
    }
    weighted[f] = value
  }
  topThree(weighted, FAMILIES.length, out)
}

/**
 * While users are served as usual: a rise of traffic explains itself and what it costs, and lower costs are no
 * trouble unless nearly nothing is left.
 */
function isDriven(
  family: number,
  up: boolean,
  ratios: Float64Array,
  slot: number,
  given: Float64Array,
): boolean {
  if (family === F.load) return up
  const ratio = ratios[slot]
  const traffic = given[STRENGTH.traffic]
  // After a restart a service needs less memory and io, often for hours: nobody suffers from that.
  if (!up && ratio >= TRAFFIC_LOST) return true
  if (!(traffic > 0)) return false
  if (up) return traffic >= TRAFFIC_BAND && ratio <= 1 + RESOURCE_SLOPE * (traffic - 1)
  return traffic <= 1 / TRAFFIC_BAND && ratio >= 1 - RESOURCE_SLOPE * (1 - traffic)
}

function topThree(values: Float64Array, length: number, out: Float64Array): void {
  let first = 0
  let second = 0
  let third = 0
  for (let i = 0; i < length; i++) {
    const v = values[i]
    if (v > first) {
      third = second
      second = first
      first = v
    } else if (v > second) {
      third = second
      second = v
    } else if (v > third) third = v
  }
  out[STRENGTH.evidence] = first + 0.5 * (second + third)
}

/** 8 for an entity or one of its instances that went silent; in between when most of its series did. */
export function absenceOf(recent: number, live: number, absent: number): number {
  if (recent === 0 || absent === 0) return 0
  if (live === 0 && absent * 2 >= recent) return ABSENT_EVIDENCE
  const share = absent / recent
  return share >= 0.5 ? ABSENT_EVIDENCE * share : 0
}
