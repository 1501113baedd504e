import type { Report } from './report.ts'

/** The fourteen goals of speed and memory, each with the measure that tells where it stands. */
export interface Goal {
  readonly number: number
  readonly what: string
  /** Id of the measure. */
  readonly id: string
  readonly better: 'less' | 'more'
  readonly floor: number
  readonly aim: number
  readonly unit: string
}

const goal = (
  number: number,
  what: string,
  id: string,
  better: Goal['better'],
  floor: number,
  aim: number,
  unit = '×',
): Goal => ({ number, what, id, better, floor, aim, unit })

export const GOALS: readonly Goal[] = [
  goal(1, 'remote write → tier-0 score: CPU of idiomatic JavaScript ÷ ours', 'goal.1', 'more', 10, 25),
  goal(2, 'the running service ÷ VictoriaMetrics, same bodies', 'goal.2', 'less', 0.7, 0.3),
  goal(3, 'whole tier-0 pipeline ÷ JSON.parse alone', 'goal.3', 'less', 1, 0.4),
  goal(4, 'the running service ÷ a server that discards', 'goal.4', 'less', 6, 3),
  goal(5, "random cut forest 30×256: ours ÷ AWS's in Java, CPU", 'goal.5', 'less', 1.2, 0.5),
  goal(6, "half-space trees: river's CPU ÷ ours", 'goal.6', 'more', 25, 150),
  goal(7, 'Kafka consumed and decoded ÷ a plain Java consumer', 'consume.decode.ratio', 'less', 2, 1),
  goal(8, 'resident memory a series, slope from 1 M to 5 M', 'goal.8', 'less', 800, 500, 'B'),
  goal(9, 'CPU a sample at 5 M series ÷ at 100 k', 'goal.9', 'less', 3, 1.5),
  goal(
    10,
    'arrival → taken in while windows are scored, p99 ÷ an empty loop, 500 k samples/s',
    'goal.10',
    'less',
    4,
    1.5,
  ),
  goal(11, 'ONNX, CPU a row: batch 256 ÷ batch 1', 'inference.autoencoder.batch', 'less', 1 / 15, 1 / 40),
  goal(12, 'two threads, one of them scoring, ÷ one, samples a second', 'goal.12', 'more', 1.6, 1.85),
  goal(13, 'heap allocated a sample, steady state', 'path.heap', 'less', 1, 0, 'B'),
  goal(14, 'ranking 5,000 anomalous series, p99 of CPU', 'ranking.cpu.p99.ms', 'less', 50, 10, 'ms'),
]

export interface GoalRow {
  readonly goal: Goal
  /** Median; undefined where it was not measured. */
  readonly got: number | undefined
  readonly spread: readonly [number, number] | undefined
  readonly verdict: string
}

/** Where each goal stands. `failed`: measures that ended badly, by name, with why. */
export function goalRows(
  results: Report['results'],
  failed: Readonly<Record<string, string>> = {},
): GoalRow[] {
  const whys = Object.entries(failed).map(([name, why]) => `${name}: ${why}`)
  return GOALS.map(one => {
    const found = results.find(({ id }) => id === one.id)
    if (found === undefined || found.values.length === 0) {
      const why = found?.why ?? (whys.length > 0 ? `not run, or failed (${whys.join('; ')})` : 'not run')
      return { goal: one, got: undefined, spread: undefined, verdict: `not measured: ${why}` }
    }
    const meets = (bound: number) => (one.better === 'less' ? found.median <= bound : found.median >= bound)
    const verdict = meets(one.aim) ? 'aim met' : meets(one.floor) ? 'floor met' : 'missed'
    const spread = [Math.min(...found.values), Math.max(...found.values)] as const
    return { goal: one, got: found.median, spread, verdict }
  })
}

function shown(value: number): string {
  const size = Math.abs(value)
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toPrecision(2)
}

export const GOAL_HEADER = ['#', 'goal', 'floor', 'aim', 'got', 'min–max', 'verdict']

/** Cells of a row: number, goal, floor, aim, got, spread, verdict. */
export function goalCells({ goal: one, got, spread, verdict }: GoalRow): string[] {
  const sign = one.better === 'less' ? '≤' : '≥'
  const bound = (value: number) => `${sign} ${shown(value)} ${one.unit}`
  return [
    String(one.number),
    one.what,
    bound(one.floor),
    one.aim === 0 ? '0' : bound(one.aim),
    got === undefined ? '–' : `${shown(got)} ${one.unit}`,
    spread === undefined || spread[0] === spread[1] ? '' : `${shown(spread[0])}–${shown(spread[1])}`,
    verdict,
  ]
}
