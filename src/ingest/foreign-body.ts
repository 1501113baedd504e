import type { EnvelopeKind } from '../core/envelope.ts'
import { JSON_DEPTH_MAX, nestsTooDeep } from '../core/json-depth.ts'
import { ProtoReader } from './protobuf.ts'

/** A message value of a foreign producer, as one of the decoders takes it. */
export interface ForeignBody {
  readonly kind: EnvelopeKind
  readonly bytes: Uint8Array
}

const UTF8 = new TextDecoder('utf-8')
const ENCODER = new TextEncoder()

/** Content types that producers name; without one the bytes tell. */
const TYPES: Readonly<Record<string, 'json' | 'protobuf'>> = {
  'application/json': 'json',
  'application/x-ndjson': 'json',
  'application/ndjson': 'json',
  'application/jsonl': 'json',
  'application/json-lines': 'json',
  'text/json': 'json',
  'application/x-protobuf': 'protobuf',
  'application/protobuf': 'protobuf',
}

/**
 * What a value is: JSON lines, one JSON object or an array of them as lines; OTLP as JSON (`resourceMetrics`) or protobuf
 * (`ExportMetricsServiceRequest`, which is what the OpenTelemetry Collector's Kafka exporter calls `otlp_proto`). The
 * reason when it is none of these. `contentType` decides where it is known, then the bytes.
 */
export function foreignBody(bytes: Uint8Array, contentType: string | undefined): ForeignBody | string {
  const named = contentType?.split(';')[0].trim().toLowerCase() ?? ''
  const type = Object.hasOwn(TYPES, named) ? TYPES[named] : undefined
  if (type === undefined && named !== '' && named !== 'application/octet-stream')
    return `content type ${named.slice(0, 100)} is not read here`
  if (bytes.length === 0) return 'the value is empty'
  if (type === 'protobuf' || (type === undefined && isExport(bytes))) {
    return { kind: 'otlp-protobuf', bytes }
  }
  if (nestsTooDeep(bytes)) return `the value nests deeper than ${JSON_DEPTH_MAX}`
  const first = firstByte(bytes)
  if (first === OPEN_OBJECT) return objectBody(bytes)
  if (first === OPEN_ARRAY) return arrayBody(bytes)
  return 'neither JSON nor an OTLP export of metrics'
}

const OPEN_OBJECT = 0x7b
const OPEN_ARRAY = 0x5b
const RESOURCE_METRICS = 0x0a

/** Whether the bytes are framed as `resource_metrics = 1` and nothing else, each with fields of `ResourceMetrics`. */
function isExport(bytes: Uint8Array): boolean {
  const r = new ProtoReader()
  r.reset(bytes, bytes.length)
  while (r.pos < r.end) {
    if (r.varint() !== RESOURCE_METRICS) return false
    const end = r.enter()
    while (r.pos < end) {
      const tag = r.varint()
      // Resource, scope metrics, schema URL; 1000 is the deprecated instrumentation library.
      if (tag !== 0x0a && tag !== 0x12 && tag !== 0x1a && tag !== 8002) return false
      r.skip(tag)
    }
    if (r.bad || r.pos !== end) return false
  }
  return true
}

function firstByte(bytes: Uint8Array): number {
  for (const byte of bytes) if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte
  return 0
}

/** One object over many lines, OTLP, or lines as they are. */
function objectBody(bytes: Uint8Array): ForeignBody | string {
  const text = UTF8.decode(bytes)
  if (/^\s*\{\s*"resourceMetrics"\s*:/.test(text)) return { kind: 'otlp-json', bytes }
  const firstLine = text.trimStart().split('\n', 1)[0]
  if (parsed(firstLine) !== undefined) return { kind: 'json-lines', bytes }
  const whole = parsed(text)
  if (whole === undefined) return 'the value is not JSON'
  return { kind: 'json-lines', bytes: ENCODER.encode(JSON.stringify(whole)) }
}

function arrayBody(bytes: Uint8Array): ForeignBody | string {
  const all = parsed(UTF8.decode(bytes))
  if (!Array.isArray(all)) return 'the value is not JSON'
  return { kind: 'json-lines', bytes: ENCODER.encode(all.map(each => JSON.stringify(each)).join('\n')) }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
