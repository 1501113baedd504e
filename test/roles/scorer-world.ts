import { pino } from 'pino'
import { intakeOptions } from '../../src/assembly.ts'
import { MemoryLog } from '../../src/bus/memory-log.ts'
import { MemoryStreams } from '../../src/bus/memory-streams.ts'
import { entityKey, partitionOf } from '../../src/bus/partition-of.ts'
import { compareParts, type WindowHeader, windowHeader } from '../../src/bus/window-report.ts'
import type { Config } from '../../src/config/schema.ts'
import { parseConfig } from '../../src/config.ts'
import type { CheckpointStores } from '../../src/core/ports.ts'
import { Rejects } from '../../src/core/rejects.ts'
import {
  CONTENT,
  HEADERS,
  type PartitionOwner,
  type StoredMessage,
  type StreamGroup,
  type StreamMessage,
  type Streams,
  TOPICS,
} from '../../src/core/stream.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { Splitter } from '../../src/ingest/splitter.ts'
import { foreignSplitter } from '../../src/roles/foreign.ts'
import { Scorer, type ScorerOptions } from '../../src/roles/scorer.ts'
import { MemoryCheckpointStores } from '../../src/store/memory-checkpoint-stores.ts'
import { fleetBodies } from '../e2e/fleet.ts'

export const STEP_MS = 10_000
/** Messages a member is given at once. */
const TAKEN_AT_ONCE = 3
export const FROM_MS = 1_700_000_000_000

export const worldConfig = (more: Record<string, unknown> = {}): Config =>
  parseConfig({
    ingest: { entityLabels: ['service'] },
    features: { step: '10s' },
    ...more,
  })

/** Checkpoints in memory, and the positions saved. */
export function watchedStores(): { readonly stores: CheckpointStores; readonly saved: number[] } {
  const saved: number[] = []
  const inner = new MemoryCheckpointStores()
  const claim = async (name: string) => {
    const store = await inner.claim(name)
    const save = store.save.bind(store)
    store.save = async checkpoint => {
      saved.push(checkpoint.position)
      await save(checkpoint)
    }
    return store
  }
  return { saved, stores: { claim, close: async () => {} } }
}

/** A log in memory with samples of a small fleet of services, and scorers that read it. */
export class ScorerWorld {
  readonly log: MemoryLog
  readonly streams: MemoryStreams
  readonly partitions: number
  readonly anomaliesPartitions: number
  readonly config: Config
  readonly splitter: Splitter
  readonly problems: unknown[] = []
  nowMs = FROM_MS
  checkpoints: CheckpointStores = new MemoryCheckpointStores()

  constructor(partitions: number, anomaliesPartitions: number, config = worldConfig()) {
    this.partitions = partitions
    this.anomaliesPartitions = anomaliesPartitions
    this.config = config
    this.log = new MemoryLog({
      topics: {
        [TOPICS.samples]: partitions,
        [TOPICS.anomalies]: anomaliesPartitions,
        [TOPICS.deadLetters]: 1,
      },
    })
    this.streams = new MemoryStreams(this.log, { failed: error => this.problems.push(error) })
    this.splitter = new Splitter(
      { entityLabels: config.ingest.entityLabels },
      {
        rejects: new Rejects(),
        partitions,
        place: (tenant, entity) => partitionOf(entityKey(tenant, entity), partitions),
      },
    )
  }

  /** As a gateway would. */
  body(text: string, arrivalMs: number, tenant = 'default'): void {
    const bytes = new TextEncoder().encode(text)
    const { parts } = this.splitter.split({
      kind: 'json-lines',
      encoding: 'identity',
      arrivalMs,
      tenant,
      bytes,
    })
    for (const { partition, bytes: value } of parts)
      this.samples({ partition, value, timestampMs: arrivalMs, tenant })
  }

  samples(
    {
      partition,
      value,
      timestampMs,
      tenant = 'default',
    }: Partial<StreamMessage> & {
      partition: number
      value: Uint8Array
      timestampMs: number
      tenant?: string
    },
    headers: Record<string, string> = { [HEADERS.content]: CONTENT.columns },
  ): void {
    this.append({
      key: null,
      partition,
      value,
      timestampMs,
      headers: { ...headers, [HEADERS.tenant]: tenant },
    })
  }

  tick(partition: number, timestampMs: number): void {
    const headers = { [HEADERS.content]: CONTENT.tick }
    this.append({ key: null, partition, value: new Uint8Array(0), timestampMs, headers })
  }

  append(message: StreamMessage): void {
    this.log.append([{ topic: TOPICS.samples, message }])
  }

  /** So many windows of six services, one of which becomes slow. */
  fill(steps: number, seed = 7, fromMs = FROM_MS): void {
    const fault = { service: 'payments', fromStep: Math.floor(steps / 2), toStep: steps, extraLatencyS: 0.4 }
    let at = fromMs
    for (const body of fleetBodies({ fromMs, stepMs: STEP_MS, steps, seed, fault })) {
      this.body(body, at + 1000)
      at += STEP_MS
    }
  }

