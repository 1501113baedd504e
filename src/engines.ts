import { KafkaStreams, type StreamEvent } from './bus/kafka-streams.ts'
import { checkTopics } from './bus/topic-plans.ts'
import type { ClusterConfig } from './config/cluster.ts'
import { kafkaOptions } from './config/kafka.ts'
import { redisSettings } from './config/redis.ts'
import { postgresUrl } from './config/stores.ts'
import { systemClock } from './core/clock.ts'
import type { Logger } from './core/logger.ts'
import type {
  Board,
  Channel,
  CheckpointStores,
  Directory,
  PackageStore,
  QuotaKeeper,
  RateCounter,
  RecordIndex,
  SharedSilences,
} from './core/ports.ts'
import type { Streams } from './core/stream.ts'
import type { Probe } from './roles/health.ts'
import { PostgresIndex } from './store/postgres-index.ts'
import { PostgresPackages } from './store/postgres-packages.ts'
import { RedisBoard } from './store/redis-board.ts'
import { RedisChannel } from './store/redis-channel.ts'
import { RedisCheckpointStores } from './store/redis-checkpoints.ts'
import { RedisConnection } from './store/redis-connection.ts'
import { RedisDirectory } from './store/redis-directory.ts'
import { RedisQuota } from './store/redis-quota.ts'
import { RedisRates } from './store/redis-rates.ts'
import { RedisSilences } from './store/redis-silences.ts'

/** What the roles of a process stand on: Kafka, Redis and PostgreSQL, or all of it in memory. */
export interface Engines {
  readonly streams: Streams
  readonly checkpoints: CheckpointStores
  readonly board: Board
  /** Carries hints that something is new; nothing rests on it. */
  readonly channel: Channel
  readonly directory: Directory
  readonly quotas: QuotaKeeper
  readonly rates: RateCounter
  readonly silences: SharedSilences
  readonly index: RecordIndex
  readonly packages: PackageStore
  /** Whether they answer, by name. */
  readonly probes: Readonly<Record<string, Probe>>
  /** Rejects with FS_BUS_TOPIC, saying what to do, when the topics are not as they are configured. */
  checkTopics(): Promise<void>
  close(): Promise<void>
}

/** What Kafka's client sees, into the log. Messages that nobody read before they went are lost: that is no mere news. */
export function noteKafka(logger: Logger, event: StreamEvent): void {
  if (event.type === 'failed') logger.warn({ err: event.error }, 'Kafka: tried again')
  else if (event.type === 'skipped')
    logger.warn(
      event,
      'Kafka no longer has what was to be read next, or the topic was made anew: reading goes on with the first that it has',
    )
  else logger.info(event, 'Kafka')
}

/** Connects to what the configuration names. Nothing is waited for: who needs an engine finds out. */
export function openEngines(cluster: ClusterConfig, member: string, logger: Logger): Engines {
  const kafka = kafkaOptions(cluster, `foreshock-${member}`)
  const streams = new KafkaStreams({
    ...kafka,
    observe: event => noteKafka(logger, event),
  })
  const onWarning = (text: string) => logger.warn(text)
  const connection = new RedisConnection({ ...redisSettings(cluster), onWarning })
  const { schema, retention } = cluster.postgres
  const index = new PostgresIndex({
    url: postgresUrl(cluster),
    schema,
    retentionMs: retention,
    clock: systemClock,
  })
  const packages = new PostgresPackages({ url: postgresUrl(cluster), schema })
  const shared = [
    new RedisBoard({ connection }),
    new RedisDirectory({ connection }),
    new RedisQuota({ connection }),
    new RedisRates({ connection }),
    new RedisSilences({ connection }),
    new RedisChannel({ connection }),
  ] as const
  const [board, directory, quotas, rates, silences, channel] = shared
  return {
    streams,
    checkpoints: new RedisCheckpointStores({ connection, fleet: cluster.kafka.prefix, onWarning }),
    board,
    channel,
    directory,
    quotas,
    rates,
    silences,
    index,
    packages,
    probes: {
      Kafka: () => streams.check(),
      Redis: () => connection.check(),
      PostgreSQL: () => index.position().then(() => {}),
    },
    checkTopics: async () => {
      for (const warning of await checkTopics(kafka, cluster)) logger.warn(warning)
    },
    close: async () => {
      await Promise.all(shared.map(one => one.close()))
      await Promise.all([streams.close(), connection.close(), index.close(), packages.close()])
    },
  }
}
