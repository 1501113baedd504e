import { type Explanation, type Grouping, groupings, type LeafTable } from './leaf-table.ts'

/** Attributes in a combination at most. */
const DEPTH = 4
/** A leaf whose relative deviation is smaller is normal, whatever the noise of the others. */
const LEAST_DEVIATION = 0.02
const MOST_EXPLANATIONS = 5
/** Each further attribute must earn its place: shallow combinations are preferred. */
const DEPTH_PENALTY = 0.95
const LEAST_PURITY = 0.7
const LEAST_GAIN = 0.005
const LEAST_REMAINDER = 0.01

/**
 * Combinations that explain a deviation of additive counts from their forecast. Relative deviation
 * d = 2(f − v)/(f + v); the side with more d·|f − v| is the anomalous one, and what the other side reaches is
 * noise; then the combination with the largest √coverage · purity² · .95^(k−1) is taken, removed, and so on.
 * Purity is the abnormal share of the volume, because small counts move in steps and say little.
 * Source: generalised ripple effect (Squeeze, ISSRE 2019) with a noise cut and greedy cover of our own.
 */
export function drillCounts(table: LeafTable, observed: Float64Array, forecast: Float64Array): Explanation[] {
  const abnormal = abnormalLeaves(table.length, observed, forecast)
  let total = 0
  const gap = new Float64Array(table.length)
  for (let row = 0; row < table.length; row++) {
    if (!abnormal[row]) continue
    gap[row] = Math.abs(forecast[row] - observed[row])
    total += gap[row]
  }
  if (total === 0) return []
  const sets = groupings(table, DEPTH)
  const weight = forecast.map((f, row) => Math.max(f, observed[row]))
  const open = new Uint8Array(table.length).fill(1)
  const out: Explanation[] = []
  let left = total
  while (out.length < MOST_EXPLANATIONS && left >= LEAST_REMAINDER * total) {
    const best = bestGroup(table.length, sets, open, abnormal, weight, gap, total)
    if (!best || best.purity < LEAST_PURITY || best.coverage < LEAST_GAIN) break
    let [v, f] = [0, 0]
    for (let row = 0; row < table.length; row++) {
      if (best.grouping.group[row] !== best.group) continue
      v += observed[row]
      f += forecast[row]
      if (open[row] && abnormal[row]) left -= gap[row]
      open[row] = 0
    }
    const where = table.where(best.grouping.first[best.group], best.grouping.set)
    out.push({
      rank: out.length + 1,
      where,
      score: best.score,
      share: best.coverage,
      observed: v,
      expected: f,
    })
  }
  return out
}

function deviationOf(v: number, f: number): number {
  const sum = v + f
  return sum > 0 ? (2 * (f - v)) / sum : 0
}

function abnormalLeaves(length: number, observed: Float64Array, forecast: Float64Array): Uint8Array {
  let [down, up] = [0, 0]
  let [farDown, farUp] = [LEAST_DEVIATION, LEAST_DEVIATION]
  for (let row = 0; row < length; row++) {
    const d = deviationOf(observed[row], forecast[row])
    if (d > 0) {
      down += d * (forecast[row] - observed[row])
      farDown = Math.max(farDown, d)
    } else if (d < 0) {
      up -= d * (observed[row] - forecast[row])
      farUp = Math.max(farUp, -d)
    }
  }
  const side = down >= up ? 1 : -1
  const cut = side > 0 ? farUp : farDown
  const out = new Uint8Array(length)
  for (let row = 0; row < length; row++) {
    if (side * deviationOf(observed[row], forecast[row]) > cut) out[row] = 1
  }
  return out
}

interface Best {
  readonly grouping: Grouping
  readonly group: number
  readonly score: number
  readonly purity: number
  readonly coverage: number
}

/** Ties go to the smaller set, then to what came first in the rows. */
function bestGroup(
  length: number,
  sets: readonly Grouping[],
  open: Uint8Array,
  abnormal: Uint8Array,
  weight: Float64Array,
  gap: Float64Array,
  total: number,
): Best | undefined {
  let best: Best | undefined
  for (const grouping of sets) {
    const { group, count } = grouping
    const leaves = new Float64Array(count)
    const strange = new Float64Array(count)
    const covered = new Float64Array(count)
    for (let row = 0; row < length; row++) {
      if (!open[row]) continue
      const g = group[row]
      leaves[g] += weight[row]
      strange[g] += abnormal[row] * weight[row]
      covered[g] += gap[row]
    }
    const depth = DEPTH_PENALTY ** (grouping.set.length - 1)
    for (let g = 0; g < count; g++) {
      if (strange[g] === 0) continue
      const purity = strange[g] / leaves[g]
      const coverage = covered[g] / total
      const score = Math.sqrt(coverage) * purity * purity * depth
      if (!best || score > best.score * (1 + 1e-12)) best = { grouping, group: g, score, purity, coverage }
    }
  }
  return best
}
