// Scorers on a real Kafka and Redis: how many samples a second one and two processes take from the same log, and what a
// sample costs from Kafka to the report that is written back. The log is filled before; what is counted is the stretch from
// half to nine tenths of it, when nobody waits for data: not before all have held their share of the partitions for a while. Of
// processes that start beside each other one has all partitions first, and a log of two seconds is over before the next has
// loaded its program, whose start would be counted as the cost of samples; it is told apart.
// node --import tsx bench/measures/fleet.ts [--kafka HOST:PORT --redis URL] [--series N] [--steps N] [--partitions N]
//   [--scorers N,…] [--repetitions N]
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { TestContext } from 'vitest'
import { KafkaStreams } from '../../src/bus/kafka-streams.ts'
import { createTopics } from '../../src/bus/kafka-topics.ts'
import { entityKey, partitionOf } from '../../src/bus/partition-of.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { CONTENT, HEADERS, TOPICS } from '../../src/core/stream.ts'
import { Splitter } from '../../src/ingest/splitter.ts'
import type { ScorerProgress, ScorerSettings } from '../../test/cluster/scorer-process.ts'
import { ownKafka } from '../../test/peers/kafka.ts'
import { redis } from '../../test/peers/redis.ts'
import { BodyWriter } from '../bodies.ts'
import { type Measured, QUICK, say } from '../measure.ts'
import { ratios } from '../turns.ts'

const { values: args } = parseArgs({
  options: {
    /** Without these a Kafka and a Redis are started here. */
    kafka: { type: 'string' },
    redis: { type: 'string' },
    quick: { type: 'boolean' },
    series: { type: 'string', default: QUICK ? '2000' : '20000' },
    steps: { type: 'string', default: QUICK ? '12' : '240' },
    partitions: { type: 'string', default: '8' },
    /** How many processes, by turns. */
    scorers: { type: 'string', default: '1,2' },
    repetitions: { type: 'string', default: QUICK ? '1' : '3' },
  },
})
const series = Number(args.series)
const steps = Number(args.steps)
const partitions = Number(args.partitions)
const counts = args.scorers.split(',').map(Number)
const STEP_MS = 10_000
const T0 = 1_700_000_000_000
const PER_BODY = 10_000
/** Where counting begins and ends, of all messages. */
const FROM = 1 / 2
const TO = 0.9
/** So much of the log each process has taken of its share before: by then V8 has compiled what is hot. */
const WARM = 0.05
/** A stretch that begins later is too short to be counted. */
const LATEST = 0.8
const REPORT_MS = 100

const atEnd: (() => Promise<void> | void)[] = []
/** What the peers want of a test: a name for their messages, and to be told of its end. */
const context = {
  task: { name: 'fleet' },
  skip: (reason: string) => {
    throw new Error(reason)
  },
  onTestFinished: (work: () => Promise<void> | void) => atEnd.push(work),
} as unknown as TestContext
const broker = args.kafka ?? (await ownKafka(context)).broker
const redisUrl = args.redis ?? (await redis(context)).url

const kafka = {
  brokers: [broker],
  clientId: 'foreshock-bench',
  prefix: `bench-${randomUUID().slice(0, 8)}.`,
  compression: 'lz4',
  sessionTimeoutMs: 10_000,
} as const

async function fill(): Promise<number[]> {
  // The samples bear times of long ago.
  const config = { 'retention.ms': '-1' }
  const topic = (name: string, count: number) => ({ name, partitions: count, replication: 1, config })
  await createTopics(kafka, [
    topic(TOPICS.samples, partitions),
    topic(TOPICS.anomalies, 3),
    topic(TOPICS.deadLetters, 1),
  ])
  const streams = new KafkaStreams(kafka)
  const producer = await streams.producer()
  const place = (tenant: string, entity: string) => partitionOf(entityKey(tenant, entity), partitions)
  const splitter = new Splitter({}, { rejects: new Rejects(), partitions, place })
  const bodies = new BodyWriter()
  const headers = { [HEADERS.content]: CONTENT.columns, [HEADERS.tenant]: 'default' }
  for (let t = 0; t < steps; t++) {
    const ms = T0 + t * STEP_MS
    for (let first = 0; first < series; first += PER_BODY) {
      const { parts } = splitter.split({
        kind: 'remote-write-1',
        encoding: 'snappy',
        arrivalMs: ms + 2000,
        tenant: 'default',
        bytes: bodies.body(first, Math.min(PER_BODY, series - first), t, ms),
      })
      const messages = parts.map(({ partition, bytes: value }) => ({
        key: null,
        partition,
        value,
        headers,
        timestampMs: ms + 2000,
      }))
      await producer.send(TOPICS.samples, messages)
      splitter.keep()
    }
  }
  const ends: number[] = []
  for (let p = 0; p < partitions; p++) ends.push((await streams.range(TOPICS.samples, p)).end)
  await streams.close()
  return ends
}

interface Run {
  readonly perSecond: number
  readonly cpuNs: number
  readonly rssMb: number
  /** CPU of the one that was last to hold its share, until it did, ms. */
  readonly startMs: number
}

interface Standing {
  readonly atMs: number
  /** Of the log. */
  readonly share: number
  /** CPU so far, by process; undefined of one that has not said anything. */
  readonly cpuMs: readonly (number | undefined)[]
  readonly rss: number
  /** Every process holds as many partitions as it will. */
  readonly isShared: boolean
}

