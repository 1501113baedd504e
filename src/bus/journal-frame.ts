import { open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import type { Envelope, EnvelopeKind } from '../core/envelope.ts'
import { ForeshockError } from '../core/errors.ts'
import type { Position } from '../core/ports.ts'

/**
 * The bytes of a journal segment, little-endian.
 *
 * Segment: magic u32, salt u32, base f64 (the first position it may hold), then frames.
 * Frame: magic u32, length u32, crc u32, then `length` bytes of payload: position f64, durable f64, arrivalMs
 * f64, kind u8, encoding u8, tenant length u16, tenant (UTF-8), body.
 *
 * `durable` is the position known to be on disk when the frame was appended: it tells a torn tail, which
 * nobody was promised, from damage to something that was. The CRC starts from the segment's random salt, so
 * that a body which contains the image of a frame is never taken for one.
 */
const SEGMENT_MAGIC = 0x31_4a_53_46 // "FSJ1"
const FRAME_MAGIC = 0x4d_52_46_c5 // 0xC5 "FRM": not valid at the start of UTF-8 text
export const SEGMENT_HEADER_BYTES = 16
const FRAME_HEADER_BYTES = 12
const PAYLOAD_FIXED_BYTES = 28
/** Longest frame believed; bodies are limited far below it at the door. */
const FRAME_BYTES_MAX = 268_435_456
/** Bytes read at a time while scanning a segment. */
const READ_BYTES = 1_048_576

const KINDS: readonly EnvelopeKind[] = [
  'remote-write-1',
  'remote-write-2',
  'otlp-protobuf',
  'otlp-json',
  'json-lines',
  'change',
  'tick',
  'maintenance',
  'model',
  'columns',
]
const ENCODINGS: readonly Envelope['encoding'][] = ['identity', 'gzip', 'snappy']

export interface SegmentHeader {
  readonly salt: number
  readonly base: Position
}

export interface Frame {
  readonly position: Position
  readonly durable: Position
  readonly envelope: Envelope
}

export type FrameStep =
  | { readonly ok: true; readonly frame: Frame; readonly endByte: number }
  | { readonly ok: false; readonly offset: number; readonly reason: string }

export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const out = Buffer.alloc(SEGMENT_HEADER_BYTES)
  out.writeUInt32LE(SEGMENT_MAGIC, 0)
  out.writeUInt32LE(header.salt, 4)
  out.writeDoubleLE(header.base, 8)
  return out
}

/** Undefined when the bytes are not a whole header. */
export function decodeSegmentHeader(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.length < SEGMENT_HEADER_BYTES || bytes.readUInt32LE(0) !== SEGMENT_MAGIC) return undefined
  return { salt: bytes.readUInt32LE(4), base: bytes.readDoubleLE(8) }
}

/** What stands before the body of a frame, in memory of its own; the body itself stays where it lies until it is written. */
export function encodeHead(
  salt: number,
  position: Position,
  durable: Position,
  { kind, encoding, arrivalMs, tenant, bytes }: Envelope,
): Buffer {
  const tenantBytes = Buffer.byteLength(tenant)
  if (tenantBytes > 65_535) throw new ForeshockError('FS_ASSERTION', 'a tenant name over 64 kB')
  const length = PAYLOAD_FIXED_BYTES + tenantBytes + bytes.length
  if (length > FRAME_BYTES_MAX) {
    throw new ForeshockError('FS_INPUT_TOO_LARGE', `an envelope of ${bytes.length} bytes`)
  }
  const out = Buffer.allocUnsafe(FRAME_HEADER_BYTES + PAYLOAD_FIXED_BYTES + tenantBytes)
  out.writeUInt32LE(FRAME_MAGIC, 0)
  out.writeUInt32LE(length, 4)
  let at = FRAME_HEADER_BYTES
  at = out.writeDoubleLE(position, at)
  at = out.writeDoubleLE(durable, at)
  at = out.writeDoubleLE(arrivalMs, at)
  at = out.writeUInt8(KINDS.indexOf(kind), at)
  at = out.writeUInt8(ENCODINGS.indexOf(encoding), at)
  at = out.writeUInt16LE(tenantBytes, at)
  out.write(tenant, at)
  out.writeUInt32LE(crc32(bytes, crc32(out.subarray(FRAME_HEADER_BYTES), salt)), 8)
  return out
}

