// Shows which code each failure of a body ends a call of OTLP/gRPC with: what HTTP answers 429 or 503 is UNAVAILABLE, the code
// that senders try again, whatever was the matter; what is wrong with the body, or with us, is none of those.
import { credentials, Metadata, makeGenericClientConstructor, type ServiceError, status } from '@grpc/grpc-js'
import { expect, it } from 'vitest'
import { ERRORS, type ErrorCode, ForeshockError } from '../../src/core/errors.ts'
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
