/** How a column is written, little-endian as all supported machines are. All keep every bit but the payload of a NaN. */
export const RAW = 0
/** One value for all rows. */
export const CONSTANT = 1
/** The value of most rows, a bitmap of the others, and theirs. */
export const SPARSE = 2
/** Numbers of 64 bits that are all exact in 32. */
export const SINGLE = 3

/** What values lie in: a word each, or two where they are of 8 bytes. */
export type Words = Int32Array | Uint8Array

/** Room for a column: as numbers, as words of 32 bits that hold them, and as bytes. */
export interface ColumnScratch {
  readonly f64: Float64Array
  readonly wide: Int32Array
  readonly f32: Float32Array
  readonly narrow: Int32Array
  readonly bitmap: Uint8Array
}

export function columnScratch(rows: number): ColumnScratch {
  const wide = new ArrayBuffer(8 * rows)
  const narrow = new ArrayBuffer(4 * rows)
  return {
    f64: new Float64Array(wide),
    wide: new Int32Array(wide),
    f32: new Float32Array(narrow),
    narrow: new Int32Array(narrow),
    bitmap: new Uint8Array((rows + 7) >> 3),
  }
}

/** The bytes of a column. */
export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}
