import { promisify } from 'node:util'
import { gunzipSync, gzip } from 'node:zlib'
import { init as initZstd, compress as zstdCompress, decompress as zstdDecompress } from '@bokuweb/zstd-wasm'
import kafkajs from 'kafkajs'
import snappy from 'snappyjs'
import { ForeshockError } from '../core/errors.ts'
import { lz4Bound, lz4Compress, lz4Decompress } from '../math/lz4.ts'
import { recordsKernel } from './records-kernel.ts'

// A module of the older kind: its parts are not found by name.
const { CompressionTypes } = kafkajs

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

/** Kafka's number of each. */
export const COMPRESSION: Readonly<Record<Compression, number>> = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}

/** Most bytes that one batch may become: brokers take batches of a few MiB, so more is an attack or a mistake. */
export const INFLATED_MAX = 128 * 1024 * 1024

export const gunzip = (bytes: Buffer, limit = INFLATED_MAX): Buffer =>
  gunzipSync(bytes, { maxOutputLength: limit })

/** Frame of snappy-java's SnappyOutputStream, which is what Kafka's clients write: magic, version, oldest version read. */
const XERIAL = Uint8Array.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])
const XERIAL_MAGIC = 8
/** snappy-java's block size. */
const SNAPPY_BLOCK = 32 * 1024

export function snappyFrame(bytes: Uint8Array): Buffer {
  const parts: Uint8Array[] = [XERIAL]
  for (let at = 0; at < bytes.length; at += SNAPPY_BLOCK) {
    const block = snappy.compress(bytes.subarray(at, at + SNAPPY_BLOCK))
    const length = Buffer.alloc(4)
    length.writeUInt32BE(block.length)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}

/** Framed as snappy-java does it, or one bare block, as some other clients do it. */
export function snappyUnframe(bytes: Buffer, limit = INFLATED_MAX): Buffer {
  if (bytes.length < XERIAL.length || XERIAL.subarray(0, XERIAL_MAGIC).some((byte, i) => bytes[i] !== byte))
    return Buffer.from(snappy.uncompress(bytes, limit))
  const parts: Uint8Array[] = []
  let left = limit
  for (let at = XERIAL.length; at < bytes.length; ) {
    const end = at + 4 <= bytes.length ? at + 4 + bytes.readUInt32BE(at) : bytes.length + 1
    if (end > bytes.length) throw unreadable('snappy: a block is cut short')
    const part = snappy.uncompress(bytes.subarray(at + 4, end), left)
    left -= part.length
    parts.push(part)
    at = end
  }
  return Buffer.concat(parts)
}

/**
 * Frame header that Kafka's Java clients write: magic, version 1 with independent blocks, blocks of 64 KiB, and the second
 * byte of the xxHash of the two before (lz4_Frame_format.md).
 */
const LZ4_HEADER = Uint8Array.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82])
const LZ4_BLOCK = 64 * 1024
const LZ4_STORED = 0x8000_0000
const lz4Scratch = new Uint8Array(lz4Bound(LZ4_BLOCK))

export function lz4Frame(bytes: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(
    bytes.length + 4 * Math.ceil(bytes.length / LZ4_BLOCK) + LZ4_HEADER.length + 4,
  )
  out.set(LZ4_HEADER)
  let end: number = LZ4_HEADER.length
  for (let at = 0; at < bytes.length; at += LZ4_BLOCK) {
    const to = Math.min(at + LZ4_BLOCK, bytes.length)
    const size = lz4Compress(bytes, at, to, lz4Scratch)
    const stored = size >= to - at
    const block = stored ? bytes.subarray(at, to) : lz4Scratch.subarray(0, size)
    out.writeUInt32LE(stored ? block.length + LZ4_STORED : size, end)
    out.set(block, end + 4)
    end += 4 + block.length
  }
  out.writeUInt32LE(0, end)
  return out.subarray(0, end + 4)
}

/** The same by the kernel, where there is one; lent until it is asked for something else. */
function fastLz4Frame(bytes: Uint8Array): Uint8Array {
  const kernel = recordsKernel()
  if (kernel === undefined) return lz4Frame(bytes)
  kernel.load(bytes)
  return kernel.frameLz4(0)
}

/** Most bytes that blocks of 64 KiB from `start` on become. */
function lz4Most(bytes: Buffer, start: number, checksumBytes: number): number {
  let most = 0
  for (let at = start; at + 4 <= bytes.length; ) {
    const word = bytes.readUInt32LE(at)
    if (word === 0) break
    const size = word % LZ4_STORED
    most += word >= LZ4_STORED ? size : LZ4_BLOCK
    at += 4 + size + checksumBytes
  }
  return most
}

