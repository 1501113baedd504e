import type { Broker, Connection } from 'kafkajs/src/cluster/index.js'
import { ForeshockError } from '../core/errors.ts'
import { asking, expectSpoken, refuse } from './kafka-requests.ts'
import { type BatchPlan, writeBatch } from './record-batch-writer.ts'
import { Room } from './room.ts'
import type { Slabs } from './slabs.ts'

/** Brokers since Kafka 2.1 speak it. */
const VERSION = 7
const PRODUCE_KEY = 0
/** All replicas that are in step. */
const ACKS = -1
/** kafkajs's connections to a broker: everything but fetches goes over the first. */
const REQUESTS = 0
const SIZE_BYTES = 4
/** Where the number of a request stands in its frame: behind its size, its kind and its version. */
const NUMBER_AT = 8
/** In an answer, behind the error of a partition: the offset of the first, the time of the log, and where that begins. */
const REST_BYTES = 24
const OVERHEAD_BYTES = 1024

export interface ProducePlan {
  readonly transactionalId: string | undefined
  /** Time that replicas are given, ms. */
  readonly waitMs: number
  /** By name of the topic; one batch a partition. */
  readonly topics: ReadonlyMap<string, readonly ProducedBatch[]>
  /** About how many bytes there will be. */
  readonly bytes: number
}

export interface ProducedBatch extends BatchPlan {
  readonly partition: number
}

/**
 * Writes batches by one request; resolves when all replicas in step hold them. kafkajs opens the connection and hears the answer; the
 * request is put together here, in memory that is used again: kafkajs copies it ten times over, each time into memory of its own,
 * and for every 64 MiB of such V8 walks the whole heap.
 */
export async function produce(broker: Broker, plan: ProducePlan, slabs: Slabs): Promise<void> {
  expectSpoken(broker, PRODUCE_KEY, VERSION)
  await asking(broker, async () => {
    const connection = await broker.connectionPool.getConnection(REQUESTS)
    await connection.authenticate()
    const room = new Room(slabs, plan.bytes + OVERHEAD_BYTES)
    await writeProduce(plan, connection.clientId, room)
    const answer = await sent(connection, room.bytes)
    // It was answered, so all of it has left. What fails may still lie in the socket, and is not used again.
    room.giveBack()
    connection.requestQueue.maybeThrottle(readProduced(answer))
  })
}

/** A whole request, but for its number. */
export async function writeProduce(plan: ProducePlan, clientId: string, room: Room): Promise<void> {
  room.int32(0) // its size, known at the end
  room.int16(PRODUCE_KEY)
  room.int16(VERSION)
  room.int32(0) // its number, known when it is sent
  room.text(clientId)
  if (plan.transactionalId === undefined) room.int16(-1)
  else room.text(plan.transactionalId)
  room.int16(ACKS)
  room.int32(plan.waitMs)
  room.int32(plan.topics.size)
  for (const [topic, batches] of plan.topics) {
    room.text(topic)
    room.int32(batches.length)
    for (const batch of batches) {
      room.int32(batch.partition)
      const sizeAt = room.grow(SIZE_BYTES)
      await writeBatch(batch, room)
      room.bytes.writeInt32BE(room.length - sizeAt - SIZE_BYTES, sizeAt)
    }
  }
  room.bytes.writeInt32BE(room.length - SIZE_BYTES, 0)
}

/** Sends a request under the connection's next number; what is answered. */
function sent(connection: Connection, frame: Buffer): Promise<Buffer> {
  if (!connection.isConnected()) throw new ForeshockError('FS_IO', 'Kafka: the connection was closed')
  const correlationId = connection.nextCorrelationId()
  frame.writeInt32BE(correlationId, NUMBER_AT)
  return new Promise((answered, reject) => {
    const resolve = ({ payload }: { readonly payload: Buffer }) => answered(payload)
    connection.requestQueue.push({
      entry: { apiKey: PRODUCE_KEY, apiName: 'Produce', apiVersion: VERSION, correlationId, resolve, reject },
      expectResponse: true,
      sendRequest: () => void connection.socket?.write(frame),
    })
  })
}

/** Answer to a produce request, version 7. Throws what it gives as an error; ms that nothing more is to be sent. */
export function readProduced(bytes: Buffer): number {
  let at = 4
  for (let topics = bytes.readInt32BE(0); topics > 0; topics--) {
    at += 2 + bytes.readInt16BE(at)
    const count = bytes.readInt32BE(at)
    at += 4
    for (let p = 0; p < count; p++) {
      refuse(bytes.readInt16BE(at + 4))
      at += 6 + REST_BYTES
    }
  }
  return bytes.readInt32BE(at)
}
