import { z } from 'zod'
import { parseJson } from '../core/json-depth.ts'
import type { ModelCard } from '../detectors/model-card.ts'
import { invalid } from './http.ts'
import { bytesOfTensor, datatypeOf, jsonOfTensor, tensorOfBytes, tensorOfJson } from './tensors.ts'

/** Requests and answers of the Open Inference Protocol, with Triton's binary tensors. */

const parameters = z.record(z.string(), z.unknown()).optional()
const requestSchema = z.object({
  id: z.string().max(1024).optional(),
  parameters,
  inputs: z
    .array(
      z.object({
        name: z.string(),
        shape: z.array(z.number().int().min(0)).max(8),
        datatype: z.string(),
        parameters,
        data: z.unknown().optional(),
      }),
    )
    .min(1)
    .max(16),
  outputs: z
    .array(z.object({ name: z.string(), parameters }))
    .max(16)
    .optional(),
})

/** JSON of a request is read on the thread that serves: beyond this, numbers come as bytes. */
const JSON_BYTES_MAX = 4 * 1_048_576
/** Rows of one request. */
const ROWS_MAX = 16_384

export interface InferRequest {
  readonly id: string | undefined
  readonly rows: number
  readonly input: Float32Array
  /** The output is answered as bytes. */
  readonly isBinary: boolean
  readonly timeoutMs: number | undefined
}

type Tensors = Pick<ModelCard, 'input' | 'output'>

/**
 * Reads a request for a model. `headerLength` is the Inference-Header-Content-Length as sent: bytes of JSON, after which
 * tensors follow as bytes; 0 is nothing but the bytes of the one input. Throws FS_INPUT_INVALID with what is wrong where.
 */
export function inferRequestOf(
  { input: wanted, output }: Tensors,
  body: Uint8Array,
  headerLength: string | undefined,
): InferRequest {
  const jsonBytes = headerLength === undefined ? body.length : lengthOf(headerLength, body.length)
  if (jsonBytes === 0 && headerLength !== undefined) return rawRequest(wanted, body)
  if (jsonBytes > JSON_BYTES_MAX)
    throw invalid(
      `the request has ${jsonBytes} bytes of JSON, at most ${JSON_BYTES_MAX} are read; send tensors as bytes`,
    )
  const request = parsed(body.subarray(0, jsonBytes))
  let at = jsonBytes
  let found: { rows: number; values: Float32Array } | undefined
  for (const one of request.inputs) {
    if (one.name !== wanted.name)
      throw invalid(`there is no input ${one.name.slice(0, 100)}, only ${wanted.name}`)
    if (found) throw invalid(`input ${wanted.name} is there twice`)
    const rows = rowsOf(one, wanted.width)
    const datatype = datatypeOf(one.name, one.datatype)
    const size = one.parameters?.binary_data_size
    if (size === undefined) {
      found = { rows, values: tensorOfJson(one.name, datatype, one.data, [rows, wanted.width]) }
      continue
    }
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 0 || at + size > body.length)
      throw invalid(`input ${one.name}: binary_data_size ${String(size)} is more than the body holds`)
    if (one.data !== undefined) throw invalid(`input ${one.name}: data in JSON and as bytes`)
    found = {
      rows,
      values: tensorOfBytes(one.name, datatype, body.subarray(at, at + size), rows * wanted.width),
    }
    at += size
  }
  if (!found) throw invalid(`input ${wanted.name} is missing`)
  if (at !== body.length) throw invalid(`the body has ${body.length - at} bytes more than its inputs`)
  return {
    id: request.id,
    rows: found.rows,
    input: found.values,
    isBinary: isBinaryOf(request, output.name),
    timeoutMs: timeoutOf(request.parameters?.timeout),
  }
}

function lengthOf(text: string, bodyBytes: number): number {
  const length = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (!(length <= bodyBytes))
    throw invalid(
      `header inference-header-content-length: ${text.slice(0, 30)} of a body of ${bodyBytes} bytes`,
    )
  return length
}

/** Triton's raw request: the body is the one input, the answer bytes as well. */
function rawRequest({ name, width }: Tensors['input'], body: Uint8Array): InferRequest {
  const rows = body.length / 4 / width
  if (rows < 1 || !Number.isInteger(rows))
    throw invalid(`input ${name}: ${body.length} bytes are no rows of ${width} FP32`)
  assertRows(name, rows)
  const input = tensorOfBytes(name, 'FP32', body, rows * width)
  return { id: undefined, rows, input, isBinary: true, timeoutMs: undefined }
}

function parsed(bytes: Uint8Array): z.output<typeof requestSchema> {
  const json = parseJson(bytes)
  if (typeof json === 'string')
    throw invalid(
      `the request ${json}; with tensors as bytes, Inference-Header-Content-Length says where it ends`,
    )
  const result = requestSchema.safeParse(json.value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw invalid(`${issue.path.join('.') || 'the request'}: ${issue.message}`)
}

function rowsOf({ name, shape }: { name: string; shape: readonly number[] }, width: number): number {
  if (shape.length !== 2 || shape[1] !== width || shape[0] < 1)
    throw invalid(`input ${name}: shape [${shape.join(', ')}] is not [rows, ${width}]`)
  assertRows(name, shape[0])
  return shape[0]
}

function assertRows(name: string, rows: number): void {
  if (rows > ROWS_MAX) throw invalid(`input ${name}: ${rows} rows, at most ${ROWS_MAX} are taken at once`)
}

function isBinaryOf(request: z.output<typeof requestSchema>, name: string): boolean {
  const { parameters: all, outputs } = request
  const isBinary = all?.binary_data_output === true
  if (outputs === undefined || outputs.length === 0) return isBinary
  for (const one of outputs) {
    if (one.name !== name) throw invalid(`there is no output ${one.name.slice(0, 100)}, only ${name}`)
  }
  const binary = outputs[0].parameters?.binary_data
  return binary === undefined ? isBinary : binary === true
}

/** Triton's `timeout` parameter, µs; 0 is none. */
function timeoutOf(value: unknown): number | undefined {
  if (value === undefined || value === 0) return undefined
  if (typeof value !== 'number' || !(value > 0))
    throw invalid('parameter timeout: is no number of microseconds')
  return value / 1000
}

export interface InferAnswer {
  readonly body: Uint8Array
  /** Bytes of JSON, when bytes of tensors follow. */
  readonly headerLength: number | undefined
}

export function inferAnswer(
  of: { readonly name: string; readonly version: number } & Tensors,
  { id, rows, isBinary }: InferRequest,
  values: Float32Array,
): InferAnswer {
  const tensor = { name: of.output.name, datatype: 'FP32', shape: [rows, of.output.width] }
  const head = { model_name: of.name, model_version: String(of.version), ...(id === undefined ? {} : { id }) }
  const json = (outputs: unknown) => Buffer.from(JSON.stringify({ ...head, outputs }))
  if (!isBinary) return { body: json([{ ...tensor, data: jsonOfTensor(values) }]), headerLength: undefined }
  const bytes = bytesOfTensor(values)
  const header = json([{ ...tensor, parameters: { binary_data_size: bytes.length } }])
  return { body: Buffer.concat([header, bytes]), headerLength: header.length }
}