  scorer(more: Partial<ScorerOptions> = {}): Scorer {
    return new Scorer({
      config: this.config,
      member: 'a',
      streams: this.streams,
      checkpoints: this.checkpoints,
      splitForeign: foreignSplitter(intakeOptions(this.config)),
      rejects: new Rejects(),
      telemetry: new Telemetry(),
      logger: pino({ level: 'silent' }),
      clock: () => this.nowMs,
      ...more,
    })
  }

  messages(topic: string, partition = 0): readonly StoredMessage[] {
    return this.log.topic(topic)[partition]
  }
}

/** Window reports of a partition of the anomalies topic, in the order in which they stand there. */
export function reportsOf(
  messages: readonly StoredMessage[],
): { header: WindowHeader; message: StoredMessage }[] {
  return messages
    .filter(({ headers }) => headers[HEADERS.content] === CONTENT.window)
    .map(message => {
      const header = windowHeader(message.value)
      if (typeof header === 'string') throw new Error(header)
      return { header, message }
    })
}

const nameOf = ({ samplesPartition, windowEndMs, part }: WindowHeader) =>
  `${samplesPartition}/${windowEndMs}/${part}`

/**
 * What a reader takes who drops what is not newer than the last of its samples partition: name of each part and its bytes,
 * in order. Throws when a repeat says something else than what it repeats.
 */
export function takenBy(messages: readonly StoredMessage[]): [name: string, bytes: string][] {
  const said = new Map<string, string>()
  const last = new Map<number, WindowHeader>()
  const taken: [string, string][] = []
  for (const { header, message } of reportsOf(messages)) {
    const bytes = Buffer.from(message.value).toString('base64')
    const before = said.get(nameOf(header))
    if (before !== undefined && before !== bytes) throw new Error(`${nameOf(header)} is told in two ways`)
    said.set(nameOf(header), bytes)
    const newest = last.get(header.samplesPartition)
    if (newest && compareParts(header, newest) <= 0) continue
    last.set(header.samplesPartition, header)
    taken.push([nameOf(header), bytes])
  }
  return taken
}

/**
 * An engine whose every step the test decides: which messages a member is given and when, and whether what it writes
 * arrives. The log is real; only who is given what is the test's.
 */
export class Puppet {
  readonly world: ScorerWorld
  readonly scorer: Scorer
  /** What it wrote that has not arrived: of a member that was cut off. */
  readonly held: (() => void)[] = []
  isCutOff = false
  position = 0
  #owner: PartitionOwner | undefined

  constructor(world: ScorerWorld, more: Partial<ScorerOptions> = {}) {
    this.world = world
    const { streams } = world
    const group: StreamGroup = {
      run: async owner => {
        this.#owner = owner
      },
      commit: async () => {},
      committed: async () => undefined,
      pause: () => {},
      resume: () => {},
      partitions: [],
      close: async () => {},
    }
    const own: Streams = {
      partitions: topic => streams.partitions(topic),
      range: (topic, partition) => streams.range(topic, partition),
      transactor: name => streams.transactor(name),
      read: (topic, partition, from) => streams.read(topic, partition, from),
      follow: (topic, take, from) => streams.follow(topic, take, from),
      check: () => streams.check(),
      close: async () => {},
      group: () => group,
      producer: async () => {
        const producer = await streams.producer()
        return {
          send: (topic, messages) => {
            if (!this.isCutOff) return producer.send(topic, messages)
            return new Promise((done, failed) => {
              this.held.push(() => producer.send(topic, messages).then(done, failed))
            })
          },
          close: () => producer.close(),
        }
      },
    }
    this.scorer = world.scorer({ streams: own, ...more })
  }

  async start(partition = 0): Promise<void> {
    await this.scorer.start()
    this.position = Number(await this.#owner?.assigned(partition))
  }

  /** Gives it the next so many messages, a few at a time; false when there are none. */
  async take(count: number, partition = 0): Promise<boolean> {
    const log = this.world.messages(TOPICS.samples, partition)
    const end = Math.min(this.position + count, log.length)
    if (this.position >= end) return false
    while (this.position < end) {
      const messages = log.slice(this.position, Math.min(this.position + TAKEN_AT_ONCE, end))
      this.position += messages.length
      this.world.nowMs = Math.max(this.world.nowMs, messages[0].timestampMs)
      await this.#owner?.take(partition, messages, log.length)
    }
    return true
  }

  /** Lets what it had written arrive after all. */
  async release(count: number): Promise<void> {
    for (const send of this.held.splice(0, count)) send()
    await new Promise(done => setImmediate(done))
  }

  /** Tells it that the partition is to be let go. */
  leave(partition = 0): void {
    this.#owner?.leaving?.(partition)
  }

  revoke(orderly: boolean, partition = 0): Promise<void> | undefined {
    return this.#owner?.revoked(partition, orderly)
  }
}
