/** Castagnoli's polynomial, bits reversed (RFC 3720, B.4): the checksum of Kafka's record batches. */
const POLYNOMIAL = 0x82f6_3b78
/** Bytes that are looked up at once by `crc32cTables`' users. */
export const CRC_SLICES = 8

/**
 * Tables for CRC-32C, 256 words each: the first gives what a byte becomes, the nth what it becomes with n zero bytes behind it
 * (Kounavis and Berry, "A Systematic Approach to Building High Performance Software-based CRC Generators", 2005).
 */
export function crc32cTables(): Uint32Array {
  const tables = new Uint32Array(CRC_SLICES * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ POLYNOMIAL
    tables[byte] = crc
  }
  for (let i = 256; i < tables.length; i++) {
    const before = tables[i - 256]
    tables[i] = (before >>> 8) ^ tables[before & 0xff]
  }
  return tables
}

const table = crc32cTables()

/** CRC-32C of `bytes[from, to)`, as an unsigned number. */
export function crc32c(bytes: Uint8Array, from: number, to: number): number {
  let crc = -1
  for (let i = from; i < to; i++) crc = (crc >>> 8) ^ table[(crc ^ bytes[i]) & 0xff]
  return ~crc >>> 0
}
