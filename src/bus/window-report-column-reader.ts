import type { ByteCursor } from './byte-cursor.ts'
import {
  bytesOf,
  CONSTANT,
  type ColumnScratch,
  RAW,
  SINGLE,
  SPARSE,
  type Words,
} from './window-report-columns.ts'

/** Fills `column[0..rows)`. */
export function readDoubles(
  from: ByteCursor,
  column: Float64Array,
  rows: number,
  { f32 }: ColumnScratch,
): void {
  if (from.bytes[from.at] !== SINGLE) {
    readColumn(from, column, rows)
    return
  }
  from.at++
  readColumn(from, f32, rows)
  column.set(f32.subarray(0, rows))
}

export function readSingles(from: ByteCursor, column: Float32Array, rows: number): void {
  readColumn(from, column, rows)
}

export function readBytes(from: ByteCursor, column: Uint8Array | Int8Array, rows: number): void {
  readColumn(from, bytesOf(column), rows)
}

type Column = Float64Array | Float32Array | Uint8Array

function readColumn(from: ByteCursor, column: Column, rows: number): void {
  const mode = from.byte()
  if (mode === RAW) {
    copy(from, column, rows)
    return
  }
  if (mode !== CONSTANT && mode !== SPARSE) {
    from.broken = true
    return
  }
  copy(from, column, Math.min(rows, 1))
  if (mode === CONSTANT) {
    column.fill(column[0], 0, rows)
    return
  }
  const words = wordsOf(column)
  const second = column.BYTES_PER_ELEMENT === 8 ? 1 : 0
  const [low, high] = [words[0], words[second]]
  const bitmap = from.take((rows + 7) >> 3)
  if (from.broken) return
  const others = marked(bitmap, rows)
  copy(from, column, others)
  if (!from.broken) spread(words, rows, second, others, low, high, bitmap)
}

/** The next values, as they lie. */
function copy(from: ByteCursor, column: Column, count: number): void {
  bytesOf(column).set(from.take(count * column.BYTES_PER_ELEMENT))
}

/** Rows that a bitmap marks. */
function marked(bitmap: Uint8Array, rows: number): number {
  let count = 0
  for (let i = 0; i < bitmap.length; i++) {
    // Of the last byte there may be more than there are rows.
    let bits = 8 * i + 8 > rows ? bitmap[i] & ((1 << (rows & 7)) - 1) : bitmap[i]
    bits -= (bits >> 1) & 0x55
    bits = (bits & 0x33) + ((bits >> 2) & 0x33)
    count += (bits + (bits >> 4)) & 0xf
  }
  return count
}

/**
 * Puts the first `others` values where they belong and the common one between them, from the last row on: none is written over
 * before it is read.
 */
function spread(
  words: Words,
  rows: number,
  second: 0 | 1,
  others: number,
  low: number,
  high: number,
  bitmap: Uint8Array,
): void {
  const step = 1 + second
  let from = others * step
  for (let i = rows - 1, at = i * step; i >= 0; i--, at -= step) {
    const mask = -((bitmap[i >> 3] >> (i & 7)) & 1)
    from -= step & mask
    words[at + second] = (words[from + second] & mask) | (high & ~mask)
    words[at] = (words[from] & mask) | (low & ~mask)
  }
}

function wordsOf(column: Column): Words {
  return column instanceof Uint8Array
    ? column
    : new Int32Array(column.buffer, column.byteOffset, column.byteLength / 4)
}
