import type { IncomingMessage } from 'node:http'
import { errorCodes, type FastifyInstance } from 'fastify'
import type { BodyMemory } from './body-memory.ts'
import type { BodyRoom } from './body-room.ts'

type Done = (error: Error | null, body?: Buffer) => void

export interface BodyLimits {
  /** Of one body, as sent. */
  readonly bytesMax: number
  /** Of all that are on their way. */
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
    fill(payload, bytes, limits, done)
  })
}

/** A body of known length. */
function fill(payload: IncomingMessage, bytes: number, { room, memory }: BodyLimits, done: Done): void {
  const body = memory?.lend(bytes) ?? Buffer.allocUnsafeSlow(bytes)
  let at = 0
  const end = (why: Error | null): void => {
    payload.off('data', onData).off('end', onEnd).off('error', onError)
    room.leave(arriving)
    if (why !== null) memory?.give(body)
    done(why, why === null ? body : undefined)
  }
  const arriving = { giveUp: end }
  const onData = (chunk: Buffer): void => {
    // More than was announced cannot come over HTTP; were it to, it would be counted and refused.
    if (at + chunk.length <= body.length) chunk.copy(body, at)
    at += chunk.length
    room.add(arriving, chunk.length)
  }
  const onEnd = (): void =>
    end(at === body.length ? null : new errorCodes.FST_ERR_CTP_INVALID_CONTENT_LENGTH())
  const onError = (error: Error): void => end(Object.assign(error, { statusCode: 400 }))
  payload.on('data', onData).on('end', onEnd).on('error', onError)
}

/** A body that comes in chunks until it ends. */
function collect(payload: IncomingMessage, { bytesMax, room }: BodyLimits, done: Done): void {
  const chunks: Buffer[] = []
  let bytes = 0
  const end = (error: Error | null): void => {
    payload.off('data', onData).off('end', onEnd).off('error', onError)
    room.leave(arriving)
    done(error, error === null ? Buffer.concat(chunks, bytes) : undefined)
  }
  const arriving = { giveUp: end }
  const onData = (chunk: Buffer): void => {
    bytes += chunk.length
    if (bytes > bytesMax) {
      end(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE())
      return
    }
    chunks.push(chunk)
    room.add(arriving, chunk.length)
  }
  const onEnd = (): void => end(null)
  const onError = (error: Error): void => end(Object.assign(error, { statusCode: 400 }))
  payload.on('data', onData).on('end', onEnd).on('error', onError)
}
