// A scorer as a process of its own on real engines, for tests that kill it and for the bench that counts what it takes.
// Says `ready` on stdout once it has joined, and then, with `reportMs`, how far its partitions are as lines of JSON. Told to
// `hold` on stdin it stays in the group and takes nothing more of what it holds, until it is told to `go`.
// node --import tsx test/cluster/scorer-process.ts '{"kafka": …, "redis": …, "member": …, "config": …}'
import { createInterface } from 'node:readline'
import { pino } from 'pino'
import { intakeOptions } from '../../src/assembly.ts'
import { KafkaStreams, type KafkaStreamsOptions } from '../../src/bus/kafka-streams.ts'
import { parseConfig } from '../../src/config.ts'
import { systemClock } from '../../src/core/clock.ts'
import { Rejects } from '../../src/core/rejects.ts'
import type { GroupOptions, StreamGroup } from '../../src/core/stream.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { foreignSplitter } from '../../src/roles/foreign.ts'
import { Scorer } from '../../src/roles/scorer.ts'
import { RedisCheckpointStores } from '../../src/store/redis-checkpoints.ts'
import { RedisConnection, type RedisSettings } from '../../src/store/redis-connection.ts'

export interface ScorerSettings {
  readonly kafka: KafkaStreamsOptions
  readonly redis: RedisSettings
  readonly member: string
  readonly config: Record<string, unknown>
  readonly reportMs?: number
  /** The wall clock stands still here, Unix ms: ticks let no time pass where samples bear times of long ago. */
  readonly nowMs?: number
}

export interface ScorerProgress {
  /** Offset of the next message, by partition held. */
  readonly positions: readonly (readonly [partition: number, position: number])[]
  /** CPU of the whole process so far, ms. */
  readonly cpuMs: number
  readonly rssBytes: number
}

export type ScorerOrder = 'hold' | 'go'

/** Keeps what holds the partitions at hand. */
class OwnStreams extends KafkaStreams {
  made: StreamGroup | undefined

  override group(options: GroupOptions): StreamGroup {
    this.made = super.group(options)
    return this.made
  }
}

const settings = JSON.parse(process.argv[2]) as ScorerSettings
const config = parseConfig(settings.config)
const logger = pino({ level: 'warn' }, pino.destination({ dest: 2, sync: true }))
const rejects = new Rejects()
const streams = new OwnStreams({
  ...settings.kafka,
  observe: event => {
    if (event.type === 'failed') logger.warn({ err: event.error }, 'kafka')
  },
})
const connection = new RedisConnection(settings.redis)
const scorer = new Scorer({
  config,
  member: settings.member,
  streams,
  checkpoints: new RedisCheckpointStores({ connection, onWarning: text => logger.warn(text) }),
  splitForeign: foreignSplitter(intakeOptions(config), rejects),
  rejects,
  telemetry: new Telemetry(),
  logger,
  clock: () => settings.nowMs ?? systemClock(),
  elapsed: () => performance.now(),
})
await scorer.start()
process.stdout.write('ready\n')
if (settings.reportMs !== undefined) {
  setInterval(() => {
    const { user, system } = process.cpuUsage()
    const progress: ScorerProgress = {
      positions: scorer.partitions.map(one => [one.partition, one.position]),
      cpuMs: (user + system) / 1000,
      rssBytes: process.memoryUsage().rss,
    }
    process.stdout.write(`${JSON.stringify(progress)}\n`)
  }, settings.reportMs)
}
createInterface({ input: process.stdin }).on('line', order => {
  const group = streams.made
  for (const partition of group?.partitions ?? [])
    if (order === 'hold') group?.pause(partition)
    else group?.resume(partition)
})
process.once('SIGTERM', () => {
  scorer
    .close()
    .then(() => streams.close())
    .then(() => connection.close())
    .then(() => process.exit(0))
})
