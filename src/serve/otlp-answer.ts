/**
 * The two answers an OTLP/HTTP receiver gives, in the encoding it was asked in: ExportMetricsServiceResponse
 * and google.rpc.Status (opentelemetry-proto 1.x, OTLP specification, section "OTLP/HTTP Response").
 */

export interface Encoded {
  readonly contentType: string
  readonly body: string | Buffer
}

const JSON_TYPE = 'application/json'
const PROTOBUF_TYPE = 'application/x-protobuf'

/** google.rpc.Code by HTTP status; UNKNOWN for the rest. */
const RPC_CODES: Readonly<Record<number, number>> = {
  400: 3,
  401: 16,
  403: 7,
  404: 5,
  413: 3,
  415: 3,
  429: 8,
  500: 13,
  503: 14,
}

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest > 127) {
    bytes.push((rest % 128) | 128)
    rest = Math.floor(rest / 128)
  }
  bytes.push(rest)
  return bytes
}

function lengthDelimited(field: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([(field << 3) | 2, ...varint(bytes.length)]), bytes])
}

function isJson(contentType: string | undefined): boolean {
  return /^\s*application\/json\b/i.test(contentType ?? '')
}

/** Status { int32 code = 1; string message = 2; } */
export function otlpErrorBody(status: number, message: string, contentType: string | undefined): Encoded {
  const code = RPC_CODES[status] ?? 2
  if (isJson(contentType)) return { contentType: JSON_TYPE, body: JSON.stringify({ code, message }) }
  const body = Buffer.concat([Buffer.from([0x08, code]), lengthDelimited(2, Buffer.from(message))])
  return { contentType: PROTOBUF_TYPE, body }
}

/**
 * ExportMetricsServiceResponse { ExportMetricsPartialSuccess partial_success = 1 { int64 rejected_data_points
 * = 1; string error_message = 2; } }; an empty message when everything was taken.
 */
export function otlpSuccessBody(rejected: number, message: string, contentType: string | undefined): Encoded {
  if (isJson(contentType)) {
    const partialSuccess = { rejectedDataPoints: String(rejected), errorMessage: message }
    return { contentType: JSON_TYPE, body: JSON.stringify(rejected > 0 ? { partialSuccess } : {}) }
  }
  if (rejected === 0) return { contentType: PROTOBUF_TYPE, body: Buffer.alloc(0) }
  const partial = Buffer.concat([
    Buffer.from([0x08, ...varint(rejected)]),
    lengthDelimited(2, Buffer.from(message)),
  ])
  return { contentType: PROTOBUF_TYPE, body: lengthDelimited(1, partial) }
}
