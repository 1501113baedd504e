// Scorers on a real Kafka and Redis: how many samples a second one and two processes take from the same log, and what a
// sample costs from Kafka to the report that is written back. The log is filled before; what is counted is the stretch from
// a third to nine tenths of it, when all have their partitions and nobody waits for data.
// node --import tsx bench/measures/fleet.ts [--kafka HOST:PORT --redis URL] [--series N] [--steps N] [--partitions N]
import { type ChildProcess, spawn } from 'node:child_process'
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

const { values: args } = parseArgs({
  options: {
    /** Without these a Kafka and a Redis are started here. */
    kafka: { type: 'string' },
    redis: { type: 'string' },
    quick: { type: 'boolean' },
    series: { type: 'string', default: QUICK ? '2000' : '20000' },
    steps: { type: 'string', default: QUICK ? '12' : '60' },
    partitions: { type: 'string', default: '8' },
  },
})
const series = Number(args.series)
const steps = Number(args.steps)
const partitions = Number(args.partitions)
const STEP_MS = 10_000
const T0 = 1_700_000_000_000
const PER_BODY = 10_000
/** Where counting begins and ends, of all messages. */
const FROM = 1 / 3
const TO = 0.9
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
}

/** Scorers without memory of earlier ones read the whole log. */
async function run(processes: number, ends: readonly number[]): Promise<Run> {
  const newest = new Map<number, ScorerProgress>()
  const children: ChildProcess[] = []
  const redisPrefix = `bench-${randomUUID().slice(0, 8)}:`
  for (let i = 0; i < processes; i++) {
    const settings: ScorerSettings = {
      kafka: { ...kafka, clientId: `scorer-${i}` },
      redis: { url: redisUrl, prefix: redisPrefix },
      member: `scorer-${i}`,
      config: { checkpoint: { every: '10s' } },
      reportMs: REPORT_MS,
    }
    const script = resolve(import.meta.dirname, '../../test/cluster/scorer-process.ts')
    const child = spawn(process.execPath, ['--import', 'tsx', script, JSON.stringify(settings)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.push(child)
    createInterface({ input: child.stdout as NodeJS.ReadableStream & NodeJS.ReadStream }).on('line', line => {
      if (line.startsWith('{')) newest.set(i, JSON.parse(line) as ScorerProgress)
    })
  }
  const total = ends.reduce((sum, end) => sum + end, 0)
  const done = new Array<number>(partitions).fill(0)
  const standing = () => {
    let cpuMs = 0
    let rss = 0
    for (const { positions, cpuMs: used, rssBytes } of newest.values()) {
      for (const [p, position] of positions) done[p] = Math.max(done[p], Math.min(position, ends[p]))
      cpuMs += used
      rss += rssBytes
    }
    return { at: performance.now(), share: done.reduce((sum, at) => sum + at, 0) / total, cpuMs, rss }
  }
  const until = async (share: number) => {
    for (let now = standing(); ; now = standing()) {
      if (now.share >= share) return now
      await wait(20)
    }
  }
  const from = await until(FROM)
  const to = await until(TO)
  await until(1)
  for (const child of children) child.kill('SIGTERM')
  await Promise.all(children.map(child => new Promise(gone => child.once('exit', gone))))
  const samples = (to.share - from.share) * series * steps
  return {
    perSecond: (1000 * samples) / (to.at - from.at),
    cpuNs: (1e6 * (to.cpuMs - from.cpuMs)) / samples,
    rssMb: to.rss / 1_048_576,
  }
}

/** Runs of each number of scorers, by turns. */
const REPETITIONS = QUICK ? 1 : 3
try {
  const ends = await fill()
  const runs: Record<1 | 2, Run[]> = { 1: [], 2: [] }
  for (let r = 0; r < REPETITIONS; r++)
    for (const processes of [1, 2] as const) runs[processes].push(await run(processes, ends))
  const measured: Measured[] = []
  for (const processes of [1, 2] as const) {
    const id = `fleet.${processes}`
    const who = processes === 1 ? 'one scorer' : `${processes} scorers`
    const all = runs[processes]
    measured.push(
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
    )
  }
  measured.push({
    id: 'fleet.ratio',
    what: '· two scorers against one',
    unit: '×',
    better: 'more',
    values: runs[2].map((one, i) => one.perSecond / runs[1][i].perSecond),
  })
  say(measured)
} finally {
  for (const work of atEnd.reverse()) await work()
}