/** Reads frames of any LZ4 writer; checksums are not looked at, since Kafka's own covers the batch. */
export function lz4Unframe(bytes: Buffer, limit = INFLATED_MAX): Buffer {
  if (bytes.length < LZ4_HEADER.length || bytes.readUInt32LE(0) !== 0x184d2204)
    throw unreadable('lz4: this is no frame')
  const [flags, descriptor] = [bytes[4], bytes[5]]
  const blockMax = 1 << (8 + 2 * ((descriptor >> 4) & 7))
  if (flags >> 6 !== 1 || blockMax < LZ4_BLOCK) throw unreadable('lz4: the header is of another version')
  const blockChecksums = (flags & 0x10) !== 0 ? 4 : 0
  let at = 7 + ((flags & 0x08) !== 0 ? 8 : 0) + ((flags & 0x01) !== 0 ? 4 : 0)
  // Java's blocks are small: their number says within one how large it becomes. Of large ones a guess is made, and grown.
  const guess =
    blockMax === LZ4_BLOCK ? lz4Most(bytes, at, blockChecksums) : Math.max(LZ4_BLOCK, 4 * bytes.length)
  let out = Buffer.allocUnsafe(Math.min(limit, guess))
  let length = 0
  for (;;) {
    if (at + 4 > bytes.length) throw unreadable('lz4: the frame is cut short')
    const word = bytes.readUInt32LE(at)
    at += 4
    if (word === 0) return out.subarray(0, length)
    const size = word % LZ4_STORED
    if (at + size > bytes.length || size > lz4Bound(blockMax)) throw unreadable('lz4: a block is cut short')
    const room = Math.min(limit, length + (word >= LZ4_STORED ? size : blockMax))
    if (out.length < room && out.length < limit) {
      const larger = Buffer.allocUnsafe(Math.min(limit, Math.max(room, 2 * out.length)))
      larger.set(out.subarray(0, length))
      out = larger
    }
    if (word >= LZ4_STORED) {
      if (length + size > out.length) throw unreadable(`lz4: it becomes more than ${limit} bytes`)
      out.set(bytes.subarray(at, at + size), length)
      length += size
    } else {
      length = lz4Decompress(bytes, at, at + size, out, length)
      if (length < 0) throw unreadable('lz4: a block cannot be read, or becomes too large')
    }
    at += size + blockChecksums
  }
}

/**
 * Size that a zstd frame says it will have; undefined when it does not say, as that of a stream does not.
 * RFC 8878, 3.1.1.1.
 */
export function zstdContentSize(bytes: Uint8Array): number | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.length < 6 || view.readUInt32LE(0) !== 0xfd2fb528) throw unreadable('zstd: this is no frame')
  const descriptor = view[4]
  const single = (descriptor & 0x20) !== 0
  const flag = descriptor >> 6
  const at = 5 + (single ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]
  const size = flag === 0 ? (single ? 1 : 0) : 1 << flag
  if (size === 0) return undefined
  if (at + size > view.length) throw unreadable('zstd: the header is cut short')
  if (size === 1) return view[at]
  if (size === 2) return view.readUInt16LE(at) + 256
  return size === 4 ? view.readUInt32LE(at) : Number(view.readBigUInt64LE(at))
}

export function zstdUnframe(bytes: Uint8Array, limit = INFLATED_MAX): Buffer {
  const known = zstdContentSize(bytes)
  if (known !== undefined && known > limit) throw unreadable(`zstd: ${known} bytes are too many`)
  for (let room = Math.min(limit, Math.max(1 << 16, bytes.length * 8)); ; room = Math.min(limit, room * 4)) {
    try {
      return Buffer.from(zstdDecompress(bytes, { defaultHeapSize: room }))
    } catch (cause) {
      if (known !== undefined || room >= limit) throw unreadable(`zstd: ${String(cause)}`)
    }
  }
}

const unreadable = (text: string): ForeshockError =>
  new ForeshockError('FS_INPUT_INVALID', `Kafka batch: ${text}`)

const gzipped = promisify(gzip)

/**
 * What records become in a batch. They, or what a kernel lends, may be given back as they are: who is not given a promise copies
 * before anything else is packed. Throws where there is no compression of the number.
 */
export function packed(codec: number, records: Uint8Array): Uint8Array | Promise<Uint8Array> {
  switch (codec) {
    case COMPRESSION.none:
      return records
    case COMPRESSION.lz4:
      return fastLz4Frame(records)
    case COMPRESSION.gzip:
      return gzipped(Buffer.from(records))
    case COMPRESSION.snappy:
      return snappyFrame(records)
    case COMPRESSION.zstd:
      return zstdCompress(records)
    default:
      throw new ForeshockError('FS_ASSERTION', `there is no compression ${codec}`)
  }
}

let ready: Promise<void> | undefined

/** Before the first batch of zstd is written or read. Once is enough, more often does no harm. */
export function codecsReady(): Promise<void> {
  ready ??= initZstd()
  return ready
}
