import type { ByteWriter } from '../core/byte-writer.ts'
import type { ByteCursor } from './byte-cursor.ts'

/** How a column is written. All keep every bit but the payload of a NaN. */
const RAW = 0
/** One value for all rows. */
const CONSTANT = 1
/** The value of most rows, a bitmap of the others, and theirs. */
const SPARSE = 2
/** Numbers of 64 bits that are all exact in 32. */
const SINGLE = 3

/** Bits of the one NaN that is written: what engines put into its payload must not decide about bytes. */
const NAN_HIGH = 0x7ff80000
const NAN_SINGLE = 0x7fc00000

/** Bytes of a value → words of 32 bits that hold it. */
type Width = 1 | 4 | 8

/** Room for a column of each width, and views of it as numbers. */
export interface ColumnScratch {
  readonly f64: Float64Array
  readonly f32: Float32Array
  readonly words: Uint32Array
  readonly narrow: Uint32Array
  readonly narrowF32: Float32Array
  readonly bytes: Uint8Array
}

export function columnScratch(rows: number): ColumnScratch {
  const wide = new ArrayBuffer(8 * rows)
  const narrow = new ArrayBuffer(4 * rows)
  return {
    f64: new Float64Array(wide),
    f32: new Float32Array(wide, 0, rows),
    words: new Uint32Array(wide),
    narrow: new Uint32Array(narrow),
    narrowF32: new Float32Array(narrow),
    bytes: new Uint8Array(9 * rows),
  }
}

/** Writes the values at `order[from..to)` of a column. */
export function writeDoubles(
  out: ByteWriter,
  column: Float64Array,
  order: Uint32Array,
  from: number,
  to: number,
  scratch: ColumnScratch,
): void {
  const { f64, words, narrow, narrowF32 } = scratch
  const rows = to - from
  let exact = true
  for (let i = 0; i < rows; i++) {
    const value = column[order[from + i]]
    f64[i] = value
    if (Number.isNaN(value)) {
      words[2 * i] = 0
      words[2 * i + 1] = NAN_HIGH
    } else if (exact && Math.fround(value) !== value) exact = false
  }
  if (!exact) {
    writeWords(out, words, rows, 8, scratch.bytes)
    return
  }
  for (let i = 0; i < rows; i++) {
    if (Number.isNaN(f64[i])) narrow[i] = NAN_SINGLE
    else narrowF32[i] = f64[i]
  }
  writeByte(out, SINGLE)
  writeWords(out, narrow, rows, 4, scratch.bytes)
}

export function writeSingles(
  out: ByteWriter,
  column: Float32Array,
  order: Uint32Array,
  from: number,
  to: number,
  scratch: ColumnScratch,
): void {
  const { narrow, narrowF32 } = scratch
  for (let i = from; i < to; i++) {
    const value = column[order[i]]
    if (Number.isNaN(value)) narrow[i - from] = NAN_SINGLE
    else narrowF32[i - from] = value
  }
  writeWords(out, narrow, to - from, 4, scratch.bytes)
}

export function writeBytes(
  out: ByteWriter,
  column: Uint8Array | Int8Array,
  order: Uint32Array,
  from: number,
  to: number,
  scratch: ColumnScratch,
): void {
  const { narrow } = scratch
  for (let i = from; i < to; i++) narrow[i - from] = column[order[i]] & 0xff
  writeWords(out, narrow, to - from, 1, scratch.bytes)
}

/** Fills `column[0..rows)`. */
export function readDoubles(
  from: ByteCursor,
  column: Float64Array,
  rows: number,
  scratch: ColumnScratch,
): void {
  if (from.bytes[from.at] !== SINGLE) {
    readWords(from, scratch.words, rows, 8)
    column.set(scratch.f64.subarray(0, rows))
    return
  }
  from.at++
  readWords(from, scratch.narrow, rows, 4)
  column.set(scratch.narrowF32.subarray(0, rows))
}

export function readSingles(
  from: ByteCursor,
  column: Float32Array,
  rows: number,
  scratch: ColumnScratch,
): void {
  readWords(from, scratch.narrow, rows, 4)
  column.set(scratch.narrowF32.subarray(0, rows))
}

export function readBytes(
  from: ByteCursor,
  column: Uint8Array | Int8Array,
  rows: number,
  scratch: ColumnScratch,
): void {
  readWords(from, scratch.narrow, rows, 1)
  column.set(scratch.narrow.subarray(0, rows))
}

