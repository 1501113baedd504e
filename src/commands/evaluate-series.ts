import { delayCounts } from '../evaluate/delay.ts'
import { type EventCounts, eventCounts } from '../evaluate/events.ts'
import { nabSweep, probationRows } from '../evaluate/nab.ts'
import { alertRows } from '../evaluate/segments.ts'
import { vusPr } from '../evaluate/vus.ts'
import { budgetCounts } from './alert-budget.ts'
import { type LabelledSeries, loadSeries } from './evaluate-data.ts'
import { evaluateEntity } from './evaluate-entity.ts'
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
import { exportViews } from './export-views.ts'
import { AheadOfTime, modelChoice, modelFolder } from './model-detector.ts'
import { univariateChoice, viewedProfile } from './score-detectors.ts'
import { SeriesRun } from './series-run.ts'

const MINUTE_MS = 60_000
const POINT_REFRACTORY_MS = 5 * MINUTE_MS
const INCIDENT_REFRACTORY_MS = 720 * MINUTE_MS
const DELAY = 7

interface Evidence {
  readonly surprise: Float64Array
  readonly point: Float64Array
  readonly incident: Float64Array
}

export async function evaluateSeries(task: EvaluateTask): Promise<TaskResult> {
  const { suite, data, name } = task
  if (suite !== 'nab' && suite !== 'kpi') return evaluateEntity(suite, task)
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
