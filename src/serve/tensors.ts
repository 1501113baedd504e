import { invalid } from './http.ts'

/**
 * Tensors of the Open Inference Protocol, as JSON or, by Triton's extension, as bytes: little-endian, row-major, without
 * padding. Models here take FP32, and every other type whose values are FP32 numbers without loss.
 */

/** Bytes of an element. */
const ELEMENT_BYTES = {
  BOOL: 1,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  FP16: 2,
  BF16: 2,
  FP32: 4,
  FP64: 8,
} as const
type Datatype = keyof typeof ELEMENT_BYTES

/** Whole numbers of these types, least and most. */
const RANGES: Partial<Record<Datatype, readonly [number, number]>> = {
  UINT8: [0, 255],
  UINT16: [0, 65_535],
  UINT32: [0, 4_294_967_295],
  UINT64: [0, Number.MAX_SAFE_INTEGER],
  INT8: [-128, 127],
  INT16: [-32_768, 32_767],
  INT32: [-2_147_483_648, 2_147_483_647],
  INT64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
}

/** The datatype, when it is one that can be numbers. Throws FS_INPUT_INVALID. */
export function datatypeOf(name: string, text: unknown): Datatype {
  if (typeof text === 'string' && Object.hasOwn(ELEMENT_BYTES, text)) return text as Datatype
  const known = Object.keys(ELEMENT_BYTES).join(', ')
  throw invalid(`input ${name}: datatype ${JSON.stringify(text)?.slice(0, 50)} is none of ${known}`)
}

/** `count` numbers out of JSON, flat or nested as the shape is; null stands for NaN, which JSON lacks. */
export function tensorOfJson(
  name: string,
  datatype: Datatype,
  data: unknown,
  [rows, width]: readonly [number, number],
): Float32Array {
  if (!Array.isArray(data)) throw invalid(`input ${name}: data is no array`)
  const count = rows * width
  const out = new Float32Array(count)
  const isFlat = !Array.isArray(data[0])
  if (data.length !== (isFlat ? count : rows))
    throw invalid(
      `input ${name}: ${count} elements wanted, flat or as ${rows} arrays of ${width}, not ${data.length}`,
    )
  if (isFlat) {
    for (let i = 0; i < count; i++) out[i] = elementOf(name, datatype, data[i])
    return out
  }
  for (let row = 0; row < rows; row++) {
    const cells: unknown = data[row]
    if (!Array.isArray(cells) || cells.length !== width)
      throw invalid(`input ${name}: row ${row} is no array of ${width}`)
    for (let i = 0; i < width; i++) out[row * width + i] = elementOf(name, datatype, cells[i])
  }
  return out
}

function elementOf(name: string, datatype: Datatype, value: unknown): number {
  if (datatype === 'BOOL') {
    if (typeof value === 'boolean') return value ? 1 : 0
    throw invalid(`input ${name}: ${shown(value)} is no BOOL`)
  }
  if (value === null && datatype.includes('F')) return Number.NaN
  if (typeof value !== 'number') throw invalid(`input ${name}: ${shown(value)} is no ${datatype}`)
  const range = RANGES[datatype]
  if (range !== undefined) {
    if (!Number.isInteger(value) || value < range[0] || value > range[1])
      throw invalid(`input ${name}: ${shown(value)} is no ${datatype}`)
    return exact(name, datatype, value)
  }
  // What is written in decimals is meant as the nearest FP32; a wider type promises more than that.
  return datatype === 'FP64' ? exact(name, datatype, value) : value
}

function exact(name: string, datatype: Datatype, value: number): number {
  if (Math.fround(value) === value || (datatype === 'FP64' && Number.isNaN(value))) return value
  throw invalid(
    `input ${name}: the ${datatype} ${Number.isNaN(value) ? 'beyond 2^53' : value} is no FP32 without loss; round it and send FP32`,
  )
}

const shown = (value: unknown) => String(JSON.stringify(value)).slice(0, 50)

/** `count` numbers out of bytes. */
export function tensorOfBytes(
  name: string,
  datatype: Datatype,
  bytes: Uint8Array,
  count: number,
): Float32Array {
  const size = ELEMENT_BYTES[datatype]
  if (bytes.length !== count * size)
    throw invalid(`input ${name}: ${count} ${datatype} are ${count * size} bytes, not ${bytes.length}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const out = new Float32Array(count)
  const read = READERS[datatype]
  const isExact = datatype === 'FP64' || RANGES[datatype] !== undefined
  for (let i = 0; i < count; i++) {
    const value = read(view, i * size)
    out[i] = isExact ? exact(name, datatype, value) : value
  }
  return out
}

const READERS: Readonly<Record<Datatype, (view: DataView, at: number) => number>> = {
  BOOL: (view, at) => (view.getUint8(at) === 0 ? 0 : 1),
  UINT8: (view, at) => view.getUint8(at),
  UINT16: (view, at) => view.getUint16(at, true),
  UINT32: (view, at) => view.getUint32(at, true),
  UINT64: (view, at) => wide(view.getBigUint64(at, true)),
  INT8: (view, at) => view.getInt8(at),
  INT16: (view, at) => view.getInt16(at, true),
  INT32: (view, at) => view.getInt32(at, true),
  INT64: (view, at) => wide(view.getBigInt64(at, true)),
  FP16: (view, at) => half(view.getUint16(at, true)),
  BF16: (view, at) => brain(view.getUint16(at, true)),
  FP32: (view, at) => view.getFloat32(at, true),
  FP64: (view, at) => view.getFloat64(at, true),
}

/** NaN where a number of 64 bits is none that a double can hold. */
function wide(value: bigint): number {
  const number = Number(value)
  return BigInt(number) === value ? number : Number.NaN
}

/** IEEE 754 binary16. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 0x3ff
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN
  if (exponent === 0) return sign * fraction * 2 ** -24
  return sign * (1024 + fraction) * 2 ** (exponent - 25)
}

const scratch = new DataView(new ArrayBuffer(4))

/** bfloat16: the upper half of an FP32. */
function brain(bits: number): number {
  scratch.setUint32(0, bits * 65_536)
  return scratch.getFloat32(0)
}

/** FP32 as JSON has it: what is not finite becomes null. */
export function jsonOfTensor(values: Float32Array): (number | null)[] {
  return Array.from(values, value => (Number.isFinite(value) ? value : null))
}

/** FP32 as bytes. */
export function bytesOfTensor(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(values.length * 4)
  const view = new DataView(bytes.buffer)
  for (let i = 0; i < values.length; i++) view.setFloat32(i * 4, values[i], true)
  return bytes
}
