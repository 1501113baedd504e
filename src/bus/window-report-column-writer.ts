import type { ByteWriter } from '../core/byte-writer.ts'
import {
  bytesOf,
  CONSTANT,
  type ColumnScratch,
  RAW,
  SINGLE,
  SPARSE,
  type Words,
} from './window-report-columns.ts'

/** Bits of the one NaN that is written: what engines put into its payload must not decide about bytes. */
const NAN_HIGH = 0x7ff80000
const NAN_SINGLE = 0x7fc00000
/** Bits of an infinity, less its sign: what is above is no number. */
const INFINITE_SINGLE = 0x7f800000
const NO_SIGN = 0x7fff_ffff

/** Of more rows than these only some are asked what value most have. */
const ALL_VOTE = 1024
const ASKED = 32
/** 2^32 over the golden ratio: multiples of it lie evenly, and in no step with rows whose kinds repeat. */
const GOLDEN = 0x9e3779b1

/** Bytes of a value. */
type Width = 1 | 4 | 8

/** Rows of a batch that are told of, ascending: `order[from..to)`. */
export interface ToldRows {
  readonly order: Uint32Array
  readonly from: number
  readonly to: number
}

/** Writes the values of a column in the rows told of. */
export function writeDoubles(
  out: ByteWriter,
  column: Float64Array,
  rows: ToldRows,
  scratch: ColumnScratch,
): void {
  const { f64, wide, f32, bitmap } = scratch
  const { order, from, to } = rows
  const length = to - from
  if (isRun(rows)) f64.set(column.subarray(order[from], order[to - 1] + 1))
  else for (let i = 0; i < length; i++) f64[i] = column[order[from + i]]
  if (!areSingles(f64, length)) {
    uniteNaN(f64, wide, length)
    writeWords(out, wide, length, 8, bitmap)
    return
  }
  for (let i = 0; i < length; i++) f32[i] = f64[i]
  out.byte(SINGLE)
  writeFloats(out, length, scratch)
}

export function writeSingles(
  out: ByteWriter,
  column: Float32Array,
  rows: ToldRows,
  scratch: ColumnScratch,
): void {
  const { order, from, to } = rows
  const { f32 } = scratch
  if (isRun(rows)) f32.set(column.subarray(order[from], order[to - 1] + 1))
  else for (let i = from; i < to; i++) f32[i - from] = column[order[i]]
  writeFloats(out, to - from, scratch)
}

export function writeBytes(
  out: ByteWriter,
  column: Uint8Array | Int8Array,
  rows: ToldRows,
  { narrow, bitmap }: ColumnScratch,
): void {
  const { order, from, to } = rows
  const bytes = bytesOf(column)
  if (isRun(rows)) narrow.set(bytes.subarray(order[from], order[to - 1] + 1))
  else for (let i = from; i < to; i++) narrow[i - from] = bytes[order[i]]
  writeWords(out, narrow, to - from, 1, bitmap)
}

/** Whether none is left out between the first and the last. */
function isRun({ order, from, to }: ToldRows): boolean {
  return to > from && order[to - 1] - order[from] === to - from - 1
}

/** Whether 32 bits would hold all of them: of most columns the first row says that they do not. */
function areSingles(f64: Float64Array, rows: number): boolean {
  for (let i = 0; i < rows; i++) if (Math.fround(f64[i]) !== f64[i] && !Number.isNaN(f64[i])) return false
  return true
}

/** Makes all NaN one, in the words that the numbers lie in. */
function uniteNaN(f64: Float64Array, words: Int32Array, rows: number): void {
  for (let i = 0; i < rows; i++) {
    if (!Number.isNaN(f64[i])) continue
    words[2 * i] = 0
    words[2 * i + 1] = NAN_HIGH
  }
}

/** Numbers that lie in the scratch. */
function writeFloats(out: ByteWriter, rows: number, { narrow, bitmap }: ColumnScratch): void {
  for (let i = 0; i < rows; i++) if ((narrow[i] & NO_SIGN) > INFINITE_SINGLE) narrow[i] = NAN_SINGLE
  writeWords(out, narrow, rows, 4, bitmap)
}

