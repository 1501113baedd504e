import {
  type Metadata,
  ResponderBuilder,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
  ServerListenerBuilder,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import { ForeshockError } from '../core/errors.ts'
import { Keyring } from './auth.ts'
import { type ServeDeps, type ServeOptions, type Settings, settingsOf } from './deps.ts'
import { TENANT_HEADER, tenantNamed } from './http.ts'
import { reasonsText } from './ingest-answers.ts'
import { MessageTurns } from './message-turns.ts'
import { otlpSuccessBody } from './otlp-answer.ts'
import { statusOf } from './problems.ts'

/**
 * OTLP/gRPC: `opentelemetry.proto.collector.metrics.v1.MetricsService/Export` (opentelemetry-proto 1.x). Messages are
 * neither decoded nor encoded here: the request goes to the pipeline as the bytes that came, as over HTTP.
 */

const asBytes = (message: Buffer) => message

const METRICS_SERVICE: ServiceDefinition = {
  Export: {
    path: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
    requestStream: false,
    responseStream: false,
    requestSerialize: asBytes,
    requestDeserialize: asBytes,
    responseSerialize: asBytes,
    responseDeserialize: asBytes,
  },
}

/**
 * By the status of HTTP. The OTLP specification names which codes a sender tries again: UNAVAILABLE is one, INVALID_ARGUMENT and
 * INTERNAL are not.
 */
const CODES: Readonly<Record<number, status>> = {
  400: status.INVALID_ARGUMENT,
  401: status.UNAUTHENTICATED,
  403: status.PERMISSION_DENIED,
  413: status.INVALID_ARGUMENT,
  429: status.UNAVAILABLE,
  503: status.UNAVAILABLE,
}

export interface GrpcService {
  readonly port: number
  /** Answers what is running, then closes. */
  close(): Promise<void>
}

/** Longest that a stop waits for running calls, ms. */
const STOP_MS_MAX = 5000

/** What a sender may send ahead of being asked: the window of a stream of HTTP/2, bytes. */
const AHEAD_BYTES = 65_535

/** Whose messages are taken, by the metadata of the call. */
type Tenants = WeakMap<Metadata, string>

/** Listens for OTLP/gRPC; rejects when the address cannot be bound. */
export async function listenGrpc(
  deps: ServeDeps,
  options: ServeOptions,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<GrpcService> {
  const settings = settingsOf(options)
  const tenants: Tenants = new WeakMap()
  const server = new Server({
    'grpc.max_receive_message_length': settings.bodyBytesMax,
    interceptors: [admission(settings, tenants)],
  })
  server.addService(METRICS_SERVICE, {
    Export: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
      exportMetrics(deps, tenants.get(call.metadata), call.request).then(
        body => answer(null, body),
        error => answer(grpcError(error, settings.logger)),
      )
    },
  })
  const bound = await new Promise<number>((done, failed) => {
    const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, actual) =>
      error ? failed(error) : done(actual),
    )
  })
  return {
    port: bound,
    close: () =>
      new Promise(done => {
        const timer = setTimeout(() => {
          server.forceShutdown()
          done()
        }, STOP_MS_MAX)
        server.tryShutdown(() => {
          clearTimeout(timer)
          done()
        })
      }),
  }
}

/**
 * Looks who sends before anything of the message is read, and lets so many arrive at a time that all of them together stay within what
 * bodies may take: until its turn a message is held back by the flow control of HTTP/2.
 */
function admission(
  { keys, bodyBytesMax, bodiesBytesMax, logger }: Settings,
  tenants: Tenants,
): ServerInterceptor {
  const keyring = new Keyring(keys)
  const turns = new MessageTurns(
    Math.max(1, Math.floor(bodiesBytesMax / bodyBytesMax)),
    Math.floor(bodiesBytesMax / AHEAD_BYTES),
  )
  return (_method, call) => {
    const giveUp = (why: unknown) => call.sendStatus(grpcError(why, logger))
    let isOver = false
    let leave = () => {}
    const end = () => {
      isOver = true
      leave()
    }
    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata((metadata, next) => {
        tenantOf(keyring, metadata).then(tenant => {
          if (isOver) return
          tenants.set(metadata, tenant)
          const awaited = { begin: () => next(metadata), giveUp }
          leave = () => turns.leave(awaited)
          turns.take(awaited)
        }, giveUp)
      })
      .withOnReceiveHalfClose(next => {
        end()
        next()
      })
      .withOnCancel(end)
      .build()
    return new ServerInterceptingCall(call, new ResponderBuilder().withStart(next => next(listener)).build())
  }
}

/** Whose messages the sender's are. */
async function tenantOf(keyring: Keyring, metadata: Metadata): Promise<string> {
  const principal = keyring.identify({
    authorization: textOf(metadata, 'authorization'),
    'x-api-key': textOf(metadata, 'x-api-key'),
  })
  if (principal === undefined)
    throw new ForeshockError('FS_UNAUTHORIZED', 'this needs an API key that is known here')
  if (!principal.scopes.has('ingest'))
    throw new ForeshockError('FS_FORBIDDEN', 'this needs a key with the scope ingest')
  return principal.tenant ?? tenantNamed(textOf(metadata, TENANT_HEADER)) ?? 'default'
}

async function exportMetrics(deps: ServeDeps, tenant: string | undefined, bytes: Buffer): Promise<Buffer> {
  if (tenant === undefined)
    throw new ForeshockError('FS_ASSERTION', 'a call was answered that nobody admitted')
  const receipt = await deps.submit({
    kind: 'otlp-protobuf',
    encoding: 'identity',
    arrivalMs: deps.clock(),
    tenant,
    bytes,
  })
  if (receipt.failure) throw new ForeshockError(receipt.failure.code, receipt.failure.detail)
  return otlpSuccessBody(receipt.rejected, reasonsText(receipt), 'application/x-protobuf').body as Buffer
}

function textOf(metadata: Metadata, name: string): string | undefined {
  const [value] = metadata.get(name)
  return typeof value === 'string' ? value : undefined
}

function grpcError(error: unknown, logger: ServeOptions['logger']): { code: status; details: string } {
  const code = error instanceof ForeshockError ? CODES[statusOf(error.code)] : undefined
  if (code !== undefined) return { code, details: (error as Error).message }
  logger?.error({ err: error }, 'an OTLP/gRPC call failed')
  return { code: status.INTERNAL, details: 'something went wrong on this side; the log says what' }
}
