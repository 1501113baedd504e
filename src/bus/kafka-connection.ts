import { setTimeout as wait } from 'node:timers/promises'
import kafkajs from 'kafkajs'
import Cluster, { type Broker, type Connection } from 'kafkajs/src/cluster/index.js'
import { ForeshockError } from '../core/errors.ts'
import { errorType, goneBroker, kafkaError } from './kafka-errors.ts'
import { kafkaSocket } from './kafka-sockets.ts'
import { missingTopic } from './messages.ts'

/** How Kafka is reached. Files are read and passwords looked up already. */
export interface KafkaConnection {
  /** `host:port` of some of the brokers. */
  readonly brokers: readonly string[]
  /** Shown in Kafka's logs and quotas. */
  readonly clientId: string
  readonly tls?:
    | true
    | {
        readonly ca?: string
        readonly cert?: string
        readonly key?: string
        readonly servername?: string
      }
  readonly sasl?: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
    readonly username: string
    readonly password: string
  }
}

/** A broker that does not answer a connection for longer counts as gone, ms. */
const CONNECT_MS = 5000
const REQUEST_MS = 30_000
/** Leaders are asked for anew at least this often, ms: a leader that moves says so, this is for partitions added. */
const METADATA_AGE_MS = 60_000
const BACKOFF_FIRST_MS = 50
const BACKOFF_MAX_MS = 2000
/** kafkajs tries as often by itself before the loops here count a failure and look after topology. */
const RETRY = { retries: 1, initialRetryTime: 50, maxRetryTime: 500 }

const silent = {
  namespace: () => silent,
  setLogLevel: () => {},
  error: () => {},
  warn: () => {},
  info: () => {},
  debug: () => {},
}

const common = ({ brokers, clientId, tls, sasl }: KafkaConnection) => ({
  brokers: [...brokers],
  clientId,
  ...(tls === undefined ? {} : { ssl: tls === true ? true : { ...tls } }),
  ...(sasl === undefined ? {} : { sasl: { ...sasl } }),
  connectionTimeout: CONNECT_MS,
  authenticationTimeout: 10_000,
  reauthenticationThreshold: 10_000,
  requestTimeout: REQUEST_MS,
  enforceRequestTimeout: true,
  retry: RETRY,
})

/** kafkajs's administration of topics. */
export function kafkaAdmin(connection: KafkaConnection) {
  const kafka = new kafkajs.Kafka({
    ...common(connection),
    logLevel: kafkajs.logLevel.NOTHING,
    logCreator: () => () => {},
  } as ConstructorParameters<typeof kafkajs.Kafka>[0])
  return kafka.admin()
}

/**
 * kafkajs looks after requests that wait to be sent every millisecond, for ever, on every connection that has ever sent any. There is
 * nothing to look after while none waits.
 */
function quiet({ requestQueue }: Connection): void {
  const schedule = requestQueue.scheduleCheckPendingRequests.bind(requestQueue)
  requestQueue.scheduleCheckPendingRequests = () => {
    if (requestQueue.pending.length > 0) schedule()
  }
}

/** How long to wait before the `n`th retry, counted from 0, ms. */
const backoffMs = (n: number): number => Math.min(BACKOFF_FIRST_MS * 2 ** Math.min(n, 10), BACKOFF_MAX_MS)

/**
 * Connections of one user of Kafka: a member of a group, a producer, a reader. They are not shared, because Kafka answers
 * the requests of a connection one after the other, and a fetch or an acknowledgement may take long.
 */
export class KafkaCluster {
  readonly #cluster: Cluster
  readonly #closing = new AbortController()
  readonly #targets = new Set<string>()
  readonly #shared = new WeakSet<object>()