/** The frame at `at`; a number is how many bytes from `at` are needed to tell; a string is what is wrong. */
export function decodeFrame(salt: number, bytes: Buffer, at: number): Frame | number | string {
  const held = bytes.length - at
  if (held < FRAME_HEADER_BYTES) return FRAME_HEADER_BYTES
  if (bytes.readUInt32LE(at) !== FRAME_MAGIC) return 'no frame begins here'
  const length = bytes.readUInt32LE(at + 4)
  if (length < PAYLOAD_FIXED_BYTES || length > FRAME_BYTES_MAX) return `a frame of ${length} bytes`
  if (held < FRAME_HEADER_BYTES + length) return FRAME_HEADER_BYTES + length
  const payload = bytes.subarray(at + FRAME_HEADER_BYTES, at + FRAME_HEADER_BYTES + length)
  if (crc32(payload, salt) !== bytes.readUInt32LE(at + 8)) return 'checksum mismatch'
  const kind = KINDS[payload[24]]
  const encoding = ENCODINGS[payload[25]]
  const tenantEnd = PAYLOAD_FIXED_BYTES + payload.readUInt16LE(26)
  if (!kind || !encoding || tenantEnd > length) return 'unknown kind, encoding or tenant length'
  return {
    position: payload.readDoubleLE(0),
    durable: payload.readDoubleLE(8),
    envelope: {
      kind,
      encoding,
      arrivalMs: payload.readDoubleLE(16),
      tenant: payload.toString('utf8', PAYLOAD_FIXED_BYTES, tenantEnd),
      bytes: payload.subarray(tenantEnd),
    },
  }
}

/**
 * Frames of a segment in order, up to `endByte`. The last step may be a bad one: damaged, or cut off by the
 * end. Each frame's bytes lie in memory of their own.
 */
export async function* readFrames(path: string, salt: number, endByte: number): AsyncGenerator<FrameStep> {
  const handle = await open(path, 'r')
  try {
    let offset = SEGMENT_HEADER_BYTES
    let want = READ_BYTES
    while (offset < endByte) {
      const held = Buffer.allocUnsafe(Math.min(want, endByte - offset))
      const { bytesRead } = await handle.read(held, 0, held.length, offset)
      const bytes = held.subarray(0, bytesRead)
      let at = 0
      let step = decodeFrame(salt, bytes, at)
      while (typeof step === 'object') {
        at += FRAME_HEADER_BYTES + bytes.readUInt32LE(at + 4)
        yield { ok: true, frame: step, endByte: offset + at }
        step = decodeFrame(salt, bytes, at)
      }
      offset += at
      if (offset >= endByte) return
      if (typeof step === 'string') return yield { ok: false, offset, reason: step }
      if (offset + step > endByte || bytesRead === 0) return yield { ok: false, offset, reason: 'cut off' }
      want = Math.max(READ_BYTES, step)
    }
  } finally {
    await handle.close()
  }
}

/** The highest `durable` that any whole frame at or after `offset` bears; 0 when there is none. */
export async function durableAfter(path: string, salt: number, offset: number): Promise<Position> {
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    const rest = Buffer.alloc(Math.max(0, size - offset))
    await handle.read(rest, 0, rest.length, offset)
    const magic = Buffer.alloc(4)
    magic.writeUInt32LE(FRAME_MAGIC)
    let highest = 0
    for (let at = rest.indexOf(magic); at >= 0; at = rest.indexOf(magic, at + 1)) {
      const frame = decodeFrame(salt, rest, at)
      if (typeof frame === 'object') highest = Math.max(highest, frame.durable)
    }
    return highest
  } finally {
    await handle.close()
  }
}
