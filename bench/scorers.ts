// Scorers as processes of their own on a real Kafka and Redis, and the log that they read: for measures that count what they take.
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import type { TestContext } from 'vitest'
import { KafkaStreams, type KafkaStreamsOptions } from '../src/bus/kafka-streams.ts'
import { createTopics } from '../src/bus/kafka-topics.ts'
import { entityKey, partitionOf } from '../src/bus/partition-of.ts'
import { Rejects } from '../src/core/rejects.ts'
import { CONTENT, HEADERS, type StreamProducer, TOPICS } from '../src/core/stream.ts'
import { Splitter } from '../src/ingest/splitter.ts'
import type { ScorerOrder, ScorerProgress, ScorerSettings } from '../test/cluster/scorer-process.ts'
import { ownKafka } from '../test/peers/kafka.ts'
import { redis } from '../test/peers/redis.ts'
import { BodyWriter, scraped } from './bodies.ts'

const STEP_MS = 10_000
const T0 = 1_700_000_000_000
const PER_BODY = 10_000
const REPORT_MS = 50
const LOOK_MS = 10
/** Whoever stands still for so long will not come to an end. */
const PATIENCE_MS = 300_000

export interface Engines {
  readonly broker: string
  readonly redisUrl: string
}

/** Runs `work` on the engines that are named, or on ones that are started for it and end with it. */
export async function onEngines<T>(
  named: { readonly kafka?: string | undefined; readonly redis?: string | undefined },
  work: (engines: Engines) => Promise<T>,
): Promise<T> {
  const atEnd: (() => Promise<void> | void)[] = []
  // What the peers want of a test: a name for their messages, and to be told of its end.
  const context = {
    task: { name: 'scorers' },
    skip: (reason: string) => {
      throw new Error(reason)
    },
    onTestFinished: (end: () => Promise<void> | void) => atEnd.push(end),
  } as unknown as TestContext
  try {
    const broker = named.kafka ?? (await ownKafka(context)).broker
    const redisUrl = named.redis ?? (await redis(context)).url
    return await work({ broker, redisUrl })
  } finally {
    for (const end of atEnd.reverse()) await end()
  }
}

/** Columns of samples, as gateways write them, in a topic of its own. It is filled when and as far as is asked. */
export class SamplesLog {
  readonly kafka: KafkaStreamsOptions
  readonly series: number
  readonly partitions: number
  readonly #streams: KafkaStreams
  readonly #producer: StreamProducer
  readonly #splitter: Splitter
  readonly #bodies = new BodyWriter()
  #steps = 0
  #ends: readonly number[]

  private constructor(
    kafka: KafkaStreamsOptions,
    series: number,
    partitions: number,
    producer: StreamProducer,
    streams: KafkaStreams,
  ) {
    this.kafka = kafka
    this.series = series
    this.partitions = partitions
    this.#streams = streams
    this.#producer = producer
    this.#ends = new Array(partitions).fill(0)
    const place = (tenant: string, entity: string) => partitionOf(entityKey(tenant, entity), partitions)
    this.#splitter = new Splitter({}, { rejects: new Rejects(), partitions, place })
  }

  static async make({ broker }: Engines, series: number, partitions: number): Promise<SamplesLog> {
    const kafka = {
      brokers: [broker],
      clientId: 'foreshock-bench',
      prefix: `bench-${randomUUID().slice(0, 8)}.`,
      compression: 'lz4',
      sessionTimeoutMs: 10_000,
    } as const
    // The samples bear times of long ago.
    const config = { 'retention.ms': '-1' }
    const topic = (name: string, count: number) => ({ name, partitions: count, replication: 1, config })
    await createTopics(kafka, [
      topic(TOPICS.samples, partitions),
      topic(TOPICS.anomalies, 3),
      topic(TOPICS.deadLetters, 1),
    ])
    const streams = new KafkaStreams(kafka)
    return new SamplesLog(kafka, series, partitions, await streams.producer(), streams)
  }

  /** Offset behind the last message of each partition. */
  get ends(): readonly number[] {
    return this.#ends
  }

  /** Samples written so far. */
  get samples(): number {
    return this.#steps * this.series
  }

  /** A sample of every series at each of so many more steps. */
  async fill(steps: number): Promise<void> {
    const headers = { [HEADERS.content]: CONTENT.columns, [HEADERS.tenant]: 'default' }
    for (const to = this.#steps + steps; this.#steps < to; this.#steps++) {
      const ms = T0 + this.#steps * STEP_MS
      for (let first = 0; first < this.series; first += PER_BODY) {
        const count = Math.min(PER_BODY, this.series - first)
        const envelope = scraped(this.#bodies.body(first, count, this.#steps, ms), ms)
        const messages = this.#splitter.split(envelope).parts.map(({ partition, bytes: value }) => ({
          key: null,
          partition,
          value,
          headers,
          timestampMs: envelope.arrivalMs,
        }))
        await this.#producer.send(TOPICS.samples, messages)
        this.#splitter.keep()
      }
    }
    const ends: number[] = []
    for (let p = 0; p < this.partitions; p++) ends.push((await this.#streams.range(TOPICS.samples, p)).end)
    this.#ends = ends
  }

  close(): Promise<void> {
    return this.#streams.close()
  }
}

