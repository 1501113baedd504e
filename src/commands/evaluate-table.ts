import { bootstrap95, mean, median } from '../evaluate/bootstrap.ts'
import { addCounts, type Counts, f1 } from '../evaluate/delay.ts'
import { addEvents, type EventCounts, eventF1, noEvents } from '../evaluate/events.ts'
import { NAB_PROFILES, nabResult } from '../evaluate/nab.ts'
import { BUDGETS } from './alert-budget.ts'
import type { Suite } from './evaluate-data.ts'
import {
  CONTESTANTS,
  type Contestant,
  type SeriesResult,
  type TaskResult,
  THRESHOLDS,
} from './evaluate-task.ts'

/** A number of a table with its 95 % interval over series, where it has one. */
export interface Figure {
  readonly metric: string
  readonly value: number
  readonly interval?: readonly [number, number]
}

export interface ContestantTable {
  readonly suite: Suite
  readonly contestant: Contestant
  readonly series: number
  readonly figures: readonly Figure[]
  readonly perSeries: readonly Readonly<Record<string, string | number>>[]
}

/** Thresholds as shipped, for what an operator lives with. */
export interface Shipped {
  readonly point: number
  readonly incident: number
  /** Of the multivariate detector: rows at or above it are anomalous; it opens at `open`. */
  readonly entity: number
  readonly open: number
}

export function tablesOf(suite: Suite, tasks: readonly TaskResult[], shipped: Shipped): ContestantTable[] {
  return CONTESTANTS.map(contestant => {
    const rows = tasks.map(({ name, results }) => ({
      name,
      result: results.find(r => r.contestant === contestant)!,
    }))
    const results = rows.map(row => row.result)
    const own = suite === 'nab' ? nabFigures : suite === 'kpi' ? kpiFigures : entityFigures
    return {
      suite,
      contestant,
      series: results.length,
      figures: [
        ...own(results, shipped),
        ...commonFigures(results),
        ...firstDayFigures(results, nearest(shipped.point)),
        ...budgetFigures(results),
      ],
      perSeries: rows.map(({ name, result }) => ({
        name,
        vus100: result.vus100,
        vus20: result.vus20,
        ...(result.culprits ?? {}),
      })),
    }
  })
}

function commonFigures(results: readonly SeriesResult[]): Figure[] {
  const figures = (name: string, of: (result: SeriesResult) => { vus100: number; vus20: number }) =>
    (['vus100', 'vus20'] as const).map(key => {
      const value = (pick: readonly number[]) => mean(pick.map(i => of(results[i])[key]))
      return {
        metric: `VUS-PR W=${key === 'vus100' ? 100 : 20}${name}`,
        value: value(results.map((_, i) => i)),
        interval: bootstrap95(results.length, value),
      }
    })
  const isTrained = results.every(r => r.train !== undefined)
  return [...figures('', r => r), ...(isTrained ? figures(' on the history', r => r.train!) : [])]
}

/** As shipped, on the first day of every series: level and spread only. */
function firstDayFigures(results: readonly SeriesResult[], k: number): Figure[] {
  if (results.some(r => r.firstDay === undefined)) return []
  const over = (value: (events: EventCounts, days: number) => number) => (pick: readonly number[]) => {
    const sum = noEvents()
    for (const i of pick) addEvents(sum, results[i].firstDay![k])
    return value(sum, pick.length)
  }
  const all = results.map((_, i) => i)
  const recall = over(e => e.found / e.segments)
  const alarms = over((e, days) => e.falseAlerts / days)
  return [
    { metric: 'first day: event recall', value: recall(all), interval: bootstrap95(all.length, recall) },
    { metric: 'first day: false alerts', value: alarms(all), interval: bootstrap95(all.length, alarms) },
  ]
}

/** Alerts a week achieved over promised: all series together, and the share of series within .3–3. */
function budgetFigures(results: readonly SeriesResult[]): Figure[] {
  if (results.some(r => r.budgets === undefined)) return []
  return BUDGETS.flatMap((budget, b) => {
    const over = (pick: readonly number[]) => {
      const sum = { alerts: 0, weeks: 0 }
      for (const i of pick) {
        sum.alerts += results[i].budgets![b].alerts
        sum.weeks += results[i].budgets![b].weeks
      }
      return sum.alerts / sum.weeks / budget
    }
    const each = results.map((_, i) => over([i])).filter(ratio => !Number.isNaN(ratio))
    const within = each.filter(ratio => ratio >= 0.3 && ratio <= 3).length / each.length
    const name = `alerts achieved / promised, ${budget} a week`
    return [
      { metric: name, value: over(results.map((_, i) => i)), interval: bootstrap95(results.length, over) },
      { metric: `${name}: series within .3–3`, value: within },
    ]
  })
}

