import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type CombinationCounts, combinationText, countCombinations } from '../evaluate/ranking.ts'
import { drillFile } from './drill.ts'
import { readIncidents } from './rca-data.ts'

export const DRILL_SETS = ['robustspot-multidim', 'squeeze-b0'] as const
type DrillSet = (typeof DRILL_SETS)[number]

export interface DrillAnswer {
  readonly set: DrillSet
  readonly id: string
  readonly found: readonly string[]
  readonly truth: readonly string[]
  readonly counts: CombinationCounts
}

interface DrillLine {
  readonly id: string
  readonly series: string
  readonly anomaly_ts?: number
  readonly root: readonly Readonly<Record<string, string>>[]
}

/** Every case of a drill-down set; none when the set is not there. */
export async function drillSet(data: string, set: DrillSet): Promise<DrillAnswer[]> {
  const folder = join(data, 'rca', set)
  if (!existsSync(join(folder, 'incidents.jsonl'))) return []
  const out: DrillAnswer[] = []
  for (const { id, series, anomaly_ts, root } of readIncidents<DrillLine>(folder)) {
    const explanations = await drillFile(join(folder, series), (anomaly_ts ?? Number.NaN) * 1000, () =>
      anomaly_ts === undefined
        ? { kind: 'count', observed: 'real', expected: 'predict' }
        : { kind: 'rate', time: 'min', numerator: 'value', denominator: 'cnt' },
    )
    const found = explanations.map(one => combinationText(one.where))
    const truth = [...new Set(root.map(combinationText))]
    out.push({ set, id, found, truth, counts: countCombinations(found, truth) })
  }
  return out
}
