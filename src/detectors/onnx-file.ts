import { ForeshockError } from '../core/errors.ts'

/**
 * What an ONNX file asks of whoever runs it, read from its bytes without a runtime: operator sets, operators' domains,
 * and whether any tensor lies in another file. Only those fields are followed; everything else is stepped over. Source:
 * onnx.proto3 of ONNX 1.x, whose field numbers never change.
 */
export interface OnnxNeeds {
  /** Version by operator domain; the standard one is `ai.onnx`. */
  readonly opsets: Readonly<Record<string, number>>
  /** Operators outside the standard domain, as `domain.Operator`, each once. */
  readonly operators: readonly string[]
  readonly hasExternalData: boolean
  /** Whether it has loops, which may never end. */
  readonly hasLoop: boolean
}

/** Field numbers of the messages that are followed. */
const MODEL = { graph: 7, opsets: 8, functions: 25 }
const OPSET = { domain: 1, version: 2 }
const GRAPH = { node: 1, initializer: 5, sparse: 15 }
const NODE = { operator: 4, attribute: 5, domain: 7 }
const ATTRIBUTE = { tensor: 5, graph: 6, tensors: 10, graphs: 11, sparse: 22, sparses: 23 }
const TENSOR = { external: 13, location: 14 }
/** Values and indices of a sparse tensor are tensors themselves. */
const SPARSE = { values: 1, indices: 2 }
/** Graphs inside graphs; no real model comes near. */
const DEPTH_MAX = 16

interface Found {
  readonly opsets: Record<string, number>
  readonly operators: Set<string>
  hasExternalData: boolean
  hasLoop: boolean
}

/** Throws FS_MODEL_INVALID when the bytes are no such file. */
export function onnxNeeds(bytes: Uint8Array): OnnxNeeds {
  const found: Found = { opsets: {}, operators: new Set(), hasExternalData: false, hasLoop: false }
  let hasGraph = false
  fields(bytes, (field, value) => {
    if (field === MODEL.graph && typeof value !== 'number') {
      hasGraph = true
      readGraph(value, found, 0)
    }
    if (field === MODEL.opsets && typeof value !== 'number') readOpset(value, found)
    if (field === MODEL.functions) found.operators.add('local function')
  })
  if (!hasGraph) throw new ForeshockError('FS_MODEL_INVALID', 'model.onnx holds no graph')
  return { ...found, operators: [...found.operators] }
}

function readOpset(bytes: Uint8Array, found: Found): void {
  let domain = ''
  let version = 0
  fields(bytes, (field, value) => {
    if (field === OPSET.domain && typeof value !== 'number') domain = text(value)
    if (field === OPSET.version && typeof value === 'number') version = value
  })
  found.opsets[domain === '' ? 'ai.onnx' : domain] = version
}

function readGraph(bytes: Uint8Array, found: Found, depth: number): void {
  if (depth > DEPTH_MAX) throw new ForeshockError('FS_MODEL_INVALID', 'model.onnx nests graphs too deep')
  fields(bytes, (field, value) => {
    if (typeof value === 'number') return
    if (field === GRAPH.initializer) readTensor(value, found)
    if (field === GRAPH.sparse) readSparse(value, found)
    if (field === GRAPH.node) readNode(value, found, depth)
  })
}

function readNode(bytes: Uint8Array, found: Found, depth: number): void {
  let operator = ''
  let domain = ''
  fields(bytes, (field, value) => {
    if (typeof value === 'number') return
    if (field === NODE.operator) operator = text(value)
    if (field === NODE.domain) domain = text(value)
    if (field === NODE.attribute)
      fields(value, (inner, part) => {
        if (typeof part === 'number') return
        if (inner === ATTRIBUTE.tensor || inner === ATTRIBUTE.tensors) readTensor(part, found)
        if (inner === ATTRIBUTE.sparse || inner === ATTRIBUTE.sparses) readSparse(part, found)
        if (inner === ATTRIBUTE.graph || inner === ATTRIBUTE.graphs) readGraph(part, found, depth + 1)
      })
  })
  if (domain !== '' && domain !== 'ai.onnx') found.operators.add(`${domain}.${operator}`)
  else if (operator === 'Loop') found.hasLoop = true
}

function readTensor(bytes: Uint8Array, found: Found): void {
  fields(bytes, (field, value) => {
    if (field === TENSOR.external || (field === TENSOR.location && value === 1)) found.hasExternalData = true
  })
}

function readSparse(bytes: Uint8Array, found: Found): void {
  fields(bytes, (field, value) => {
    if (typeof value !== 'number' && (field === SPARSE.values || field === SPARSE.indices))
      readTensor(value, found)
  })
}

const decoder = new TextDecoder()
const text = (bytes: Uint8Array) => decoder.decode(bytes)

const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 }

/** Calls `visit` for each field of a protobuf message: a number for varints, bytes for what has a length. */
function fields(bytes: Uint8Array, visit: (field: number, value: number | Uint8Array) => void): void {
  const reader = { bytes, at: 0 }
  while (reader.at < bytes.length) {
    const key = varint(reader)
    const field = Math.floor(key / 8)
    const wire = key % 8
    if (wire === WIRE.varint) visit(field, varint(reader))
    else if (wire === WIRE.bytes) {
      const length = varint(reader)
      if (length > bytes.length - reader.at) throw broken()
      visit(field, bytes.subarray(reader.at, reader.at + length))
      reader.at += length
    } else if (wire === WIRE.fixed64) reader.at += 8
    else if (wire === WIRE.fixed32) reader.at += 4
    else throw broken()
    if (reader.at > bytes.length) throw broken()
  }
}

/** Up to ten bytes; beyond 2^53 the value is only approximate, and no field that is read is that large. */
function varint(reader: { readonly bytes: Uint8Array; at: number }): number {
  let value = 0
  for (let i = 0, scale = 1; i < 10; i++, scale *= 128) {
    if (reader.at >= reader.bytes.length) throw broken()
    const byte = reader.bytes[reader.at++]
    value += (byte & 127) * scale
    if (byte < 128) return value
  }
  throw broken()
}

const broken = () => new ForeshockError('FS_MODEL_INVALID', 'model.onnx is cut short or no ONNX file')
