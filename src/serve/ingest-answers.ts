import type { Envelope, EnvelopeKind, Receipt } from '../core/envelope.ts'
import type { ErrorCode } from '../core/errors.ts'
import { type Answer, withCharset } from './answer.ts'
import { mediaType, unsupported } from './http.ts'
import { otlpSuccessBody } from './otlp-answer.ts'
import { instanceOf, problemAnswer, problemOf } from './problems.ts'

/**
 * What the routes that take samples in make of what they are sent, and what they answer: the same for requests that come
 * through the router and for those that are read beside it.
 */
export type IngestPath = '/api/v1/write' | '/v1/metrics' | '/api/samples'

export const INGEST_PATHS: readonly IngestPath[] = ['/api/v1/write', '/v1/metrics', '/api/samples']

type Encoding = Envelope['encoding']

interface Intake {
  /** What a body of this content type is. Throws FS_MEDIA_TYPE_UNSUPPORTED. */
  readonly kindOf: (contentType: string | undefined) => EnvelopeKind
  readonly encodings: readonly Encoding[]
  /** Encoding of a body that says nothing of it. */
  readonly unsaid: Encoding
  readonly speaks: 'otlp' | undefined
}

export const INTAKES: Readonly<Record<IngestPath, Intake>> = {
  '/api/v1/write': { kindOf: remoteWriteKind, encodings: ['snappy'], unsaid: 'snappy', speaks: undefined },
  '/v1/metrics': { kindOf: otlpKind, encodings: ['identity', 'gzip'], unsaid: 'identity', speaks: 'otlp' },
  '/api/samples': {
    kindOf: linesKind,
    encodings: ['identity', 'gzip'],
    unsaid: 'identity',
    speaks: undefined,
  },
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

function otlpKind(contentType: string | undefined): EnvelopeKind {
  const { type } = mediaType(contentType)
  if (type === 'application/json') return 'otlp-json'
  if (type === 'application/x-protobuf') return 'otlp-protobuf'
  throw unsupported('OTLP metrics are application/x-protobuf or application/json')
}

const LINES_TYPES: readonly string[] = [
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/json-lines',
  'application/json',
]

function linesKind(contentType: string | undefined): EnvelopeKind {
  if (LINES_TYPES.includes(mediaType(contentType).type)) return 'json-lines'
  throw unsupported('samples are JSON lines: send content-type application/x-ndjson')
}

/** How many were refused and why, in at most 1,000 characters. */
export function reasonsText(receipt: Receipt): string {
  return `${receipt.rejected} refused: ${receipt.reasons.join('; ')}`.slice(0, 1000)
}

/** Of whom an answer speaks, and in which language. */
export interface Asked {
  readonly path: IngestPath
  /** As it stands in the request, query included. */
  readonly url: string
  readonly contentType: string | undefined
  readonly kind: EnvelopeKind
  readonly retryAfterSeconds: number
}

const DONE: Answer = { status: 204, headers: [], body: undefined }

/**
 * What a sender is told of a body that was processed. Prometheus remote write 1.0 and 2.0 both ask for 400 when any sample
 * was refused ("Invalid Samples", "Partial Write"): senders do not retry it, and what was good is taken all the same; in
 * 2.0 headers say how much was written. OTLP names in a partial success how many points were refused and why.
 */
export function answerOf(asked: Asked, receipt: Receipt): Answer {
  const { failure, rejected, samples } = receipt
  if (asked.kind === 'remote-write-1' && rejected === 0 && !failure) return DONE
  if (asked.path === '/api/v1/write') {
    const headers = asked.kind === 'remote-write-2' ? writtenHeaders(receipt) : []
    if (rejected === 0 && !failure) return { ...DONE, headers }
    const answer = failure
      ? refused(asked, failure.detail, failure.code)
      : refused(asked, reasonsText(receipt), 'FS_INPUT_INVALID', written(receipt))
    return { ...answer, headers: [...headers, ...answer.headers] }
  }
  if (failure) return refused(asked, failure.detail, failure.code, written(receipt))
  if (asked.path === '/v1/metrics') {
    const { contentType, body } = otlpSuccessBody(rejected, reasonsText(receipt), asked.contentType)
    return { status: 200, headers: [['content-type', withCharset(contentType)]], body }
  }
  if (samples === 0 && rejected > 0) return refused(asked, reasonsText(receipt), 'FS_INPUT_INVALID')
  const body = JSON.stringify({ ...written(receipt), reasons: receipt.reasons })
  return { status: 200, headers: [['content-type', withCharset('application/json')]], body }
}

function refused(
  asked: Asked,
  detail: string,
  code: ErrorCode,
  extensions: Readonly<Record<string, unknown>> = {},
): Answer {
  const { url, contentType } = asked
  const problem = problemOf(code, detail, instanceOf(url), undefined, extensions)
  const { speaks } = INTAKES[asked.path]
  return problemAnswer(problem, { speaks, url, contentType }, asked.retryAfterSeconds)
}

function writtenHeaders({ samples, histograms, exemplars }: Receipt): (readonly [string, string])[] {
  return [
    ['x-prometheus-remote-write-samples-written', String(samples)],
    ['x-prometheus-remote-write-histograms-written', String(histograms)],
    ['x-prometheus-remote-write-exemplars-written', String(exemplars)],
  ]
}

function written({ samples, histograms, exemplars, rejected }: Receipt): Record<string, number> {
  return { samples, histograms, exemplars, rejected }
}
