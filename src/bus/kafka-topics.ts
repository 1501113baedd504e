import { setTimeout as wait } from 'node:timers/promises'
import { ForeshockError } from '../core/errors.ts'
import { type KafkaConnection, kafkaAdmin } from './kafka-connection.ts'
import { errorType, kafkaError } from './kafka-errors.ts'

/** A topic as it should be. */
export interface TopicPlan {
  /** Without the prefix. */
  readonly name: string
  readonly partitions: number
  /** Copies of each partition. */
  readonly replication: number
  /** Kafka's own settings of a topic. */
  readonly config: Readonly<Record<string, string>>
}

/** A topic as it is. */
export interface TopicState {
  readonly name: string
  readonly partitions: number
  readonly replication: number
  readonly config: Readonly<Record<string, string>>
}

export interface TopicEngine extends KafkaConnection {
  readonly prefix: string
}

type Admin = ReturnType<typeof kafkaAdmin>
/** A leader is found within milliseconds, unless the cluster is in trouble. */
const CREATE_MS = 30_000
const LOOK_MS = 50
/** Kafka's number of a topic among things that have settings. */
const TOPIC_RESOURCE = 2
const REPLICATION_MAX_SAID = 'INVALID_REPLICATION_FACTOR'

/** Makes those that are missing and leaves the others as they are; the names that it made. */
export async function createTopics(engine: TopicEngine, plan: readonly TopicPlan[]): Promise<string[]> {
  return withAdmin(engine, 'creating topics', async admin => {
    const there = new Set(await admin.listTopics())
    const missing = plan.filter(({ name }) => !there.has(engine.prefix + name))
    if (missing.length === 0) return []
    try {
      await admin.createTopics({
        waitForLeaders: false,
        timeout: CREATE_MS,
        topics: missing.map(({ name, partitions, replication, config }) => ({
          topic: engine.prefix + name,
          numPartitions: partitions,
          replicationFactor: replication,
          configEntries: Object.entries(config).map(([key, value]) => ({ name: key, value })),
        })),
      })
    } catch (error) {
      throw explained(error, missing)
    }
    await led(
      admin,
      missing.map(({ name }) => engine.prefix + name),
    )
    return missing.map(({ name }) => name)
  })
}

/** Resolves once every partition has a leader: a broker may not know of what was made a moment ago. */
async function led(admin: Admin, topics: string[]): Promise<void> {
  for (const until = performance.now() + CREATE_MS; ; await wait(LOOK_MS)) {
    try {
      const found = await admin.fetchTopicMetadata({ topics })
      if (found.topics.every(({ partitions }) => partitions.every(({ leader }) => leader >= 0))) return
    } catch (error) {
      const isRetriable = (error as { retriable?: boolean }).retriable === true
      if (!isRetriable || performance.now() > until) throw error
    }
    if (performance.now() > until)
      throw new ForeshockError(
        'FS_IO',
        `Kafka: no leader for ${topics.join(', ')} within ${CREATE_MS / 1000} s`,
      )
  }
}

/** Those of the plan that there are, as they are. */
export async function describeTopics(engine: TopicEngine, names: readonly string[]): Promise<TopicState[]> {
  return withAdmin(engine, 'looking at topics', async admin => {
    const there = new Set(await admin.listTopics())
    const known = names.filter(name => there.has(engine.prefix + name))
    if (known.length === 0) return []
    const { topics } = await admin.fetchTopicMetadata({ topics: known.map(name => engine.prefix + name) })
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: topics.map(({ name }) => ({ type: TOPIC_RESOURCE, name })),
    })
    return topics.map(({ name, partitions }) => {
      const settings = resources.find(({ resourceName }) => resourceName === name)?.configEntries ?? []
      return {
        name: name.slice(engine.prefix.length),
        partitions: partitions.length,
        replication: partitions[0]?.replicas.length ?? 0,
        config: Object.fromEntries(settings.map(({ configName, configValue }) => [configName, configValue])),
      }
    })
  })
}

async function withAdmin<T>(
  engine: TopicEngine,
  doing: string,
  use: (admin: Admin) => Promise<T>,
): Promise<T> {
  const admin = kafkaAdmin(engine)
  try {
    await admin.connect()
    return await use(admin)
  } catch (error) {
    throw kafkaError(error, doing)
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

function explained(error: unknown, missing: readonly TopicPlan[]): unknown {
  const parts = (error as { errors?: readonly unknown[] }).errors ?? [error]
  if (!parts.some(part => errorType(part) === REPLICATION_MAX_SAID)) return parts[0]
  return new ForeshockError(
    'FS_BUS_TOPIC',
    `Kafka has fewer brokers than ${missing[0].replication}, the copies that cluster.replication asks for: add brokers, or set cluster.replication lower (1 loses data with a disk)`,
    { cause: error },
  )
}
