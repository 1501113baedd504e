// How soon a scorer that is catching up lets go of the partitions of one that joins: its CPU, what it took of the others, and
// the time that passed, from when the second one had joined until the first holds its share only; and until both do.
// node --expose-gc --import tsx bench/measures/hand-over.ts [--kafka HOST:PORT --redis URL] [--series N] [--steps N]
//   [--partitions N] [--repetitions N]
import { parseArgs } from 'node:util'
import { QUICK, say } from '../measure.ts'
import { type Engines, onEngines, SamplesLog, ScorerProcesses } from '../scorers.ts'

const { values: args } = parseArgs({
  options: {
    kafka: { type: 'string' },
    redis: { type: 'string' },
    quick: { type: 'boolean' },
    series: { type: 'string', default: QUICK ? '2000' : '20000' },
    steps: { type: 'string', default: QUICK ? '60' : '300' },
    partitions: { type: 'string', default: '8' },
    repetitions: { type: 'string', default: QUICK ? '1' : '5' },
  },
})
const series = Number(args.series)
const partitions = Number(args.partitions)
/** The first works alone until it has taken so much of the log: it has compiled what is hot, and has something to save. */
const ALONE = 0.05

interface HandOver {
  /** CPU of the first, ms. */
  readonly cpuMs: number
  readonly wallMs: number
  /** Samples taken meanwhile. */
  readonly samples: number
  /** Until the second holds its share, ms. */
  readonly sharedMs: number
  /** Whether the log lasted until then. */
  readonly isWhole: boolean
}

async function handOver(engines: Engines): Promise<HandOver> {
  const log = await SamplesLog.make(engines, series, partitions)
  const scorers = new ScorerProcesses(log, engines)
  try {
    await log.fill(Number(args.steps))
    await scorers.join()
    await scorers.until(({ taken }) => taken >= ALONE)
    await scorers.join()
    const from = scorers.standing
    const freed = await scorers.until(({ held }) => held[0] <= Math.ceil(partitions / 2))
    const shared = await scorers.until(({ isShared }) => isShared)
    return {
      cpuMs: freed.cpuMs[0] - from.cpuMs[0],
      wallMs: freed.atMs - from.atMs,
      samples: (freed.taken - from.taken) * log.samples,
      sharedMs: shared.atMs - from.atMs,
      isWhole: freed.taken < 1,
    }
  } finally {
    await scorers.end()
    await log.close()
  }
}

const runs = await onEngines(args, async engines => {
  const all: HandOver[] = []
  while (all.length < Number(args.repetitions)) all.push(await handOver(engines))
  return all
})
if (!QUICK && runs.some(({ isWhole }) => !isWhole)) throw new Error('the log was over before: more --steps')
const row = (id: string, what: string, unit: string, value: (one: HandOver) => number) => ({
  id: `hand-over.${id}`,
  what,
  unit,
  values: runs.map(value),
})
say([
  row('cpu', 'a scorer that catches up lets go of half its partitions', 'ms CPU', one => one.cpuMs),
  row('wall', '· time from when another has joined', 'ms wall', one => one.wallMs),
  row('samples', '· samples taken meanwhile', 'samples', one => one.samples),
  row('shared', '· time until that one holds them', 'ms wall', one => one.sharedMs),
])