/** What processes say of themselves → where all of them stand. */
class Fleet {
  readonly #newest: (ScorerProgress | undefined)[]
  readonly #ends: readonly number[]
  readonly #done: number[]

  constructor(processes: number, ends: readonly number[]) {
    this.#newest = new Array(processes).fill(undefined)
    this.#ends = ends
    this.#done = new Array(ends.length).fill(0)
  }

  said(process: number, progress: ScorerProgress): void {
    this.#newest[process] = progress
    for (const [p, position] of progress.positions)
      this.#done[p] = Math.max(this.#done[p], Math.min(position, this.#ends[p]))
  }

  get standing(): Standing {
    const least = Math.floor(this.#ends.length / this.#newest.length)
    const most = Math.ceil(this.#ends.length / this.#newest.length)
    const held = this.#newest.map(one => one?.positions.length ?? 0)
    return {
      atMs: performance.now(),
      share: summed(this.#done) / summed(this.#ends),
      cpuMs: this.#newest.map(one => one?.cpuMs),
      rss: summed(this.#newest.map(one => one?.rssBytes ?? 0)),
      isShared: held.every(count => count >= least && count <= most) && summed(held) === this.#ends.length,
    }
  }

  async until(holds: (now: Standing) => boolean): Promise<Standing> {
    for (let now = this.standing; ; now = this.standing) {
      if (holds(now)) return now
      await wait(20)
    }
  }
}

const summed = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0)

function startScorer(member: string, redisPrefix: string, said: (progress: ScorerProgress) => void) {
  const settings: ScorerSettings = {
    kafka: { ...kafka, clientId: member },
    redis: { url: redisUrl, prefix: redisPrefix },
    member,
    config: { checkpoint: { every: '10s' } },
    reportMs: REPORT_MS,
  }
  const script = resolve(import.meta.dirname, '../../test/cluster/scorer-process.ts')
  const child = spawn(process.execPath, ['--import', 'tsx', script, JSON.stringify(settings)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  createInterface({ input: child.stdout as NodeJS.ReadableStream & NodeJS.ReadStream }).on('line', line => {
    if (line.startsWith('{')) said(JSON.parse(line) as ScorerProgress)
  })
  return child
}

/** Where a fleet stands when all hold their share, when counting begins, and when it ends; the log is at its end then. */
async function measured(fleet: Fleet, processes: number) {
  const shared = await fleet.until(({ isShared }) => isShared)
  const begin = Math.max(FROM, shared.share + WARM * processes)
  if (begin > LATEST && !QUICK)
    throw new Error(`${processes} scorers shared the log at ${shared.share.toFixed(2)} of it: more --steps`)
  const from = await fleet.until(({ share }) => share >= Math.min(begin, 1))
  const to = await fleet.until(({ share }) => share >= Math.max(TO, Math.min(begin, 1)))
  await fleet.until(({ share }) => share === 1)
  return { shared, from, to }
}

/** Scorers without memory of earlier ones read the whole log. */
async function run(processes: number, ends: readonly number[]): Promise<Run> {
  const fleet = new Fleet(processes, ends)
  const redisPrefix = `bench-${randomUUID().slice(0, 8)}:`
  const children = Array.from({ length: processes }, (_, i) =>
    startScorer(`scorer-${i}`, redisPrefix, progress => fleet.said(i, progress)),
  )
  const gone = children.map(child => new Promise(ended => child.once('exit', ended)))
  const broken = Promise.race(gone).then(code => {
    throw new Error(`a scorer ended with ${code}`)
  })
  const { shared, from, to } = await Promise.race([measured(fleet, processes), broken]).finally(() => {
    for (const child of children) child.kill('SIGTERM')
  })
  await Promise.all(gone)
  const samples = (to.share - from.share) * series * steps
  const cpuMs = (one: Standing) => summed(one.cpuMs.map(ms => ms ?? Number.NaN))
  return {
    perSecond: (1000 * samples) / (to.atMs - from.atMs),
    cpuNs: (1e6 * (cpuMs(to) - cpuMs(from))) / samples,
    rssMb: to.rss / 1_048_576,
    startMs: Math.min(...shared.cpuMs.map(ms => ms ?? Number.NaN)),
  }
}

try {
  const ends = await fill()
  const runs = new Map(counts.map((processes): [number, Run[]] => [processes, []]))
  for (let r = 0; r < Number(args.repetitions); r++)
    for (const [processes, all] of runs) all.push(await run(processes, ends))
  say([...runs].flatMap(([processes, all]) => measuredOf(processes, all, runs.get(1))))
} finally {
  for (const work of atEnd.reverse()) await work()
}

/** `alone`: the runs of one process, by turns with these. */
function measuredOf(processes: number, all: readonly Run[], alone: readonly Run[] | undefined): Measured[] {
  const id = `fleet.${processes}`
  const who = processes === 1 ? 'one scorer' : `${processes} scorers`
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
  const name = processes === 2 ? 'two' : processes
  const against = (value: (one: Run) => number) => ratios(all.map(value), alone.map(value))
  return [
    ...rows,
    {
      id: processes === 2 ? 'fleet.ratio' : `${id}.ratio`,
      what: `· ${name} scorers against one`,
      unit: '×',
      better: 'more',
      values: against(one => one.perSecond),
    },
    {
      id: `${id}.dearer`,
      what: `· CPU of a sample, ${name} scorers against one`,
      unit: '×',
      values: against(one => one.cpuNs),
    },
  ]
}
