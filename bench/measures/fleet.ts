// Scorers on a real Kafka and Redis: how many samples a second one and two processes take from the same log, and what a
// sample costs from Kafka to the report that is written back. The log is filled before; what is counted is the stretch from
// a third to nine tenths of it, when all have their partitions and nobody waits for data.
// node --import tsx bench/measures/fleet.ts --kafka HOST:PORT --redis URL [--series N] [--steps N] [--partitions N]
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { KafkaStreams } from '../../src/bus/kafka-streams.ts'
import { createTopics } from '../../src/bus/kafka-topics.ts'
import { entityKey, partitionOf } from '../../src/bus/partition-of.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { CONTENT, HEADERS, TOPICS } from '../../src/core/stream.ts'
import { Splitter } from '../../src/ingest/splitter.ts'
import type { ScorerProgress, ScorerSettings } from '../../test/cluster/scorer-process.ts'
import { BodyWriter } from '../bodies.ts'
import { type Measured, say } from '../measure.ts'

const { values: args } = parseArgs({
  options: {
    kafka: { type: 'string', default: '127.0.0.1:9092' },
    redis: { type: 'string', default: 'redis://127.0.0.1:6379' },
    series: { type: 'string', default: '20000' },
    steps: { type: 'string', default: '60' },
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

const kafka = {
  brokers: [args.kafka],
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
      redis: { url: args.redis, prefix: redisPrefix },
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

const ends = await fill()
const measured: Measured[] = []
for (const processes of [1, 2]) {
  const { perSecond, cpuNs, rssMb } = await run(processes, ends)
  const who = processes === 1 ? 'one scorer' : `${processes} scorers`
  measured.push(
    {
      id: `fleet.${processes}.rate`,
      what: `${who}, ${series} series, ${partitions} partitions`,
      unit: 'samples/s',
      values: [perSecond],
    },
    {
      id: `fleet.${processes}.cpu`,
      what: '· from Kafka to the report',
      unit: 'ns CPU/sample',
      values: [cpuNs],
    },
    { id: `fleet.${processes}.rss`, what: '· resident memory, all processes', unit: 'MiB', values: [rssMb] },
  )
}
say(measured)