/** Where scorers stand, as far as they have said. */
export interface Standing {
  readonly atMs: number
  /** Messages of the log that were taken, of all; the few ticks of scorers that waited are counted as others. */
  readonly taken: number
  /** CPU of each process so far, ms. */
  readonly cpuMs: readonly number[]
  readonly rssBytes: number
  /** Partitions that each process holds. */
  readonly held: readonly number[]
  /** Every process holds as many partitions as it will. */
  readonly isShared: boolean
}

type Child = ChildProcessByStdio<Writable, Readable, null>

/** Scorers of one group, without memory of earlier ones, that read one log. */
export class ScorerProcesses {
  readonly #every: string
  readonly #log: SamplesLog
  readonly #engines: Engines
  readonly #redisPrefix = `bench-${randomUUID().slice(0, 8)}:`
  readonly #children: Child[] = []
  readonly #newest: (ScorerProgress | undefined)[] = []
  readonly #ends: Promise<unknown>[] = []
  readonly #done: number[]
  #failure: Error | undefined
  #isEnding = false

  /** `every`: how often each partition is saved; what that costs is a matter of time and not of samples. */
  constructor(log: SamplesLog, engines: Engines, every = '10s') {
    this.#every = every
    this.#log = log
    this.#engines = engines
    this.#done = new Array(log.partitions).fill(0)
  }

  /** Starts one more; resolves when it has joined the group. */
  async join(): Promise<void> {
    const nth = this.#children.length
    const member = `scorer-${nth}`
    const settings: ScorerSettings = {
      kafka: { ...this.#log.kafka, clientId: member },
      redis: { url: this.#engines.redisUrl, prefix: this.#redisPrefix },
      member,
      config: { checkpoint: { every: this.#every } },
      reportMs: REPORT_MS,
      nowMs: T0,
    }
    const script = resolve(import.meta.dirname, '../test/cluster/scorer-process.ts')
    const child = spawn(process.execPath, ['--import', 'tsx', script, JSON.stringify(settings)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#children.push(child)
    this.#newest.push(undefined)
    const ended = new Promise(done => child.once('exit', done))
    this.#ends.push(ended)
    ended.then(code => {
      if (!this.#isEnding) this.#failure = new Error(`a scorer ended with ${code}`)
    })
    await new Promise<void>(joined => {
      ended.then(() => joined())
      createInterface({ input: child.stdout }).on('line', line => {
        if (line === 'ready') joined()
        if (line.startsWith('{')) this.#said(nth, JSON.parse(line) as ScorerProgress)
      })
    })
  }

  /** They stay in the group and take nothing more, until they are told to go on. */
  order(order: ScorerOrder): void {
    for (const child of this.#children) child.stdin.write(`${order}\n`)
  }

  get standing(): Standing {
    const processes = this.#newest.length
    const { partitions, ends } = this.#log
    const held = this.#newest.map(one => one?.positions.length ?? 0)
    const [least, most] = [Math.floor(partitions / processes), Math.ceil(partitions / processes)]
    return {
      atMs: performance.now(),
      // Ticks stand behind what was written.
      taken: summed(this.#done.map((done, p) => Math.min(done, ends[p]))) / summed(ends),
      cpuMs: this.#newest.map(one => one?.cpuMs ?? Number.NaN),
      rssBytes: summed(this.#newest.map(one => one?.rssBytes ?? 0)),
      held,
      isShared: held.every(count => count >= least && count <= most) && summed(held) === partitions,
    }
  }

  /** Waits; throws when a scorer has ended, or for too long. */
  async until(holds: (now: Standing) => boolean): Promise<Standing> {
    const endMs = performance.now() + PATIENCE_MS
    for (let now = this.standing; now.atMs < endMs; now = this.standing) {
      if (this.#failure) throw this.#failure
      if (holds(now)) return now
      await wait(LOOK_MS)
    }
    throw new Error(`scorers do not come on: ${JSON.stringify(this.standing)}`)
  }

  async end(): Promise<void> {
    this.#isEnding = true
    for (const child of this.#children) child.kill('SIGTERM')
    await Promise.all(this.#ends)
  }

  #said(nth: number, progress: ScorerProgress): void {
    this.#newest[nth] = progress
    for (const [p, position] of progress.positions) this.#done[p] = Math.max(this.#done[p], position)
  }
}

/** Of numbers, together. */
export const summed = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0)
