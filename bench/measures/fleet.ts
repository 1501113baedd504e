// Scorers on a real Kafka and Redis: how many samples a second one and two processes take from the same log, and what a
// sample costs from Kafka to the report that is written back. The start of a scorer is told apart: a first part of the log is
// there when they begin, more when all hold their share of the partitions, so that V8 compiles what is hot in each; then all
// stand still until the rest is written, and what is counted is nine tenths of that, when nobody waits for data.
// node --import tsx bench/measures/fleet.ts [--kafka HOST:PORT --redis URL] [--series N] [--steps N] [--partitions N]
//   [--scorers N,…] [--repetitions N] [--checkpoint DURATION]
import { parseArgs } from 'node:util'
import { type Measured, QUICK, say } from '../measure.ts'
import { type Engines, onEngines, SamplesLog, ScorerProcesses, summed } from '../scorers.ts'
import { ratios } from '../turns.ts'

const { values: args } = parseArgs({
  options: {
    /** Without these a Kafka and a Redis are started here. */
    kafka: { type: 'string' },
    redis: { type: 'string' },
    quick: { type: 'boolean' },
    series: { type: 'string', default: QUICK ? '2000' : '20000' },
    steps: { type: 'string', default: QUICK ? '12' : '160' },
    partitions: { type: 'string', default: '8' },
    /** How many processes, by turns. */
    scorers: { type: 'string', default: '1,2' },
    /** How often a partition is saved: by the clock, so that it weighs the more on a sample the slower the machine is. */
    checkpoint: { type: 'string', default: '10s' },
    repetitions: { type: 'string', default: QUICK ? '1' : '3' },
  },
})
const series = Number(args.series)
const steps = Number(args.steps)
const partitions = Number(args.partitions)
const counts = args.scorers.split(',').map(Number)
/** Steps that are there when the first begins, and those that all take before they are counted. */
const FIRST = Math.ceil(0.1 * steps)
const WARM = Math.ceil(0.2 * steps)
/** Where counting ends, of what is counted: one that has no more to take must not be waited for. */
const TO = 0.9

interface Run {
  readonly perSecond: number
  readonly cpuNs: number
  readonly rssMb: number
  /** CPU of the one that was last to hold its share, until it did, ms. */
  readonly startMs: number
}

/** Scorers without memory of earlier ones read a log of their own. */
async function run(processes: number, engines: Engines): Promise<Run> {
  const log = await SamplesLog.make(engines, series, partitions)
  const scorers = new ScorerProcesses(log, engines, args.checkpoint)
  try {
    await log.fill(FIRST)
    await Promise.all(Array.from({ length: processes }, () => scorers.join()))
    const shared = await scorers.until(({ isShared }) => isShared)
    await scorers.until(({ taken }) => taken === 1)
    await log.fill(WARM)
    await scorers.until(({ taken }) => taken === 1)
    scorers.order('hold')
    await log.fill(steps - FIRST - WARM)
    const from = scorers.standing
    scorers.order('go')
    const to = await scorers.until(({ taken }) => taken >= from.taken + TO * (1 - from.taken))
    const samples = (to.taken - from.taken) * log.samples
    return {
      perSecond: (1000 * samples) / (to.atMs - from.atMs),
      cpuNs: (1e6 * (summed(to.cpuMs) - summed(from.cpuMs))) / samples,
      rssMb: to.rssBytes / 1_048_576,
      startMs: Math.min(...shared.cpuMs),
    }
  } finally {
    await scorers.end()
    await log.close()
  }
}

const runs = new Map(counts.map((processes): [number, Run[]] => [processes, []]))
await onEngines(args, async engines => {
  for (let r = 0; r < Number(args.repetitions); r++)
    for (const [processes, all] of runs) all.push(await run(processes, engines))
})
say([...runs].flatMap(([processes, all]) => measuredOf(processes, all, runs.get(1))))

/** `alone`: the runs of one process, by turns with these. */
function measuredOf(processes: number, all: readonly Run[], alone: readonly Run[] | undefined): Measured[] {
  const id = `fleet.${processes}`
  const who = processes === 1 ? 'one scorer' : processes === 2 ? 'two scorers' : `${processes} scorers`
  const rows: Measured[] = [
    {
      id: `${id}.rate`,
      what: `${who}, ${series} series, ${partitions} partitions`,
      unit: 'samples/s wall',
      better: 'more',
      values: all.map(one => one.perSecond),
    },
    {
      id: `${id}.cpu`,
      what: '· from Kafka to the report',
      unit: 'ns CPU/sample',
      values: all.map(one => one.cpuNs),
    },
    {
      id: `${id}.rss`,
      what: '· resident memory, all processes',
      unit: 'MiB',
      values: all.map(one => one.rssMb),
    },
    {
      id: `${id}.start`,
      what: '· start of a scorer, until it holds its share',
      unit: 'ms CPU',
      values: all.map(one => one.startMs),
    },
  ]
  if (processes === 1 || alone === undefined) return rows
  const against = (value: (one: Run) => number) => ratios(all.map(value), alone.map(value))
  return [
    ...rows,
    {
      id: processes === 2 ? 'fleet.ratio' : `${id}.ratio`,
      what: `· ${who} against one`,
      unit: '×',
      better: 'more',
      values: against(one => one.perSecond),
    },
    {
      id: `${id}.dearer`,
      what: `· CPU of a sample, ${who} against one`,
      unit: '×',
      values: against(one => one.cpuNs),
    },
  ]
}
