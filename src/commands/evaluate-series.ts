import type { EntityOpinion } from '../core/entity-detector.ts'
import { EntityAlert, EntityEvidence } from '../detectors/entity-alerts.ts'
import { RidgeDetector } from '../detectors/ridge.ts'
import { hitRate, interpretationsOf, ndcg } from '../evaluate/culprits.ts'
import { type Counts, delayCounts } from '../evaluate/delay.ts'
import { type EventCounts, eventCounts } from '../evaluate/events.ts'
import { type NabSweep, nabSweep, probationRows } from '../evaluate/nab.ts'
import { alertRows } from '../evaluate/segments.ts'
import { vusPr } from '../evaluate/vus.ts'
import { mulberry32 } from '../math/mulberry32.ts'
import type { Part } from './ablation.ts'
import { type BudgetCount, budgetCounts } from './alert-budget.ts'
import { type LabelledSeries, loadEntity, loadSeries, type Suite } from './evaluate-data.ts'
import { exportViews } from './export-views.ts'
import { AheadOfTime, EntityModelRun, type EntitySaid, modelChoice, modelFolder } from './model-detector.ts'
import { univariateChoice, viewedProfile } from './score-detectors.ts'
import { SeriesRun } from './series-run.ts'

/** What is measured: the shipped detector, or one of the two controls every table carries. */
export type Contestant = 'foreshock' | 'random' | 'difference'
export const CONTESTANTS: readonly Contestant[] = ['foreshock', 'random', 'difference']

export interface EvaluateTask {
  readonly suite: Suite
  readonly data: string
  readonly name: string
  readonly detector?: string | undefined
  /** Parts taken away from the detector. */
  readonly without?: readonly Part[] | undefined
  /** Instead of scoring, the views of the history are written into this folder. */
  readonly views?: string | undefined
}

/** Thresholds at which counts are kept: steps of 4 % over the useful range of any evidence. */
export const THRESHOLDS: readonly number[] = Array.from({ length: 160 }, (_, k) => 0.05 * 1.04 ** k)

const MINUTE_MS = 60_000
export const POINT_REFRACTORY_MS = 5 * MINUTE_MS
export const INCIDENT_REFRACTORY_MS = 720 * MINUTE_MS
const DELAY = 7
/** Rows that a model is asked of at once. */
const AHEAD_ROWS = 4096

export interface SeriesResult {
  readonly contestant: Contestant
  readonly vus100: number
  readonly vus20: number
  /** The same on the labelled history, past its first day: what choices may be made by. */
  readonly train?: { readonly vus100: number; readonly vus20: number }
  readonly days: number
  readonly nab?: NabSweep
  /** Counts at each of THRESHOLDS, of the history and of the test. */
  readonly trainDelay?: readonly Counts[]
  readonly testDelay?: readonly Counts[]
  readonly trainEvents?: readonly EventCounts[]
  readonly testEvents: readonly EventCounts[]
  /** Share of rows that lie in an alert at each threshold (multivariate): one that never ends hits every event. */
  readonly alertShare?: readonly number[]
  /** Rows at or above each threshold against labels (multivariate). */
  readonly points?: readonly Counts[]
  /** Events of the first day, when only level and spread are known. */
  readonly firstDay?: readonly EventCounts[]
  /** Alerts that each of BUDGETS came to, by the calibrated tail of the point evidence. */
  readonly budgets?: readonly BudgetCount[]
  readonly culprits?: { readonly hit100: number; readonly hit150: number; readonly ndcg5: number }
}

export interface TaskResult {
  readonly name: string
  readonly results: readonly SeriesResult[]
}

interface Evidence {
  readonly surprise: Float64Array
  readonly point: Float64Array
  readonly incident: Float64Array
}

export async function evaluateSeries(task: EvaluateTask): Promise<TaskResult> {
  const { suite, data, name } = task
  if (suite !== 'nab' && suite !== 'kpi') return evaluateEntity(task)
  const series = await loadSeries(suite, data, name)
  if (task.views !== undefined) {
    await exportViews(series, name, viewedProfile(task.detector), task.views)
    return { name, results: [] }
  }
  const all: Record<Contestant, Evidence> = {
    foreshock: await runDetector(series, task),
    random: same(randomScores(series.value.length, name)),
    difference: same(differences(series)),
  }
  return { name, results: CONTESTANTS.map(who => univariateResult(suite, name, who, series, all[who])) }
}

async function runDetector(series: LabelledSeries, task: EvaluateTask): Promise<Evidence> {
  const n = series.value.length
  const evidence = {
    surprise: new Float64Array(n).fill(NaN),
    point: new Float64Array(n).fill(NaN),
    incident: new Float64Array(n).fill(NaN),
  }
  const folder = modelFolder(task.detector)
  if (folder !== undefined) {
    await runModel(series, folder, evidence)
    return evidence
  }
  const run = new SeriesRun(univariateChoice(task.detector, task.without), series.stepMs)
  await runRows(run, series, 0, n, evidence)
  await run.detector.close()
  return evidence
}

async function runRows(
  run: SeriesRun,
  { timeMs, value }: LabelledSeries,
  from: number,
  to: number,
  evidence: Evidence | undefined,
): Promise<void> {
  for (let i = from; i < to; i++) {
    if (Number.isNaN(value[i])) continue
    const scored = run.next(timeMs[i], value[i])
    if (typeof scored !== 'number') await scored
    if (evidence === undefined) continue
    evidence.surprise[i] = run.out.score[0]
    evidence.point[i] = run.out.point[0]
    evidence.incident[i] = run.out.incident[0]
  }
}