/** Values of a word each, of two where they are of 8 bytes; what lies in `words` is lost. */
function writeWords(
  out: ByteWriter,
  words: Int32Array,
  rows: number,
  width: Width,
  bitmap: Uint8Array,
): void {
  // A narrow value is compared with its one word twice.
  const second = width === 8 ? 1 : 0
  const common = rows > ALL_VOTE ? likely(words, rows, second) : majority(words, rows, second)
  const others = othersThan(words, rows, second, common)
  if (others === 0) {
    out.byte(CONSTANT)
    if (rows > 0) put(out, words, common, 1, width)
    return
  }
  const mapBytes = (rows + 7) >> 3
  if (width + mapBytes + others * width >= rows * width) {
    out.byte(RAW)
    put(out, words, 0, rows, width)
    return
  }
  out.byte(SPARSE)
  put(out, words, common, 1, width)
  keepOthers(words, rows, second, common, bitmap)
  out.bytes(bitmap.subarray(0, mapBytes))
  put(out, words, 0, others, width)
}

/** 1 where a value has other words than these: no branch, as columns that are half one value would have it guessed wrong. */
function differs(words: Words, at: number, second: 0 | 1, low: number, high: number): number {
  const bits = (words[at] ^ low) | (words[at + second] ^ high)
  return (bits | -bits) >>> 31
}

/** The row whose value most rows have, where one has more than half (Boyer and Moore's vote). */
function majority(words: Int32Array, rows: number, second: 0 | 1): number {
  let row = 0
  let low = 0
  let high = 0
  let votes = 0
  for (let i = 0, at = 0; i < rows; i++, at += 1 + second) {
    if (votes === 0) {
      row = i
      low = words[at]
      high = words[at + second]
      votes = 1
    } else votes += 1 - 2 * differs(words, at, second, low, high)
  }
  return row
}

/** The row whose value most of some rows have, of many that are too many to ask. */
function likely(words: Int32Array, rows: number, second: 0 | 1): number {
  let best = 0
  let fewest = ASKED
  for (let i = 0; i < ASKED && 2 * fewest > ASKED; i++) {
    const row = asked(i, rows)
    const at = row * (1 + second)
    const [low, high] = [words[at], words[at + second]]
    let others = 0
    for (let j = 0; j < ASKED; j++) others += differs(words, asked(j, rows) * (1 + second), second, low, high)
    if (others >= fewest) continue
    best = row
    fewest = others
  }
  return best
}

const asked = (i: number, rows: number): number => Math.floor(((Math.imul(i, GOLDEN) >>> 0) / 2 ** 32) * rows)

/** Rows that have another value than a row. */
function othersThan(words: Int32Array, rows: number, second: 0 | 1, row: number): number {
  const step = 1 + second
  const low = words[row * step]
  const high = words[row * step + second]
  let count = 0
  for (let i = 0, at = 0; i < rows; i++, at += step) count += differs(words, at, second, low, high)
  return count
}

/** Moves the values that are not those of a row to the beginning, and marks whose they are. */
function keepOthers(words: Int32Array, rows: number, second: 0 | 1, row: number, bitmap: Uint8Array): void {
  const step = 1 + second
  const low = words[row * step]
  const high = words[row * step + second]
  let to = 0
  let bits = 0
  for (let i = 0, at = 0; i < rows; i++, at += step) {
    const isOther = differs(words, at, second, low, high)
    words[to] = words[at]
    words[to + second] = words[at + second]
    to += step & -isOther
    bits |= isOther << (i & 7)
    if ((i & 7) === 7) {
      bitmap[i >> 3] = bits
      bits = 0
    }
  }
  if ((rows & 7) > 0) bitmap[rows >> 3] = bits
}

/** Writes `count` values from a row on. */
function put(out: ByteWriter, words: Int32Array, row: number, count: number, width: Width): void {
  // Numbers become bytes by their lowest eight bits.
  if (width === 1) out.bytes(words.subarray(row, row + count))
  else out.bytes(bytesOf(words).subarray(row * width, (row + count) * width))
}
