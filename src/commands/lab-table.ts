import { bootstrap95, mean, median } from '../evaluate/bootstrap.ts'
import { FAULT_KINDS } from '../lab/faults.ts'
import type { FaultOutcome, LabReport } from '../lab/report.ts'

/** One figure of the lab over all faults and seeds, with its 95 % bootstrap interval over them. */
export interface LabFigure {
  readonly metric: string
  readonly value: number
  readonly interval: readonly [number, number]
  /** Faults, controls or seeds that it is taken over. */
  readonly over: number
}

/** What became of one kind of fault over the seeds. */
export interface LabRow {
  readonly kind: string
  readonly runs: number
  readonly found: number
  readonly seconds: readonly number[]
  readonly causeRanks: readonly (number | null)[]
  readonly control: boolean
}

type Statistic = readonly [metric: string, of: (outcome: FaultOutcome) => number, how: typeof mean]

const rankIs = (most: number) => (one: FaultOutcome) =>
  Number(one.rankAtEnd !== null && one.rankAtEnd <= most)

/** A fault that was not found counts as a miss in every share; only the time is of those found. */
const OF_FAULTS: readonly Statistic[] = [
  ['found, share', one => Number(one.detected), mean],
  ['seconds to detect, median of those found', one => one.secondsToDetect ?? Number.NaN, median],
  ['seconds to detect, mean of those found', one => one.secondsToDetect ?? Number.NaN, mean],
  ['true cause first at opening, share', one => Number(one.rankAtOpening === 1), mean],
  ['true cause first at the end, share', rankIs(1), mean],
  ['true cause among three at the end, share', rankIs(3), mean],
  ['further disruptions of the same fault, mean', one => one.further.length, mean],
]

const OF_CONTROLS: readonly Statistic[] = [['controls called, share', one => Number(one.detected), mean]]

/** The figures of a report. Deterministic: the same outcomes give the same intervals. */
export function labFigures(report: LabReport): LabFigure[] {
  const faults = report.outcomes.filter(({ control }) => !control)
  const controls = report.outcomes.filter(({ control }) => control)
  const falses = report.seeds.map(seed => report.falseDisruptions.filter(one => one.seed === seed).length)
  return [
    ...OF_FAULTS.map(statistic => figure(statistic, faults)),
    ...OF_CONTROLS.map(statistic => figure(statistic, controls)),
    {
      metric: 'false disruptions a run, mean',
      value: mean(falses),
      interval: bootstrap95(falses.length, at => mean(at.map(i => falses[i]))),
      over: falses.length,
    },
  ]
}

function figure([metric, of, how]: Statistic, outcomes: readonly FaultOutcome[]): LabFigure {
  const values = outcomes.map(of)
  const interval = bootstrap95(values.length, at => how(at.map(i => values[i])))
  return { metric, value: how(values), interval, over: values.length }
}

export function labRows({ outcomes }: LabReport): LabRow[] {
  return FAULT_KINDS.flatMap(kind => {
    const own = outcomes.filter(one => one.kind === kind)
    if (own.length === 0) return []
    return [
      {
        kind,
        runs: own.length,
        found: own.filter(one => one.detected).length,
        seconds: own.flatMap(one => one.secondsToDetect ?? []),
        causeRanks: own.map(one => one.rankAtEnd),
        control: own[0].control,
      },
    ]
  })
}

export function labTableText(report: LabReport): string {
  const number = (value: number) => (Number.isFinite(value) ? value.toFixed(value >= 10 ? 1 : 2) : '–')
  const rows = labRows(report).map(({ kind, runs, found, seconds, causeRanks, control }) => [
    control ? `${kind} (control)` : kind,
    `${found}/${runs}`,
    seconds.map(value => value.toFixed(1)).join(' '),
    control ? '' : causeRanks.map(rank => rank ?? '–').join(' '),
  ])
  const figures = labFigures(report).map(({ metric, value, interval, over }) => [
    metric,
    number(value),
    `[${interval.map(number).join(', ')}]`,
    `of ${over}`,
  ])
  const faults = lines([['fault', 'found', 'seconds, by seed', 'cause at the end'], ...rows])
  return `lab (seeds ${report.seeds.join(', ')})\n${faults}\n${lines(figures)}`
}

function lines(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map(row => row[column].length)))
  const text = rows.map(row =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column])).join('  ')}`.trimEnd(),
  )
  return `${text.join('\n')}\n`
}
