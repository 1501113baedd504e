import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import { ForeshockError } from '../core/errors.ts'
import { Keyring } from './auth.ts'
import { type ServeDeps, type ServeOptions, settingsOf } from './deps.ts'
import { TENANT_HEADER, tenantNamed } from './http.ts'
import { reasonsText } from './ingest-answers.ts'
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

/** Listens for OTLP/gRPC; rejects when the address cannot be bound. */
export async function listenGrpc(
  deps: ServeDeps,
  options: ServeOptions,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<GrpcService> {
  const settings = settingsOf(options)
  const keyring = new Keyring(settings.keys)
  const server = new Server({ 'grpc.max_receive_message_length': settings.bodyBytesMax })
  server.addService(METRICS_SERVICE, {
    Export: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
      exportMetrics(deps, keyring, call).then(
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

async function exportMetrics(
  deps: ServeDeps,
  keyring: Keyring,
  { request, metadata }: ServerUnaryCall<Buffer, Buffer>,
): Promise<Buffer> {
  const principal = keyring.identify({
    authorization: textOf(metadata, 'authorization'),
    'x-api-key': textOf(metadata, 'x-api-key'),
  })
  if (principal === undefined)
    throw new ForeshockError('FS_UNAUTHORIZED', 'this needs an API key that is known here')
  if (!principal.scopes.has('ingest'))
    throw new ForeshockError('FS_FORBIDDEN', 'this needs a key with the scope ingest')
  const receipt = await deps.submit({
    kind: 'otlp-protobuf',
    encoding: 'identity',
    arrivalMs: deps.clock(),
    tenant: principal.tenant ?? tenantNamed(textOf(metadata, TENANT_HEADER)) ?? 'default',
    bytes: request,
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