/** A model is asked of many windows at once: what it is shown does not depend on what it says. */
async function runModel(series: LabelledSeries, folder: string, evidence: Evidence): Promise<void> {
  const ahead = new AheadOfTime(folder)
  const listening = new SeriesRun(modelChoice(folder, ahead.listening), series.stepMs)
  const answering = new SeriesRun(modelChoice(folder, ahead.answering), series.stepMs)
  for (let from = 0; from < series.value.length; from += AHEAD_ROWS) {
    const to = Math.min(from + AHEAD_ROWS, series.value.length)
    await runRows(listening, series, from, to, undefined)
    await ahead.infer()
    await runRows(answering, series, from, to, evidence)
  }
  await answering.detector.close()
}

const same = (score: Float64Array): Evidence => ({ surprise: score, point: score, incident: score })

function randomScores(n: number, name: string): Float64Array {
  let seed = 0
  for (const char of name) seed = (Math.imul(seed, 31) + char.charCodeAt(0)) >>> 0
  const random = mulberry32(seed)
  return Float64Array.from({ length: n }, () => 20 * random())
}

/** |x − x₋₁| over its running mean: the simplest thing that could work, comparable across series. */
function differences({ value }: LabelledSeries): Float64Array {
  const score = new Float64Array(value.length)
  let usual = 0
  for (let i = 1; i < value.length; i++) {
    const size = Math.abs(value[i] - value[i - 1])
    score[i] = usual > 0 ? size / usual : 0
    if (!Number.isNaN(size)) usual += (size - usual) / i
  }
  return score
}

function univariateResult(
  suite: 'nab' | 'kpi',
  name: string,
  contestant: Contestant,
  series: LabelledSeries,
  evidence: Evidence,
): SeriesResult {
  const { timeMs, label, testFrom, windows } = series
  const n = label.length
  // What is ranked is the test part: after the history, or after NAB's probation.
  const rankedFrom = suite === 'nab' ? probationRows(n) : testFrom
  const surprise = evidence.surprise.subarray(rankedFrom)
  const ranked = label.subarray(rankedFrom)
  const part = (from: number, to: number) => ({
    label: label.subarray(from, to),
    timeMs: timeMs.subarray(from, to),
    place: gridOf(timeMs.subarray(from, to), series.stepMs),
    point: evidence.point.subarray(from, to),
  })
  const test = part(testFrom, n)
  const common = {
    contestant,
    vus100: vusPr(surprise, ranked, 100),
    vus20: vusPr(surprise, ranked, 20),
    days: (timeMs[n - 1] - timeMs[testFrom]) / 86_400_000,
    firstDay: firstDayEvents(part(0, n)),
    ...(contestant === 'foreshock' ? { budgets: budgetCounts(evidence.point, series.stepMs) } : {}),
  }
  if (suite === 'nab') {
    const rows = THRESHOLDS.map(t => alertRows(evidence.incident, timeMs, t, INCIDENT_REFRACTORY_MS))
    const nab = nabSweep({ name, timeMs, score: evidence.incident, windows }, INCIDENT_REFRACTORY_MS)
    return { ...common, nab, testEvents: rows.map(r => eventCounts(label, timeMs, r)) }
  }
  const train = part(0, testFrom)
  const rowsOf = ({ point, timeMs: t }: typeof test) =>
    THRESHOLDS.map(threshold => alertRows(point, t, threshold, POINT_REFRACTORY_MS))
  const [trainRows, testRows] = [rowsOf(train), rowsOf(test)]
  const from = timeMs.findIndex(t => t >= timeMs[0] + 86_400_000)
  const history = evidence.surprise.subarray(from, testFrom)
  const known = label.subarray(from, testFrom)
  return {
    ...common,
    train: { vus100: vusPr(history, known, 100), vus20: vusPr(history, known, 20) },
    trainDelay: trainRows.map(rows => delayCounts(train.label, train.place, rows, DELAY)),
    testDelay: testRows.map(rows => delayCounts(test.label, test.place, rows, DELAY)),
    trainEvents: trainRows.map(rows => eventCounts(train.label, train.timeMs, rows)),
    testEvents: testRows.map(rows => eventCounts(test.label, test.timeMs, rows)),
  }
}

function firstDayEvents(all: {
  readonly label: Uint8Array
  readonly timeMs: Float64Array
  readonly point: Float64Array
}): EventCounts[] {
  const { label, timeMs, point } = all
  const found = timeMs.findIndex(t => t >= timeMs[0] + 86_400_000)
  const to = found < 0 ? timeMs.length : found
  const [times, labels, scores] = [timeMs.subarray(0, to), label.subarray(0, to), point.subarray(0, to)]
  return THRESHOLDS.map(t => eventCounts(labels, times, alertRows(scores, times, t, POINT_REFRACTORY_MS)))
}

function gridOf(timeMs: Float64Array, stepMs: number): Int32Array {
  return Int32Array.from(timeMs, t => Math.round((t - timeMs[0]) / stepMs))
}

async function evaluateEntity(task: EvaluateTask): Promise<TaskResult> {
  const { suite, data, name } = task
  if (suite === 'nab' || suite === 'kpi') throw new Error('not an entity')
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
  const folder = modelFolder(task.detector)
  if (folder !== undefined) await runEntityModel(folder, metrics, stepMs, testFrom + rows, rowOf, take)
  else {
    const detector = new RidgeDetector({ metrics, stepMs })
    for (let r = 0; r < testFrom + rows; r++) take(r, detector.next(rowOf(r), 1, r * stepMs))
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

/** As `runModel`, of the metrics of an entity; the sets name none, so they are called by their columns, from 1. */
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
