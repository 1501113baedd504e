import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Connection } from 'kafkajs/src/cluster/index.js'
import { AnswerReader, COMMON_ROOM } from './answer-reader.ts'

/** As kafkajs's own sockets, ms. */
const KEEP_ALIVE_MS = 60_000
/** Behind the size of a frame. */
const NUMBER_AT = 4
const ANSWER_AT = 8

interface Asked {
  readonly host: string
  readonly port: number
  readonly ssl: object | boolean | null | undefined
  readonly onConnect: () => void
}

/** Where a socket's bytes go: to kafkajs, which is given a copy, until `takeAnswers`. */
interface Side {
  reader: AnswerReader | undefined
}

const sides = new WeakMap<Socket, Side>()

/**
 * Sockets for kafkajs that read into memory they were given. Node's streams allocate 64 KiB for each read; the answers of a consumer
 * that catches up are as much garbage beyond the heap, for which V8 walks the whole of it again and again.
 */
export function kafkaSocket({ host, port, ssl, onConnect }: Asked): Socket {
  const side: Side = { reader: undefined }
  const onread = {
    buffer: () => side.reader?.next() ?? COMMON_ROOM,
    callback: (length: number, room: Uint8Array) => {
      const { reader } = side
      const bytes = room.subarray(0, length)
      if (reader === undefined) socket.emit('data', Buffer.from(bytes))
      else {
        reader.took(bytes)
        if (reader.fault !== '') socket.destroy(new Error(reader.fault))
      }
      return true
    },
  }
  const secret = typeof ssl === 'object' ? ssl : {}
  const named = isIP(host) === 0 ? { servername: host } : {}
  const socket = ssl
    ? connectTls({ host, port, ...named, ...secret, onread } as object, onConnect)
    : connect({ host, port, onread }, onConnect)
  socket.setKeepAlive(true, KEEP_ALIVE_MS)
  releaseOnce(socket)
  sides.set(socket, side)
  return socket
}

/**
 * kafkajs lets go of both sockets of a broker at each failure of either. One that is gone would take that for a wish about its next
 * connection, which it never has: a listener more for each failure, for as long as the broker is away.
 */
function releaseOnce(socket: Socket): void {
  const unref = socket.unref.bind(socket)
  socket.unref = () => (socket.destroyed ? socket : unref())
}

/**
 * From now on answers on this connection come in a room that is used again: undefined while that cannot be, such as while there is no
 * connection. kafkajs goes on asking, and says who a user is.
 */
export function takeAnswers(connection: Connection): AnswerReader | undefined {
  const { socket } = connection
  const side = socket && sides.get(socket)
  if (side === undefined || side.reader !== undefined) return side?.reader
  // What was begun the other way is ended that way.
  const isIdle =
    !connection.authHandlers && connection.bytesBuffered === 0 && connection.requestQueue.inflight.size === 0
  if (!connection.isConnected() || !isIdle) return undefined
  side.reader = new AnswerReader(frame => {
    // Who was trusted for a while only is asked again who he is.
    if (connection.authHandlers) connection.processData(Buffer.from(frame))
    else
      connection.requestQueue.fulfillRequest({
        size: frame.length - NUMBER_AT,
        correlationId: frame.readInt32BE(NUMBER_AT),
        payload: frame.subarray(ANSWER_AT),
      })
  })
  return side.reader
}
