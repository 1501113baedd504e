// Real Apache Kafka for tests: one broker that is its own controller (KRaft), small and quick to start. `kafka` gives the
// one that all tests of a run share, with topics of the test's own by a random prefix; `ownKafka` one that a test may stop,
// kill and start again. KAFKA_BROKERS names a Kafka that is there already.
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { inject, onTestFinished, type TestContext } from 'vitest'
import { KafkaStreams, type KafkaStreamsOptions } from '../../src/bus/kafka-streams.ts'
import { createTopics, type TopicPlan } from '../../src/bus/kafka-topics.ts'
import {
  answering,
  command,
  freePorts,
  type KafkaPeer,
  newFolder,
  type OwnKafka,
  START_MS,
  startBroker,
} from './kafka-broker.ts'
import { type KafkaSoftware, kafkaSoftware } from './kafka-software.ts'
import { missing } from './peers.ts'

/** A broker of the test's own, running; it is gone when the test ends. */
export async function ownKafka(context: TestContext): Promise<OwnKafka> {
  const { kafka: own, end } = await startBroker(await kafkaSoftware(context))
  context.onTestFinished(end)
  return own
}

/** The broker that all tests of a run share. Whoever asks first starts it; vitest's global setup ends it. */
export async function kafka(context: TestContext): Promise<KafkaPeer> {
  const given = process.env.KAFKA_BROKERS
  if (given !== undefined && given !== '') return { broker: given.split(',')[0], secured: undefined }
  const { folder, pid } = inject('kafka')
  const known = join(folder, 'known.json')
  for (const end = Date.now() + START_MS + 600_000; ; await wait(100)) {
    if (existsSync(known)) {
      const { failed, ...peer } = JSON.parse(readFileSync(known, 'utf8')) as KafkaPeer & { failed?: string }
      return failed === undefined ? peer : missing('kafka', failed, context)
    }
    if (Date.now() > end) throw new Error(`${folder}: whoever starts Kafka does not come to an end`)
    try {
      mkdirSync(join(folder, 'starting'))
    } catch {
      continue
    }
    const write = (what: object) => {
      writeFileSync(`${known}.draft`, JSON.stringify(what))
      renameSync(`${known}.draft`, known)
    }
    try {
      write(await startShared(await kafkaSoftware(context), folder, pid))
    } catch (error) {
      write({ failed: String(error) })
    }
  }
}

/** Runs beside this process, and ends with the process `pid`, however that comes to its end. */
async function startShared(software: KafkaSoftware, parent: string, pid: number): Promise<KafkaPeer> {
  const ports = await freePorts()
  const folder = newFolder(software, parent, ports)
  const quoted = command(software, folder).map(word => `'${word}'`)
  const script = `${quoted.join(' ')} & echo $! > pid; while kill -0 ${pid} 2>/dev/null && kill -0 $! 2>/dev/null; do sleep 1; done; kill -9 $!; rm -rf '${parent}'`
  const output = openSync(join(folder, 'output'), 'a')
  const child = spawn('/bin/sh', ['-c', script], {
    cwd: folder,
    stdio: ['ignore', output, output],
    detached: true,
  })
  child.unref()
  await answering(ports.plain, folder, () => child.exitCode === null)
  return { broker: `127.0.0.1:${ports.plain}`, secured: `127.0.0.1:${ports.secured}` }
}

/** How a test reaches a broker; its topics and groups are its own by their prefix. */
export const kafkaOptions = (
  peer: KafkaPeer,
  more: Partial<KafkaStreamsOptions> = {},
): KafkaStreamsOptions => ({
  brokers: [peer.broker],
  clientId: 'foreshock-test',
  prefix: `t-${randomUUID().slice(0, 8)}.`,
  compression: 'lz4',
  sessionTimeoutMs: 3000,
  ...more,
})

/** Topics of a test's own, and clients of them that are closed when it ends. */
export async function kafkaWorld(
  topics: Readonly<Record<string, number>>,
  context: TestContext,
  more: Partial<KafkaStreamsOptions> = {},
): Promise<{ readonly options: KafkaStreamsOptions; streams(): Promise<KafkaStreams> }> {
  const options = kafkaOptions(await kafka(context), more)
  const plan = Object.entries(topics).map(
    ([name, partitions]): TopicPlan => ({ name, partitions, replication: 1, config: {} }),
  )
  await createTopics(options, plan)
  return {
    options,
    streams: async () => {
      const streams = new KafkaStreams(options)
      onTestFinished(() => streams.close())
      return streams
    },
  }
}
