// Shows which code each failure of a body ends a call of OTLP/gRPC with: what HTTP answers 429 or 503 is UNAVAILABLE, the code
// that senders try again, whatever was the matter; what is wrong with the body, or with us, is none of those. And that no message is
// collected of a sender whom nobody knows, nor more of them at a time than there is room for.
import { createHash } from 'node:crypto'
import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from 'node:http2'
import { setTimeout as pause } from 'node:timers/promises'
import { credentials, Metadata, makeGenericClientConstructor, type ServiceError, status } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { EMPTY_RECEIPT, type Envelope } from '../../src/core/envelope.ts'
import { ERRORS, type ErrorCode, ForeshockError } from '../../src/core/errors.ts'
import type { ServeOptions } from '../../src/serve/deps.ts'
import { listenGrpc } from '../../src/serve/grpc.ts'
import { problemOfError } from '../../src/serve/problems.ts'
import { world } from './world.ts'

const PATH = '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export'
const WORDS: Readonly<Record<number, status>> = {
  400: status.INVALID_ARGUMENT,
  401: status.UNAUTHENTICATED,
  403: status.PERMISSION_DENIED,
  413: status.INVALID_ARGUMENT,
  429: status.UNAVAILABLE,
  503: status.UNAVAILABLE,
}

it('ends calls with what senders understand, for every error there is', async () => {
  let failure = new Error()
  const deps = {
    ...world().deps,
    submit: async () => {
      throw failure
    },
  }
  const service = await listenGrpc(deps, {}, { host: '127.0.0.1', port: 0 })
  const Client = makeGenericClientConstructor({}, 'raw')
  const client = new Client(`127.0.0.1:${service.port}`, credentials.createInsecure())
  const same = (bytes: Buffer) => bytes
  const codeOf = () =>
    new Promise<status>(done => {
      const end = (error: ServiceError | null) => done(error ? error.code : status.OK)
      client.makeUnaryRequest(PATH, same, same, Buffer.alloc(0), new Metadata(), end)
    })
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    failure = new ForeshockError(code, 'on purpose')
    const { status: http } = problemOfError(failure, { url: PATH })
    expect([code, await codeOf()]).toEqual([code, WORDS[http] ?? status.INTERNAL])
  }
  failure = new ForeshockError('FS_WORKER_LOST', 'a thread has ended')
  expect(await codeOf()).toBe(status.UNAVAILABLE)
  failure = new TypeError('a mistake')
  expect(await codeOf()).toBe(status.INTERNAL)
  client.close()
  await service.close()
})

describe('a message', () => {
  const BODY = 1_000_000
  /** A call of which so many bytes of a message come; the code that ends it. */
  const begin = (session: ClientHttp2Session, bytes: number, headers: OutgoingHttpHeaders = {}) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': PATH,
      'content-type': 'application/grpc',
      ...headers,
    })
    const head = Buffer.alloc(5)
    head.writeUInt32BE(BODY, 1)
    if (bytes > 0) stream.write(Buffer.concat([head, Buffer.alloc(bytes)]))
    const code = new Promise<number>(done => {
      stream.on('response', ({ 'grpc-status': said }) => said !== undefined && done(Number(said)))
      stream.on('trailers', ({ 'grpc-status': said }) => done(Number(said)))
      stream.on('error', () => done(Number.NaN))
    })
    return { stream, code }
  }
  const opened = async (options: ServeOptions) => {
    const envelopes: Envelope[] = []
    const submit = async (envelope: Envelope) => {
      envelopes.push(envelope)
      return EMPTY_RECEIPT
    }
    const service = await listenGrpc({ ...world().deps, submit }, options, { host: '127.0.0.1', port: 0 })
    const session = connect(`http://127.0.0.1:${service.port}`)
    const close = async () => {
      session.destroy()
      await service.close()
    }
    return { session, envelopes, close }
  }

  it('is not asked of a sender whom nobody knows', async () => {
    const hash = `sha256:${createHash('sha256').update('fsk_sender').digest('hex')}`
    const keys = [
      { id: 'sender', hash, scopes: ['ingest' as const], tenant: 'acme' },
      {
        id: 'reader',
        hash: `sha256:${createHash('sha256').update('fsk_reader').digest('hex')}`,
        scopes: ['read' as const],
      },
    ]
    const { session, envelopes, close } = await opened({ keys })
    // Nothing of it is sent, and none of them says that it is all.
    expect(await begin(session, 0).code).toBe(status.UNAUTHENTICATED)
    expect(await begin(session, 0, { 'x-api-key': 'fsk_reader' }).code).toBe(status.PERMISSION_DENIED)
    const known = begin(session, BODY, { authorization: 'Bearer fsk_sender' })
    known.stream.end()
    expect(await known.code).toBe(status.OK)
    expect(envelopes.map(({ tenant, bytes }) => [tenant, bytes.length])).toEqual([['acme', BODY]])
    await close()
  })

  it('waits with its sender while as many are on their way as there is room for', async () => {
    const { session, envelopes, close } = await opened({ bodyBytesMax: BODY, bodiesBytesMax: 2 * BODY })
    const slow = [begin(session, BODY - 1), begin(session, BODY - 1)]
    for (const { stream } of slow) while (stream.writableLength > 0) await pause(5)
    const last = begin(session, BODY)
    last.stream.end()
    await pause(200)
    // What flow control lets it send ahead, and no more.
    expect(last.stream.writableLength).toBeGreaterThan(BODY - 100_000)
    slow[0].stream.close()
    expect(await last.code).toBe(status.OK)
    slow[1].stream.end(Buffer.alloc(1))
    expect(await slow[1].code).toBe(status.OK)
    expect(envelopes.map(({ bytes }) => bytes.length)).toEqual([BODY, BODY])
    await close()
  })
})