const nearest = (threshold: number) => {
  let best = 0
  for (const [k, t] of THRESHOLDS.entries())
    if (Math.abs(Math.log(t / threshold)) < Math.abs(Math.log(THRESHOLDS[best] / threshold))) best = k
  return best
}

function sumEvents(results: readonly SeriesResult[], k: number, which: 'train' | 'test' = 'test') {
  const sum = noEvents()
  for (const r of results) {
    const events = which === 'test' ? r.testEvents : r.trainEvents
    if (events) addEvents(sum, events[k])
  }
  return sum
}

function eventFigures(
  results: readonly SeriesResult[],
  k: number,
  name: string,
  recallWanted: number,
): Figure[] {
  const days = results.reduce((sum, r) => sum + r.days, 0)
  const events = sumEvents(results, k)
  const quiet = thresholdAtRecall(results, recallWanted)
  const over = (value: (e: EventCounts, days: number) => number) => (pick: readonly number[]) => {
    const chosen = pick.map(i => results[i])
    return value(
      sumEvents(chosen, k),
      chosen.reduce((sum, r) => sum + r.days, 0),
    )
  }
  const figure = (metric: string, value: (e: EventCounts, days: number) => number): Figure => ({
    metric: `${metric} (${name})`,
    value: value(events, days),
    interval: bootstrap95(results.length, over(value)),
  })
  return [
    figure('event F1', eventF1),
    figure('event recall', e => e.found / e.segments),
    figure('false alerts a series-day', (e, d) => e.falseAlerts / d),
    figure('alerts a series-day', (e, d) => e.alerts / d),
    { metric: `median delay min (${name})`, value: median(events.delaysMs) / 60_000 },
    {
      metric: `false alerts a series-day at event recall ${recallWanted}`,
      value: quiet < 0 ? NaN : sumEvents(results, quiet).falseAlerts / days,
    },
  ]
}

/** The highest threshold that finds that share of the events, −1 where none does. */
function thresholdAtRecall(results: readonly SeriesResult[], recall: number): number {
  for (let k = THRESHOLDS.length - 1; k >= 0; k--) {
    const events = sumEvents(results, k)
    if (events.segments > 0 && events.found / events.segments >= recall) return k
  }
  return -1
}

function nabFigures(results: readonly SeriesResult[], shipped: Shipped): Figure[] {
  const figures: Figure[] = []
  const sweeps = results.map(r => r.nab!)
  for (const [p, profile] of NAB_PROFILES.entries()) {
    const all = nabResult(sweeps, p)
    const counts = sweeps.map(s => s.windows)
    // The threshold stays the corpus's while files are resampled.
    const interval = bootstrap95(sweeps.length, pick => {
      const windows = pick.reduce((sum, i) => sum + counts[i], 0)
      const none = -windows * profile.falseNegative
      const total = pick.reduce((sum, i) => sum + all.perFile[i], 0)
      return (100 * (total - none)) / (windows * profile.truePositive - none)
    })
    figures.push({ metric: `NAB ${profile.name}`, value: all.final, interval })
    figures.push({ metric: `NAB ${profile.name} threshold`, value: all.threshold })
    figures.push({ metric: `NAB ${profile.name} LOFO`, value: all.leaveOneOut })
  }
  return [...figures, ...eventFigures(results, nearest(shipped.incident), 'shipped', 0.8)]
}

/** Share of the best F1 on the history that a threshold must reach to count as equally good. */
const PLATEAU = 0.98

/**
 * The threshold from training: the geometric middle of all that come within 2 % of the best. The very best one sits
 * at the edge of a cliff when one long segment decides the pooled count.
 */
export function trainedThreshold(values: readonly number[]): number {
  const best = Math.max(...values)
  let sum = 0
  let count = 0
  for (const [k, value] of values.entries()) {
    if (value < PLATEAU * best) continue
    sum += k
    count++
  }
  return Math.round(sum / count)
}

function sumDelay(results: readonly SeriesResult[], k: number, which: 'trainDelay' | 'testDelay'): Counts {
  const sum = { truePositive: 0, falsePositive: 0, falseNegative: 0 }
  for (const r of results) addCounts(sum, r[which]![k])
  return sum
}

