import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { EnvelopeKind, Receipt } from '../core/envelope.ts'
import { ForeshockError } from '../core/errors.ts'
import type { BodyMemory } from './body-memory.ts'
import type { ServeDeps, Settings } from './deps.ts'
import { bytesOf, encodingOf, mediaType, sendJson, tenantOf, unsupported } from './http.ts'
import { otlpSuccessBody } from './otlp-answer.ts'
import { problemOf, sendProblem } from './problems.ts'

/**
 * The hot routes. Bodies go to the pipeline as the bytes that came: nothing here looks into them, and nothing
 * is made per sample.
 */
export function ingestRoutes(
  app: FastifyInstance,
  given: ServeDeps,
  settings: Settings,
  memory: BodyMemory,
): void {
  const deps = givingBack(given, memory)
  const config = { scope: 'ingest', quiet: true } as const
  // Answers to machines: headers that tell a browser what a page may do cost as much as the rest of the answer.
  const hot = { config, schema: { hide: true }, helmet: false } as const
  app.addHook('onRequest', (_request, reply, done) => {
    reply.header('x-content-type-options', 'nosniff')
    done()
  })
  app.post('/api/v1/write', hot, (request, reply) => remoteWrite(deps, settings, request, reply))
  app.post('/v1/metrics', { ...hot, config: { ...config, speaks: 'otlp' } }, (request, reply) =>
    otlpMetrics(deps, request, reply),
  )
  app.post('/api/samples', hot, (request, reply) => jsonLines(deps, request, reply))
}

type IngestDeps = Pick<ServeDeps, 'submit' | 'clock'>

/** Once a body was processed and is durable nobody looks at it any more; one that failed may still wait to be written. */
function givingBack(deps: ServeDeps, memory: BodyMemory): IngestDeps {
  return {
    clock: () => deps.clock(),
    submit: async envelope => {
      const receipt = await deps.submit(envelope)
      memory.give(envelope.bytes)
      return receipt
    },
  }
}

function remoteWriteKind(contentType: string | undefined): EnvelopeKind {
  const { type, parameters } = mediaType(contentType)
  const proto = parameters.get('proto')
  if (type === 'application/x-protobuf') {
    if (proto === undefined || proto === 'prometheus.WriteRequest') return 'remote-write-1'
    if (proto === 'io.prometheus.write.v2.Request') return 'remote-write-2'
  }
  throw unsupported(
    'remote write is application/x-protobuf, with proto=prometheus.WriteRequest or ' +
      'proto=io.prometheus.write.v2.Request where it says',
  )
}

/** Throws when the body as a whole could not be read. */
export function assertReadable(receipt: Receipt): void {
  if (receipt.failure) throw new ForeshockError(receipt.failure.code, receipt.failure.detail)
}

/** How many were refused and why, in at most 1,000 characters. */
export function reasonsText(receipt: Receipt): string {
  return `${receipt.rejected} refused: ${receipt.reasons.join('; ')}`.slice(0, 1000)
}

/**
 * Prometheus remote write 1.0 and 2.0. Both specifications ask for 400 when any sample was refused ("Invalid
 * Samples", "Partial Write"): senders do not retry it, and what was good is taken all the same. In 2.0 the
 * headers say how much was written.
 */
async function remoteWrite(
  deps: IngestDeps,
  settings: Settings,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const kind = remoteWriteKind(request.headers['content-type'])
  const encoding = encodingOf(request, ['snappy'], 'snappy')
  const receipt = await deps.submit({
    kind,
    encoding,
    arrivalMs: deps.clock(),
    tenant: tenantOf(request),
    bytes: bytesOf(request),
  })
  if (kind === 'remote-write-2') {
    reply.header('X-Prometheus-Remote-Write-Samples-Written', receipt.samples)
    reply.header('X-Prometheus-Remote-Write-Histograms-Written', receipt.histograms)
    reply.header('X-Prometheus-Remote-Write-Exemplars-Written', receipt.exemplars)
  }
  assertReadable(receipt)
  if (receipt.rejected === 0) return reply.code(204).send()
  const problem = problemOf('FS_INPUT_INVALID', reasonsText(receipt), request.url, 400, written(receipt))
  return sendProblem(request, reply, problem, settings.retryAfterSeconds)
}

function written(receipt: Receipt): Record<string, number> {
  return {
    samples: receipt.samples,
    histograms: receipt.histograms,
    exemplars: receipt.exemplars,
    rejected: receipt.rejected,
  }
}

/** OTLP/HTTP metrics, protobuf or JSON; a partial success names how many points were refused and why. */
async function otlpMetrics(
  deps: IngestDeps,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const contentType = request.headers['content-type']
  const { type } = mediaType(contentType)
  if (type !== 'application/x-protobuf' && type !== 'application/json')
    throw unsupported('OTLP metrics are application/x-protobuf or application/json')
  const receipt = await deps.submit({
    kind: type === 'application/json' ? 'otlp-json' : 'otlp-protobuf',
    encoding: encodingOf(request, ['identity', 'gzip'], 'identity'),
    arrivalMs: deps.clock(),
    tenant: tenantOf(request),
    bytes: bytesOf(request),
  })
  assertReadable(receipt)
  const answer = otlpSuccessBody(receipt.rejected, reasonsText(receipt), contentType)
  return reply.code(200).type(answer.contentType).send(answer.body)
}

const JSON_LINES_TYPES: readonly string[] = [
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/json-lines',
  'application/json',
]

async function jsonLines(
  deps: IngestDeps,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  if (!JSON_LINES_TYPES.includes(mediaType(request.headers['content-type']).type))
    throw unsupported('samples are JSON lines: send content-type application/x-ndjson')
  const receipt = await deps.submit({
    kind: 'json-lines',
    encoding: encodingOf(request, ['identity', 'gzip'], 'identity'),
    arrivalMs: deps.clock(),
    tenant: tenantOf(request),
    bytes: bytesOf(request),
  })
  assertReadable(receipt)
  if (receipt.samples === 0 && receipt.rejected > 0)
    throw new ForeshockError('FS_INPUT_INVALID', reasonsText(receipt))
  return sendJson(reply, {
    samples: receipt.samples,
    histograms: receipt.histograms,
    exemplars: receipt.exemplars,
    rejected: receipt.rejected,
    reasons: receipt.reasons,
  })
}
