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

export interface Strength {
  /** 0..16: largest family plus half of the second and third. */
  evidence: number
  /** Evidence that was set aside because it had been announced. */
  suppressed: number
  /** Evidence that was set aside because traffic explains it. */
  driven: number
  /** Largest evidence that users feel something, 0..8. */
  felt: number
}

const weighted = new Float64Array(FAMILY_SLOTS)

/**
 * Evidence of one entity in one window. `traffic` is its observed / expected traffic (NaN unknown), `critical`
 * a bit per family in which a series is critical.
 */
export function entityStrength(
  columns: EntityColumns,
  entity: number,
  absence: number,
  traffic: number,
  critical: number,
  expected: Expected | undefined,
  out: Strength,
): void {
  const at = entity * FAMILY_SLOTS
  let felt = absence
  for (let f = 0; f < FAMILIES.length; f++) {
    if (FELT[f] && columns.strength[at + f] > felt) felt = columns.strength[at + f]
  }
  const served = felt < SERVED_BELOW
  out.felt = felt
  out.suppressed = 0
  out.driven = 0
  for (let f = 0; f < FAMILIES.length; f++) {
    const a = f === F.absence ? absence : columns.strength[at + f]
    let weight = STREAM_WEIGHT[f]
    const up = columns.direction[at + f] > 0
    if (f === F.load && columns.ratio[at + f] < TRAFFIC_LOST && !up) weight = TRAFFIC_LOST_WEIGHT
    else if (up && DRIVEN[f] && f !== F.load && (critical >> f) & 1)
      weight = Math.max(weight, CRITICAL_WEIGHT)
    let value = a * weight
    if (value > 0 && isExpected(expected, f)) {
      out.suppressed += value
      value = 0
    } else if (value > 0 && served && DRIVEN[f] && isDriven(f, up, columns.ratio[at + f], traffic)) {
      out.driven += value
      value = 0
    }
    weighted[f] = value
  }
  out.evidence = topThree(weighted, FAMILIES.length)
}

/**
 * While users are served as usual: a rise of traffic explains itself and what it costs, and lower costs are no
 * trouble unless nearly nothing is left.
 */
function isDriven(family: number, up: boolean, ratio: number, traffic: number): boolean {
  if (family === F.load) return up
  // After a restart a service needs less memory and io, often for hours: nobody suffers from that.
  if (!up && ratio >= TRAFFIC_LOST) return true
  if (!(traffic > 0)) return false
  if (up) return traffic >= TRAFFIC_BAND && ratio <= 1 + RESOURCE_SLOPE * (traffic - 1)
  return traffic <= 1 / TRAFFIC_BAND && ratio >= 1 - RESOURCE_SLOPE * (1 - traffic)
}

function topThree(values: Float64Array, length: number): number {
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
  return first + 0.5 * (second + third)
}

/** 8 for an entity or one of its instances that went silent; in between when most of its series did. */
export function absenceOf(recent: number, live: number, absent: number): number {
  if (recent === 0 || absent === 0) return 0
  if (live === 0 && absent * 2 >= recent) return ABSENT_EVIDENCE
  const share = absent / recent
  return share >= 0.5 ? ABSENT_EVIDENCE * share : 0
}
