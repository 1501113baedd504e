import type { Broker } from 'kafkajs/src/cluster/index.js'
import fetchRequest from 'kafkajs/src/protocol/requests/fetch/v11/request.js'
import type { Aborted } from './kafka-records.ts'
import { asking, expectSpoken, refuse } from './kafka-requests.ts'
import { takeAnswers } from './kafka-sockets.ts'
import { int64 } from './record-batch.ts'

/** Brokers since Kafka 2.3 speak it. */
const VERSION = 11
const FETCH_KEY = 1
const ANY_REPLICA = -1
/** Aborted transactions are told with what is read. */
const READ_COMMITTED = 1
/** kafkajs's connections to a broker: fetches have one to themselves. */
const FETCHES = 1

export interface FetchPlan {
  readonly topic: string
  readonly partitions: readonly {
    readonly partition: number
    readonly from: number
    readonly bytesMax: number
  }[]
  readonly waitMs: number
  readonly bytesMax: number
}

/** What a broker answers of a partition; `bytes` are whole record batches, but for the last, which may be cut off. */
export interface FetchedBytes {
  readonly partition: number
  /** Offset after the last message that all replicas have. */
  readonly end: number
  readonly aborted: readonly Aborted[]
  readonly bytes: Buffer
}

/** What a broker answers. */
export interface FetchAnswer {
  readonly partitions: readonly FetchedBytes[]
  /** Its bytes lie in a room that is used again, from `giveBack` on. */
  readonly isLent: boolean
  giveBack(): void
}

/** Asks a broker once. kafkajs sends and receives; what comes is read here, since kafkajs makes an object or more of every field of every record. */
export async function fetchBytes(broker: Broker, plan: FetchPlan): Promise<FetchAnswer> {
  expectSpoken(broker, FETCH_KEY, VERSION)
  const request = fetchRequest({
    replicaId: ANY_REPLICA,
    maxWaitTime: plan.waitMs,
    minBytes: 1,
    maxBytes: plan.bytesMax,
    isolationLevel: READ_COMMITTED,
    topics: [
      {
        topic: plan.topic,
        partitions: plan.partitions.map(({ partition, from, bytesMax }) => ({
          partition,
          fetchOffset: String(from),
          maxBytes: bytesMax,
        })),
      },
    ],
  })
  const connection = broker.connectionPool.pool[FETCHES]
  takeAnswers(connection)
  return asking(broker, () =>
    broker.connectionPool.send({
      request,
      response: {
        decode: async (bytes: Buffer) => {
          const reader = takeAnswers(connection)
          const isLent = reader?.lends(bytes) ?? false
          const giveBack = () => reader?.giveBack(bytes)
          try {
            return { ...readAnswer(bytes), isLent, giveBack }
          } catch (error) {
            giveBack()
            throw error
          }
        },
        parse: async (one: Answer & FetchAnswer) => one,
      },
    }),
  )
}

interface Answer {
  /** kafkajs waits so long before it sends anything more. */
  readonly clientSideThrottleTime: number
  readonly partitions: FetchedBytes[]
}

/** Fetch response, version 11. Throws what Kafka gives as an error, of the whole or of a partition. */
export function readAnswer(bytes: Buffer): Answer {
  const clientSideThrottleTime = bytes.readInt32BE(0)
  refuse(bytes.readInt16BE(4))
  // Behind the number of a session, which is not used.
  let at = 10
  const partitions: FetchedBytes[] = []
  const topics = bytes.readInt32BE(at)
  at += 4
  for (let t = 0; t < topics; t++) {
    at += 2 + bytes.readInt16BE(at)
    const count = bytes.readInt32BE(at)
    at += 4
    for (let p = 0; p < count; p++) {
      const partition = bytes.readInt32BE(at)
      refuse(bytes.readInt16BE(at + 4))
      const end = int64(bytes, at + 6)
      // Behind the last stable offset and the first offset.
      const transactions = bytes.readInt32BE(at + 30)
      at += 34
      const aborted: Aborted[] = []
      for (let i = 0; i < transactions; i++, at += 16)
        aborted.push({ producerId: bytes.readBigInt64BE(at), firstOffset: int64(bytes, at + 8) })
      // Behind the replica that would rather be asked.
      const size = Math.max(0, bytes.readInt32BE(at + 4))
      at += 8
      partitions.push({ partition, end, aborted, bytes: bytes.subarray(at, at + size) })
      at += size
    }
  }
  return { clientSideThrottleTime, partitions }
}
