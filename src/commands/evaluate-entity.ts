import type { EntityOpinion } from '../core/entity-detector.ts'
import { EntityAlert, EntityEvidence } from '../detectors/entity-alerts.ts'
import { RidgeDetector } from '../detectors/ridge.ts'
import { hitRate, interpretationsOf, ndcg } from '../evaluate/culprits.ts'
import type { Counts } from '../evaluate/delay.ts'
import { eventCounts } from '../evaluate/events.ts'
import { vusPr } from '../evaluate/vus.ts'
import { budgetCounts } from './alert-budget.ts'
import { loadEntity, type MultivariateSuite } from './evaluate-data.ts'
import {
  AHEAD_ROWS,
  CONTESTANTS,
  type Contestant,
  type EvaluateTask,
  randomScores,
  type SeriesResult,
  type TaskResult,
  THRESHOLDS,
} from './evaluate-task.ts'
import { AheadOfTime, EntityModelRun, type EntitySaid, modelFolder } from './model-detector.ts'

/** Scores all metrics of one entity together; its rows after the history are what is measured. */
export async function evaluateEntity(
  suite: MultivariateSuite,
  { data, name, detector }: EvaluateTask,
): Promise<TaskResult> {
  const entity = await loadEntity(suite, data, name)
  const { metrics, values, testFrom, label, stepMs } = entity
  const rows = label.length
  const surprise = new Float64Array(rows)
  const evidence = new Float64Array(rows)
  const against = new EntityEvidence(stepMs)
  const shares = new Float64Array(rows * metrics)
  const take = (r: number, opinion: Pick<EntityOpinion, 'score' | 'share'>) => {
    const said = against.next(opinion.score)
    if (r < testFrom) return
    evidence[r - testFrom] = said
    surprise[r - testFrom] = opinion.score
    shares.set(opinion.share, (r - testFrom) * metrics)
  }
  const rowOf = (r: number) => values.subarray(r * metrics, (r + 1) * metrics)
  const folder = modelFolder(detector)
  if (folder !== undefined) await runEntityModel(folder, metrics, stepMs, testFrom + rows, rowOf, take)
  else {
    const ridge = new RidgeDetector({ metrics, stepMs })
    for (let r = 0; r < testFrom + rows; r++) take(r, ridge.next(rowOf(r), 1, r * stepMs))
  }
  const timeMs = Float64Array.from({ length: rows }, (_, r) => r * stepMs)
  const changes = new Float64Array(rows)
  for (let r = 1; r < rows; r++) changes[r] = meanChange(values, testFrom + r, metrics)
  const all: Record<Contestant, Float64Array> = {
    foreshock: surprise,
    random: randomScores(rows, name),
    difference: changes,
  }
  const results = CONTESTANTS.map(contestant => {
    const score = all[contestant]
    const alarm = contestant === 'foreshock' ? evidence : score
    const alerts = THRESHOLDS.map(threshold => openings(alarm, threshold, stepMs))
    const culprits = contestant === 'foreshock' ? culpritScores(entity, shares) : undefined
    return {
      contestant,
      vus100: vusPr(score, label, 100),
      vus20: vusPr(score, label, 20),
      days: (rows * stepMs) / 86_400_000,
      points: THRESHOLDS.map(threshold => pointCounts(score, label, threshold)),
      testEvents: alerts.map(([from, to]) => eventCounts(label, timeMs, from, to)),
      alertShare: alerts.map(([from, to]) => from.reduce((sum, at, i) => sum + to[i] - at + 1, 0) / rows),
      ...(contestant === 'foreshock' ? { budgets: budgetCounts(score, stepMs) } : {}),
      ...(culprits ? { culprits } : {}),
    }
  })
  return { name, results }
}

/** A model is asked of many windows of all metrics at once; the sets name none, so they are called by their columns, from 1. */
async function runEntityModel(
  folder: string,
  metrics: number,
  stepMs: number,
  rows: number,
  rowOf: (r: number) => Float64Array,
  take: (r: number, said: EntitySaid) => void,
): Promise<void> {
  const names = Array.from({ length: metrics }, (_, j) => String(j + 1))
  const ahead = new AheadOfTime(folder)
  const listening = new EntityModelRun(folder, names, stepMs, ahead.listening)
  const answering = new EntityModelRun(folder, names, stepMs, ahead.answering)
  for (let from = 0; from < rows; from += AHEAD_ROWS) {
    const to = Math.min(from + AHEAD_ROWS, rows)
    for (let r = from; r < to; r++) await listening.next(rowOf(r))
    await ahead.infer()
    for (let r = from; r < to; r++) take(r, await answering.next(rowOf(r)))
  }
  await answering.close()
}

function meanChange(values: Float64Array, row: number, metrics: number): number {
  let sum = 0
  for (let j = 0; j < metrics; j++) {
    const [now, before] = [values[row * metrics + j], values[(row - 1) * metrics + j]]
    const change = Math.abs(now - before) / (Math.abs(before) + 1e-3)
    if (!Number.isNaN(change)) sum += Math.min(change, 10)
  }
  return sum / metrics
}

/** Alerts by the rule that ships, at another threshold: first and last rows. */
function openings(evidence: Float64Array, threshold: number, stepMs: number): [Int32Array, Int32Array] {
  const rows: number[] = []
  const ends: number[] = []
  const alert = new EntityAlert(threshold, stepMs)
  for (let i = 0; i < evidence.length; i++) {
    if (alert.next(evidence[i])) rows.push(i)
    if (alert.isLoud) ends[rows.length - 1] = i
  }
  return [Int32Array.from(rows), Int32Array.from(ends)]
}

function pointCounts(score: Float64Array, label: Uint8Array, threshold: number): Counts {
  const counts = { truePositive: 0, falsePositive: 0, falseNegative: 0 }
  for (let i = 0; i < score.length; i++) {
    if (score[i] >= threshold) {
      if (label[i] !== 0) counts.truePositive++
      else counts.falsePositive++
    } else if (label[i] !== 0) counts.falseNegative++
  }
  return counts
}

function culpritScores(
  entity: { readonly metrics: number; readonly label: Uint8Array; readonly interpretation: string },
  shares: Float64Array,
): SeriesResult['culprits'] {
  const { metrics, label } = entity
  const anomalies = interpretationsOf(entity.interpretation)
  if (anomalies.length === 0) return undefined
  const sums = { hit100: 0, hit150: 0, ndcg5: 0 }
  for (const { first, last, metrics: truth } of anomalies) {
    const total = new Float64Array(metrics)
    for (let r = first; r <= Math.min(last, label.length - 1); r++)
      if (label[r] !== 0) for (let j = 0; j < metrics; j++) total[j] += shares[r * metrics + j]
    const ranking = Array.from(total.keys()).sort((a, b) => total[b] - total[a] || a - b)
    sums.hit100 += hitRate(ranking, truth, 1)
    sums.hit150 += hitRate(ranking, truth, 1.5)
    sums.ndcg5 += ndcg(ranking, truth, 5)
  }
  const n = anomalies.length
  return { hit100: sums.hit100 / n, hit150: sums.hit150 / n, ndcg5: sums.ndcg5 / n }
}