const ONE = new Uint8Array(1)
function writeByte(out: ByteWriter, value: number): void {
  ONE[0] = value
  out.bytes(ONE)
}

/** The row whose value most rows have, where one has more than half (Boyer and Moore's vote). */
function majority(words: Uint32Array, rows: number, wide: boolean): number {
  let at = 0
  let votes = 0
  for (let i = 0; i < rows; i++) {
    if (votes === 0) {
      at = i
      votes = 1
    } else if (isSame(words, i, at, wide)) votes++
    else votes--
  }
  return at
}

function isSame(words: Uint32Array, a: number, b: number, wide: boolean): boolean {
  return wide ? words[2 * a] === words[2 * b] && words[2 * a + 1] === words[2 * b + 1] : words[a] === words[b]
}

function writeWords(
  out: ByteWriter,
  words: Uint32Array,
  rows: number,
  width: Width,
  bytes: Uint8Array,
): void {
  const wide = width === 8
  const common = majority(words, rows, wide)
  let others = 0
  for (let i = 0; i < rows; i++) if (!isSame(words, i, common, wide)) others++
  if (others === 0) {
    writeByte(out, CONSTANT)
    if (rows > 0) out.bytes(bytes.subarray(0, put(words, common, width, bytes, 0)))
    return
  }
  const bitmap = (rows + 7) >> 3
  if (width + bitmap + others * width >= rows * width) {
    writeByte(out, RAW)
    let at = 0
    for (let i = 0; i < rows; i++) at = put(words, i, width, bytes, at)
    out.bytes(bytes.subarray(0, at))
    return
  }
  writeByte(out, SPARSE)
  let at = put(words, common, width, bytes, 0)
  bytes.fill(0, at, at + bitmap)
  const mapAt = at
  at += bitmap
  for (let i = 0; i < rows; i++) {
    if (isSame(words, i, common, wide)) continue
    bytes[mapAt + (i >> 3)] |= 1 << (i & 7)
    at = put(words, i, width, bytes, at)
  }
  out.bytes(bytes.subarray(0, at))
}

/** Little-endian; returns the place after it. */
function put(words: Uint32Array, row: number, width: Width, bytes: Uint8Array, at: number): number {
  const low = width === 8 ? words[2 * row] : words[row]
  bytes[at] = low
  if (width === 1) return at + 1
  bytes[at + 1] = low >>> 8
  bytes[at + 2] = low >>> 16
  bytes[at + 3] = low >>> 24
  if (width === 4) return at + 4
  const high = words[2 * row + 1]
  bytes[at + 4] = high
  bytes[at + 5] = high >>> 8
  bytes[at + 6] = high >>> 16
  bytes[at + 7] = high >>> 24
  return at + 8
}

function get(bytes: Uint8Array, at: number, width: Width, words: Uint32Array, row: number): void {
  if (width === 1) {
    words[row] = bytes[at]
    return
  }
  const low = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)
  if (width === 4) {
    words[row] = low
    return
  }
  words[2 * row] = low
  words[2 * row + 1] = bytes[at + 4] | (bytes[at + 5] << 8) | (bytes[at + 6] << 16) | (bytes[at + 7] << 24)
}

function readWords(from: ByteCursor, words: Uint32Array, rows: number, width: Width): void {
  const mode = from.byte()
  if (mode === RAW) {
    const bytes = from.take(rows * width)
    if (!from.broken) for (let i = 0; i < rows; i++) get(bytes, i * width, width, words, i)
    return
  }
  if (mode !== CONSTANT && mode !== SPARSE) {
    from.broken = true
    return
  }
  const common = from.take(rows > 0 ? width : 0)
  if (from.broken) return
  for (let i = 0; i < rows; i++) get(common, 0, width, words, i)
  if (mode === SPARSE) readOthers(from, words, rows, width)
}

function readOthers(from: ByteCursor, words: Uint32Array, rows: number, width: Width): void {
  const bitmap = from.take((rows + 7) >> 3)
  if (from.broken) return
  let others = 0
  for (let i = 0; i < rows; i++) others += (bitmap[i >> 3] >> (i & 7)) & 1
  const bytes = from.take(others * width)
  if (from.broken) return
  let at = 0
  for (let i = 0; i < rows; i++) {
    if (((bitmap[i >> 3] >> (i & 7)) & 1) === 0) continue
    get(bytes, at, width, words, i)
    at += width
  }
}
