// A fleet in one process: scorers and disruption stages as shipped, over a log in memory, fed with examples/fleet.csv as JSON
// lines; and the same input through the pipeline of one process, to compare with.
import { readFileSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { pino } from 'pino'
import { assemble, intakeOptions } from '../../src/assembly.ts'
import { MemoryLog } from '../../src/bus/memory-log.ts'
import { MemoryStreams } from '../../src/bus/memory-streams.ts'
import { parseConfig } from '../../src/config.ts'
import type { Disruption, DisruptionEvent } from '../../src/core/disruption.ts'
import type { RecordLine } from '../../src/core/ports.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { CONTENT, HEADERS, type StoredMessage, type StreamProducer, TOPICS } from '../../src/core/stream.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { Pipeline } from '../../src/pipeline.ts'
import { foreignSplitter } from '../../src/roles/foreign.ts'
import { SamplesProducer } from '../../src/roles/samples-producer.ts'
import { Scorer } from '../../src/roles/scorer.ts'
import { Stage, type StageOptions } from '../../src/roles/stage.ts'
import { auditMessage, changeMessage, maintenanceMessage } from '../../src/roles/stage-orders.ts'
import { MemoryBoard } from '../../src/store/memory-board.ts'
import { MemoryCheckpointStores } from '../../src/store/memory-checkpoint-stores.ts'
import { MemoryDirectory } from '../../src/store/memory-directory.ts'
import { parseLine } from '../../src/store/record-line.ts'

const EXAMPLES = new URL('../../examples/', import.meta.url)

const topology = readFileSync(new URL('calls.csv', EXAMPLES), 'utf8')
  .trim()
  .split('\n')
  .slice(1)
  .map(line => {
    const [source, target] = line.split(',')
    return { source, target }
  })

export const CONFIG = parseConfig({
  ingest: { entityLabels: ['service'] },
  features: { step: '10s', lateness: '1s', idle: '20s' },
  // The combiner's model takes a while to open and has no part in what is shown.
  detection: { combiner: false },
  disruptions: { topology },
})

interface Moment {
  readonly timeMs: number
  /** JSON lines. */
  readonly body: Uint8Array
}

const encoder = new TextEncoder()

/** The recording, a step at a time. */
export const MOMENTS: readonly Moment[] = (() => {
  const moments = new Map<number, string[]>()
  for (const line of readFileSync(new URL('fleet.csv', EXAMPLES), 'utf8').trim().split('\n').slice(1)) {
    const [time, service, metric, value] = line.split(',')
    const timeMs = Date.parse(time)
    const lines = moments.get(timeMs) ?? []
    moments.set(timeMs, lines)
    const sample = { time: timeMs, type: 'gauge', metric, labels: { service }, value: Number(value) }
    lines.push(JSON.stringify(sample))
  }
  return Array.from(moments, ([timeMs, lines]) => ({ timeMs, body: encoder.encode(lines.join('\n')) }))
})()

const endMs = MOMENTS[MOMENTS.length - 1].timeMs
/** Wall time goes on for a while after the last sample, so that windows close. */
const TICKS = Array.from({ length: 12 }, (_, i) => endMs + (i + 1) * 5000)
/** Other tenants, and what each makes of a moment of the recording, which it tells as its own beside it. */
export type Beside = Readonly<Record<string, (body: Uint8Array) => Uint8Array>>

/** What one process says of the recording. */
export async function embeddedEvents(beside: Beside = {}): Promise<DisruptionEvent[]> {
  const events: DisruptionEvent[] = []
  const parts = assemble(CONFIG, new Rejects())
  const pipeline = new Pipeline(
    parts,
    async (_, outcome) => void events.push(...outcome.events),
    new Telemetry(),
  )
  let position = 0
  const common = { encoding: 'identity', tenant: 'default' } as const
  for (const { timeMs, body: bytes } of MOMENTS) {
    const told = { ...common, kind: 'json-lines', arrivalMs: timeMs + 100, bytes } as const
    for (const [tenant, made] of Object.entries(beside))
      await pipeline.process(++position, { ...told, tenant, bytes: made(bytes) })
    await pipeline.process(++position, told)
  }
  for (const arrivalMs of TICKS)
    await pipeline.process(++position, { ...common, kind: 'tick', arrivalMs, bytes: new Uint8Array(0) })
  return events
}

export interface WorldOptions {
  readonly samples: number
  readonly anomalies?: number
  readonly patienceMs?: number
  readonly waitingBytesMax?: number
  readonly beside?: Beside
}

export class FleetWorld {
  readonly log: MemoryLog
  readonly checkpoints = new MemoryCheckpointStores()
  readonly board = new MemoryBoard({ clock: () => this.nowMs })
  readonly directory = new MemoryDirectory()
  readonly telemetry = new Telemetry()
  readonly failures: unknown[] = []
  nowMs = MOMENTS[0].timeMs
  readonly #options: WorldOptions
  readonly #samples: number
  readonly #open: { close(): Promise<void> | void }[] = []
  #gateway: { readonly producer: StreamProducer; readonly samples: SamplesProducer } | undefined

  constructor(options: WorldOptions) {
    this.#options = options
    this.#samples = options.samples
    const anomalies = options.anomalies ?? 1
    this.log = new MemoryLog({
      topics: {
        [TOPICS.samples]: options.samples,
        [TOPICS.anomalies]: anomalies,
        [TOPICS.disruptions]: 2,
        [TOPICS.changes]: 2,
        [TOPICS.record]: anomalies,
        [TOPICS.deadLetters]: 1,
        [TOPICS.control]: 1,
      },
    })
  }

  streams(): MemoryStreams {
    return new MemoryStreams(this.log, { failed: error => void this.failures.push(error) })
  }

  async scorer(member = 'scorer-1'): Promise<Scorer> {
    const scorer = new Scorer({
      config: CONFIG,
      member,
      streams: this.streams(),
      checkpoints: this.checkpoints,
      splitForeign: foreignSplitter(intakeOptions(CONFIG)),
      rejects: new Rejects(),
      telemetry: new Telemetry(),
      logger: pino({ level: 'silent' }),
      clock: () => this.nowMs,
    })
    await scorer.start()
    this.#open.push(scorer)
    return scorer
  }

  async stage(member = 'stage-1', options: Partial<StageOptions> = {}): Promise<Stage> {
    const stage = new Stage({
      config: CONFIG,
      member,
      streams: this.streams(),
      checkpoints: this.checkpoints,
      board: this.board,
      directory: this.directory,
      telemetry: this.telemetry,
      logger: pino({ level: 'silent' }),
      clock: () => this.nowMs,
      url: `http://${member}.test`,
      patienceMs: this.#options.patienceMs ?? 60_000,
      waitingBytesMax: this.#options.waitingBytesMax,
      ...options,
    })
    await stage.start()
    this.#open.push(stage)
    return stage
  }

  /** The recording's moments [from, to), and with `ends` the time after them. */
  async feed(from = 0, to = MOMENTS.length, ends = to === MOMENTS.length): Promise<void> {
    this.#gateway ??= await this.#openGateway()
    const { producer, samples } = this.#gateway
    for (const { timeMs, body: bytes } of MOMENTS.slice(from, to)) {
      const common = { kind: 'json-lines', encoding: 'identity', tenant: 'default' } as const
      for (const [tenant, made] of Object.entries(this.#options.beside ?? {}))
        await samples.submit({ ...common, tenant, arrivalMs: timeMs + 100, bytes: made(bytes) })
      await samples.submit({ ...common, arrivalMs: timeMs + 100, bytes })
      this.nowMs = timeMs + 100
    }
    if (!ends) return
    for (const timestampMs of TICKS) {
      await producer.send(
        TOPICS.samples,
        Array.from({ length: this.#samples }, (_, partition) => ({
          key: null,
          partition,
          value: new Uint8Array(0),
          headers: { [HEADERS.content]: CONTENT.tick },
          timestampMs,
        })),
      )
    }
  }

  async #openGateway() {
    const producer = await this.streams().producer()
    const samples = new SamplesProducer({
      producer,
      partitions: this.#samples,
      intake: intakeOptions(CONFIG),
      rejects: new Rejects(),
      bytesMax: 1e9,
    })
    this.#open.push(samples)
    return { producer, samples }
  }

  /** Waits until everybody has taken everything. */
  async settle(scorers: readonly Scorer[], stages: readonly Stage[]): Promise<void> {
    const isDone = () => {
      const scored = scorers.flatMap(one => one.partitions)
      const grouped = stages.flatMap(one => one.partitions)
      return (
        scored.length === this.log.topic(TOPICS.samples).length &&
        scored.every(one => one.position === this.log.topic(TOPICS.samples)[one.partition].length) &&
        (stages.length === 0 || grouped.length === this.log.topic(TOPICS.anomalies).length) &&
        grouped.every(one => one.position === this.log.topic(TOPICS.anomalies)[one.partition].length)
      )
    }
    for (let quiet = 0, turns = 0; quiet < 20; turns++) {
      await turn()
      quiet = isDone() ? quiet + 1 : 0
      if (turns > 200_000) throw new Error('nothing settles', { cause: this.failures[0] })
    }
  }

  messages(topic: string): StoredMessage[] {
    return this.log.topic(topic).flat()
  }

  /** Told to the world, in order of time and id. */
  told(): { id: string; type: string; disruption: Disruption }[] {
    return this.messages(TOPICS.disruptions)
      .map(({ headers, value }) => ({
        id: headers.ce_id,
        type: headers.ce_type.split('.')[3],
        disruption: JSON.parse(Buffer.from(value).toString()) as Disruption,
      }))
      .sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  /** Lines of the record; throws where they do not chain. */
  record(partition = 0): RecordLine[] {
    let prev = '0'.repeat(64)
    return this.log.topic(TOPICS.record)[partition].map(({ value }, i) => {
      const line = parseLine(Buffer.from(value).toString())
      if ('reason' in line) throw new Error(line.reason)
      if (line.seq !== i + 1 || line.prev !== prev) throw new Error(`line ${i + 1} does not follow`)
      prev = line.hash
      const { seq, timeMs, id, entry } = line
      return { seq, timeMs, id, entry }
    })
  }

  async close(): Promise<void> {
    for (const one of this.#open.splice(0)) await one.close()
  }
}

export const SAMPLES = 3
/** Where the recording's fault begins. */
export const FAULT = MOMENTS.findIndex(one => one.timeMs === Date.parse('2026-11-12T10:45:00Z'))
export const atFault = MOMENTS[FAULT].timeMs

/** The log of an anomalies partition, as scorers and others wrote it. */
export async function recordedLog(): Promise<StoredMessage[]> {
  const world = new FleetWorld({ samples: SAMPLES })
  const scorer = await world.scorer()
  const producer = await world.streams().producer()
  await world.feed(0, FAULT - 5)
  await world.settle([scorer], [])
  const change = { id: 'chg-1', timeMs: atFault - 30_000, entity: 'store', kind: 'deploy', ref: 'v7' }
  const times = { zone: 'UTC', startMs: atFault - 600_000, nominalMs: 0, exactMs: 900_000 } as const
  const window = { id: 'mw', name: 'disks', tenant: 'default', entities: ['search'], times, by: 'test' }
  await producer.send(TOPICS.anomalies, [
    changeMessage([change], 'default', 0, atFault - 30_000, 'changes/0/0/0'),
    maintenanceMessage({ op: 'add', window: window as never }, 0, atFault - 30_000),
    auditMessage(
      { timeMs: atFault - 20_000, who: 'key', action: 'maintenance.post', detail: { id: 'mw' } },
      'default',
    ),
    changeMessage([change], 'default', 0, atFault - 30_000, 'changes/0/0/0'),
  ])
  await world.feed(FAULT - 5)
  await world.settle([scorer], [])
  await world.close()
  return world.log.topic(TOPICS.anomalies)[0]
}

/** What decides about a disruption: its story, without words and numbers that hang on how much was learned. */
export function gist({ id, type, disruption }: { id: string; type: string; disruption: Disruption }) {
  const { entity, entities, status, suspects } = disruption
  return { id, type, entity, entities, status, suspects: suspects.map(one => `${one.entity} ${one.metric}`) }
}
