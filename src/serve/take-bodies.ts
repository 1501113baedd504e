import type { IncomingMessage } from 'node:http'
import { errorCodes, type FastifyInstance } from 'fastify'
import type { BodyMemory } from './body-memory.ts'

type Done = (error: Error | null, body?: Buffer) => void

/** Reads bodies of every content type as bytes; to be called in the scope that holds the routes. */
export function takeBytes(app: FastifyInstance, bodyBytesMax: number): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: bodyBytesMax }, (_request, body, done) =>
    done(null, body),
  )
}

/**
 * The same for the hot routes: a body that says how long it is goes into memory that was lent, in one copy. Who handles
 * the request gives it back once nobody looks at it any more; what is never given back is garbage like any other.
 */
export function takeLentBytes(app: FastifyInstance, bodyBytesMax: number, memory: BodyMemory): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (request, payload: IncomingMessage, done: Done) => {
    const said = request.headers['content-length']
    if (said === undefined) return collect(payload, bodyBytesMax, done)
    const bytes = Number(said)
    if (bytes > bodyBytesMax) return done(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE())
    fill(payload, memory.lend(bytes), memory, done)
  })
}

/** A body of known length. */
function fill(payload: IncomingMessage, body: Buffer, memory: BodyMemory, done: Done): void {
  let at = 0
  const onData = (chunk: Buffer): void => {
    // More than was announced cannot come over HTTP; were it to, it would be counted and refused.
    if (at + chunk.length <= body.length) chunk.copy(body, at)
    at += chunk.length
  }
  const onEnd = (error?: Error): void => {
    payload.off('data', onData).off('end', onEnd).off('error', onEnd)
    const why =
      error === undefined
        ? at === body.length
          ? null
          : new errorCodes.FST_ERR_CTP_INVALID_CONTENT_LENGTH()
        : Object.assign(error, { statusCode: 400 })
    if (why !== null) memory.give(body)
    done(why, why === null ? body : undefined)
  }
  payload.on('data', onData).on('end', onEnd).on('error', onEnd)
}

/** A body that comes in chunks until it ends. */
function collect(payload: IncomingMessage, bytesMax: number, done: Done): void {
  const chunks: Buffer[] = []
  let bytes = 0
  const end = (error: Error | null): void => {
    payload.off('data', onData).off('end', onEnd).off('error', onError)
    done(error, error === null ? Buffer.concat(chunks, bytes) : undefined)
  }
  const onData = (chunk: Buffer): void => {
    bytes += chunk.length
    if (bytes > bytesMax) end(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE())
    else chunks.push(chunk)
  }
  const onEnd = (): void => end(null)
  const onError = (error: Error): void => end(Object.assign(error, { statusCode: 400 }))
  payload.on('data', onData).on('end', onEnd).on('error', onError)
}