  constructor(connection: KafkaConnection) {
    this.#cluster = new Cluster({
      ...common(connection),
      ssl: common(connection).ssl,
      sasl: common(connection).sasl,
      logger: silent,
      socketFactory: kafkaSocket,
      metadataMaxAge: METADATA_AGE_MS,
      allowAutoTopicCreation: false,
      maxInFlightRequests: null,
      isolationLevel: 1,
    })
  }

  get closed(): boolean {
    return this.#closing.signal.aborted
  }

  /** Connects and knows the leaders of a topic. Rejects with FS_BUS_TOPIC when there is no such topic. */
  async open(topic?: string): Promise<void> {
    try {
      await this.#cluster.connect()
      if (topic === undefined) return void (await this.#cluster.refreshMetadata())
      if (!this.#targets.has(topic)) await this.#cluster.addTargetTopic(topic)
      this.#targets.add(topic)
      await this.#cluster.refreshMetadataIfNecessary()
    } catch (error) {
      if (errorType(error) === 'UNKNOWN_TOPIC_OR_PARTITION')
        throw missingTopic(topic ?? [...this.#targets].join(' or '))
      throw kafkaError(error, 'reaching Kafka')
    }
  }

  /** Partitions of a topic that was opened. */
  partitions(topic: string): number {
    return this.#cluster.findTopicPartitionMetadata(topic).length
  }

  /** Leader of each partition of a topic that was opened. */
  leaders(topic: string): Map<number, number> {
    const metadata = this.#cluster.findTopicPartitionMetadata(topic)
    return new Map(metadata.map(({ partitionId, leader }) => [partitionId, leader]))
  }

  async broker(nodeId: number): Promise<Broker> {
    return this.#careful(await this.#cluster.findBroker({ nodeId }))
  }

  async anyBroker(): Promise<Broker> {
    return this.#careful(await this.#cluster.findControllerBroker())
  }

  async groupCoordinator(groupId: string): Promise<Broker> {
    return this.#careful(await this.#cluster.findGroupCoordinator({ groupId, coordinatorType: 0 }))
  }

  async transactionCoordinator(name: string): Promise<Broker> {
    return this.#careful(await this.#cluster.findGroupCoordinator({ groupId: name, coordinatorType: 1 }))
  }

  /**
   * kafkajs opens a socket for each request that finds its connection broken, and mixes them up: one attempt at a time
   * serves all.
   */
  #careful(broker: Broker): Broker {
    for (const connection of broker.connectionPool.pool) {
      if (this.#shared.has(connection)) continue
      this.#shared.add(connection)
      quiet(connection)
      const connect = connection.connect.bind(connection)
      let attempt: Promise<unknown> | undefined
      connection.connect = () => {
        attempt ??= connect().finally(() => {
          attempt = undefined
        })
        return attempt
      }
    }
    return broker
  }

  /** Offset of the first message held, or of the next that is written, less what open transactions hold back. */
  async offset(topic: string, partition: number, which: 'first' | 'end'): Promise<number> {
    const leader = this.leaders(topic).get(partition)
    if (leader === undefined)
      throw new ForeshockError('FS_BUS_TOPIC', `topic ${topic} has no partition ${partition}`)
    await this.broker(leader)
    const asked = { topic, partitions: [{ partition }], fromBeginning: which === 'first' }
    const [answer] = await this.#cluster.fetchTopicsOffset([asked])
    return Number(answer.partitions[0].offset)
  }

  /** After a failure: forgets a broker that is gone, waits, and asks for the leaders anew. Never rejects. */
  async recover(error: unknown, failures: number): Promise<void> {
    const gone = goneBroker(error)
    if (gone !== undefined) this.#cluster.removeBroker(gone)
    await this.pause(backoffMs(failures))
    if (this.closed) return
    try {
      if (!this.#cluster.isConnected()) await this.#cluster.connect()
      await this.#cluster.refreshMetadata()
    } catch {
      // The next attempt finds out.
    }
  }

  /** Sleeps, until `close` at the latest. */
  async pause(ms: number): Promise<void> {
    await wait(ms, undefined, { signal: this.#closing.signal }).catch(() => {})
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#cluster.disconnect().catch(() => {})
  }
}
