import type { IncomingMessage } from 'node:http'
import { errorCodes, type FastifyInstance } from 'fastify'
import { ForeshockError } from '../core/errors.ts'
import type { BodyMemory } from './body-memory.ts'
import type { BodyRoom } from './body-room.ts'

type Done = (error: Error | null, body?: Buffer) => void

export interface BodyLimits {
  /** Of one body, as sent. */
  readonly bytesMax: number
  /** Of all that are under way. */
  readonly room: BodyRoom
  /** What bodies that say how long they are go into; each has memory of its own without it. */
  readonly memory?: BodyMemory
}

/**
 * Reads bodies of every content type as bytes; to be called in the scope that holds the routes. One that says how long it is goes
 * into memory in one copy. Where that was lent, who handles the request gives it back once nobody looks at it any more; what is
 * never given back is garbage like any other.
 */
export function takeBytes(app: FastifyInstance, limits: BodyLimits): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (request, payload: IncomingMessage, done: Done) => {
    const said = request.headers['content-length']
    if (said === undefined) return collect(payload, limits, done)
    const bytes = Number(said)
    if (bytes > limits.bytesMax) return done(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE())
    if (!limits.room.take(bytes)) return done(noRoom(limits.room))
    fill(payload, bytes, limits, done)
  })
}

/** A body of known length, which has its room. */
function fill(payload: IncomingMessage, bytes: number, { room, memory }: BodyLimits, done: Done): void {
  const body = memory?.lend(bytes) ?? Buffer.allocUnsafeSlow(bytes)
  let at = 0
  const onData = (chunk: Buffer): void => {
    // More than was announced cannot come over HTTP; were it to, it would be counted and refused.
    if (at + chunk.length <= body.length) chunk.copy(body, at)
    at += chunk.length
  }
  const onEnd = (error?: Error): void => {
    payload.off('data', onData).off('end', onEnd).off('error', onEnd)
    room.give(bytes)
    const why =
      error === undefined
        ? at === body.length
          ? null
          : new errorCodes.FST_ERR_CTP_INVALID_CONTENT_LENGTH()
        : Object.assign(error, { statusCode: 400 })
    if (why !== null) memory?.give(body)
    done(why, why === null ? body : undefined)
  }
  payload.on('data', onData).on('end', onEnd).on('error', onEnd)
}

/** A body that comes in chunks until it ends: each takes its room as it comes. */
function collect(payload: IncomingMessage, { bytesMax, room }: BodyLimits, done: Done): void {
  const chunks: Buffer[] = []
  let bytes = 0
  const end = (error: Error | null): void => {
    payload.off('data', onData).off('end', onEnd).off('error', onError)
    room.give(bytes)
    done(error, error === null ? Buffer.concat(chunks, bytes) : undefined)
  }
  const onData = (chunk: Buffer): void => {
    if (bytes + chunk.length > bytesMax) end(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE())
    else if (!room.take(chunk.length)) end(noRoom(room))
    else {
      bytes += chunk.length
      chunks.push(chunk)
    }
  }
  const onEnd = (): void => end(null)
  const onError = (error: Error): void => end(Object.assign(error, { statusCode: 400 }))
  payload.on('data', onData).on('end', onEnd).on('error', onError)
}

function noRoom(room: BodyRoom): ForeshockError {
  return new ForeshockError('FS_OVERLOADED', `bodies of ${room.bytes} bytes are under way already`)
}
