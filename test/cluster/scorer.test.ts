// Shows on real Kafka and Redis, with scorers in processes of their own, that one that is killed mid-window and one that
// hangs for longer than its session leave no trace in what is told: after repeats are dropped it is byte for byte what one
// undisturbed scorer makes of the same log.
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, it, type TestContext, vi } from 'vitest'
import type { KafkaStreams } from '../../src/bus/kafka-streams.ts'
import { entityKey, partitionOf } from '../../src/bus/partition-of.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { CONTENT, HEADERS, type StoredMessage, TOPICS } from '../../src/core/stream.ts'
import { Splitter } from '../../src/ingest/splitter.ts'
import { kafkaWorld } from '../peers/kafka.ts'
import { redis } from '../peers/redis.ts'
import { Puppet, reportsOf, ScorerWorld, STEP_MS, takenBy, worldConfig } from '../roles/scorer-world.ts'
import type { ScorerSettings } from './scorer-process.ts'

const PARTITIONS = 4
const SERVICES = 40
const STEPS = 60
const SESSION_MS = 3000
/** Lately: Kafka drops what is older than its retention. */
const FROM_MS = Math.floor(Date.now() / STEP_MS) * STEP_MS - STEPS * STEP_MS
const CONFIG = {
  ingest: { entityLabels: ['service'] },
  features: { step: '10s' },
  checkpoint: { every: '1s' },
}

async function startScorer(settings: ScorerSettings, context: TestContext): Promise<ChildProcess> {
  const script = join(import.meta.dirname, 'scorer-process.ts')
  const child = spawn(process.execPath, ['--import', 'tsx', script, JSON.stringify(settings)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  context.onTestFinished(() => void child.kill('SIGKILL'))
  await new Promise<void>((done, failed) => {
    child.stdout?.once('data', () => done())
    child.once('exit', code => failed(new Error(`a scorer ended with ${code} before it had joined`)))
  })
  return child
}

/** One window of all services: three metrics each, of which one now and then jumps. */
function bodyOf(step: number): string {
  const time = FROM_MS + step * STEP_MS
  const lines: string[] = []
  for (let s = 0; s < SERVICES; s++) {
    const labels = { service: `service-${s}` }
    const noise = 1 + 0.1 * Math.sin(s * 12.9898 + step * 78.233)
    const value = step > 40 && s % 9 === 0 ? 4 * noise : noise
    for (const metric of ['latency_p99_seconds', 'cpu_ratio', 'queue_depth'])
      lines.push(JSON.stringify({ time, metric, labels, value }))
  }
  return lines.join('\n')
}

async function all(streams: KafkaStreams, topic: string, partition: number): Promise<StoredMessage[]> {
  const messages: StoredMessage[] = []
  for await (const message of streams.read(topic, partition, 0)) messages.push(message)
  return messages
}

/** What one scorer makes of a log in peace. */
async function inPeace(samples: readonly (readonly StoredMessage[])[]): Promise<[string, string][]> {
  const world = new ScorerWorld(PARTITIONS, 1, worldConfig(CONFIG))
  for (const [partition, messages] of samples.entries()) {
    for (const [offset, message] of messages.entries()) {
      expect(message.offset).toBe(offset)
      world.append({ ...message, partition })
    }
  }
  for (let p = 0; p < PARTITIONS; p++) {
    const puppet = new Puppet(world)
    await puppet.start(p)
    while (await puppet.take(1000, p)) {}
    await puppet.revoke(true, p)
  }
  return takenBy(world.messages(TOPICS.anomalies))
}

it('kill -9 mid-window, and a zombie: what is told is what one undisturbed scorer tells', {
  timeout: 120_000,
}, async context => {
  context.onTestFinished(() => void vi.useRealTimers())
  const topics = { [TOPICS.samples]: PARTITIONS, [TOPICS.anomalies]: 1, [TOPICS.deadLetters]: 1 }
  const kafka = await kafkaWorld(topics, context, { sessionTimeoutMs: SESSION_MS })
  const peer = await redis(context)
  const settings = (member: string): ScorerSettings => ({
    kafka: { ...kafka.options, clientId: member },
    redis: { url: peer.url },
    member,
    config: CONFIG,
  })
  const streams = await kafka.streams()
  const producer = await streams.producer()
  const splitter = new Splitter(
    { entityLabels: ['service'] },
    {
      rejects: new Rejects(),
      partitions: PARTITIONS,
      place: (tenant, entity) => partitionOf(entityKey(tenant, entity), PARTITIONS),
    },
  )
  const send = async (from: number, to: number) => {
    for (let step = from; step < to; step++) {
      const arrivalMs = FROM_MS + step * STEP_MS + 1000
      const bytes = new TextEncoder().encode(bodyOf(step))
      const { parts } = splitter.split({
        kind: 'json-lines',
        encoding: 'identity',
        arrivalMs,
        tenant: 'default',
        bytes,
      })
      splitter.keep()
      const headers = { [HEADERS.content]: CONTENT.columns, [HEADERS.tenant]: 'default' }
      await producer.send(
        TOPICS.samples,
        parts.map(({ partition, bytes: value }) => ({
          key: null,
          partition,
          value,
          headers,
          timestampMs: arrivalMs,
        })),
      )
      await wait(20)
    }
  }
  /** Every partition has told all that the steps so far complete. */
  const told = async (steps: number) => {
    const endMs = FROM_MS + (steps - 2) * STEP_MS
    for (const end = Date.now() + 60_000; ; await wait(100)) {
      const reports = reportsOf(await all(streams, TOPICS.anomalies, 0))
      const reached = new Set(
        reports
          .filter(({ header }) => header.windowEndMs >= endMs)
          .map(({ header }) => header.samplesPartition),
      )
      if (reached.size === PARTITIONS) return
      if (Date.now() > end) throw new Error(`step ${steps} is told by ${[...reached]} alone`)
    }
  }

  // Every partition has series before its owner says that time passes.
  await send(0, 15)
  const first = await startScorer(settings('a'), context)
  const second = await startScorer(settings('b'), context)
  await told(15)
  const sending = send(15, 35)
  await wait(150)
  first.kill('SIGKILL')
  await sending
  await told(35)

  // It hangs for longer than its session, and wakes up in the belief that nothing has happened.
  await startScorer(settings('c'), context)
  await send(35, 45)
  await told(45)
  second.kill('SIGSTOP')
  await send(45, 55)
  await told(55)
  second.kill('SIGCONT')
  await send(55, STEPS)
  await told(STEPS)

  const samples = await Promise.all(
    Array.from({ length: PARTITIONS }, (_, p) => all(streams, TOPICS.samples, p)),
  )
  // No ticks of its own.
  vi.useFakeTimers({ toFake: ['setInterval'] })
  const expected = await inPeace(samples)
  const taken = takenBy(await all(streams, TOPICS.anomalies, 0))
  // Ticks that came in the meantime are told later on; everything before them is there, in the order of each partition.
  for (let p = 0; p < PARTITIONS; p++) {
    const of = (reports: readonly [string, string][]) => reports.filter(([name]) => name.startsWith(`${p}/`))
    const [mine, peace] = [of(taken), of(expected)]
    expect(mine.length).toBeGreaterThanOrEqual(STEPS - 1)
    expect(mine).toEqual(peace.slice(0, mine.length))
  }
  expect(await all(streams, TOPICS.deadLetters, 0)).toEqual([])
})