function kpiFigures(results: readonly SeriesResult[], shipped: Shipped): Figure[] {
  const k = trainedThreshold(THRESHOLDS.map((_, at) => f1(sumDelay(results, at, 'trainDelay'))))
  const e = trainedThreshold(THRESHOLDS.map((_, at) => eventF1(sumEvents(results, at, 'train'))))
  const f1Of = (pick: readonly number[]) =>
    f1(
      sumDelay(
        pick.map(i => results[i]),
        k,
        'testDelay',
      ),
    )
  const counts = sumDelay(results, k, 'testDelay')
  return [
    {
      metric: 'delay-7 F1, threshold from train',
      value: f1(counts),
      interval: bootstrap95(results.length, f1Of),
    },
    { metric: 'precision', value: counts.truePositive / (counts.truePositive + counts.falsePositive) },
    { metric: 'recall', value: counts.truePositive / (counts.truePositive + counts.falseNegative) },
    { metric: 'threshold', value: THRESHOLDS[k] },
    {
      metric: 'delay-7 F1, best threshold of test (not honest)',
      value: Math.max(...THRESHOLDS.map((_, at) => f1(sumDelay(results, at, 'testDelay')))),
    },
    ...eventFigures(results, e, 'threshold from train', 0.8),
    { metric: 'event threshold from train', value: THRESHOLDS[e] },
    ...eventFigures(results, nearest(shipped.point), 'shipped', 0.8).slice(0, 5),
  ]
}

const ENTITY_RECALL = 0.7

function entityFigures(results: readonly SeriesResult[], shipped: Shipped): Figure[] {
  const points = (pick: readonly number[], k: number) => {
    const sum = { truePositive: 0, falsePositive: 0, falseNegative: 0 }
    for (const i of pick) addCounts(sum, results[i].points![k])
    return f1(sum)
  }
  const k = nearest(shipped.entity)
  const all = results.map((_, i) => i)
  const open = nearest(shipped.open)
  const quiet = thresholdAtRecall(results, ENTITY_RECALL)
  const inAlert = (at: number) => (at < 0 ? NaN : mean(all.map(i => results[i].alertShare![at])))
  const figures: Figure[] = [
    {
      metric: `point F1 at ${shipped.entity}`,
      value: mean(all.map(i => f1(results[i].points![k]))),
      interval: bootstrap95(results.length, pick => mean(pick.map(i => f1(results[i].points![k])))),
    },
    { metric: `pooled point F1 at ${shipped.entity}`, value: points(all, k) },
    ...eventFigures(results, open, 'shipped', ENTITY_RECALL),
    { metric: 'share of time in alert (shipped)', value: inAlert(open) },
    { metric: `share of time in alert at event recall ${ENTITY_RECALL}`, value: inAlert(quiet) },
  ]
  const culprits = results.flatMap(r => (r.culprits ? [r.culprits] : []))
  if (culprits.length === 0) return figures
  for (const [metric, key] of [
    ['culprit HitRate@100%', 'hit100'],
    ['culprit HitRate@150%', 'hit150'],
    ['culprit NDCG@5', 'ndcg5'],
  ] as const)
    figures.push({
      metric,
      value: mean(culprits.map(c => c[key])),
      interval: bootstrap95(culprits.length, pick => mean(pick.map(i => culprits[i][key]))),
    })
  return figures
}

/** A suite's contestants side by side, one figure a line. */
export function renderTables(tables: readonly ContestantTable[]): string {
  const [first] = tables
  const lines = [`${first.suite} (${first.series} series)`]
  const header = [
    '',
    ...tables.map(t => (t.contestant === 'foreshock' ? t.contestant : `control: ${t.contestant}`)),
  ]
  const names = [...new Set(tables.flatMap(t => t.figures.map(f => f.metric)))]
  const body = names.map(metric => [
    metric,
    ...tables.map(table => {
      const figure = table.figures.find(f => f.metric === metric)
      return figure ? figureText(figure) : ''
    }),
  ])
  const all = [header, ...body]
  const widths = header.map((_, c) => Math.max(...all.map(row => row[c].length)))
  for (const row of all) lines.push(`  ${row.map((cell, c) => cell.padEnd(widths[c])).join('  ')}`.trimEnd())
  return `${lines.join('\n')}\n`
}

function figureText({ value, interval }: Figure): string {
  const text = (v: number) => (Number.isFinite(v) ? (Math.abs(v) >= 10 ? v.toFixed(1) : v.toFixed(3)) : '–')
  return interval ? `${text(value)} [${text(interval[0])}, ${text(interval[1])}]` : text(value)
}
