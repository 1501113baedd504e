import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DurableFile, ioError, syncDirectory, writeRoom } from '../core/durable-file.ts'
import type { Envelope } from '../core/envelope.ts'
import { ForeshockError } from '../core/errors.ts'
import { GroupCommit } from '../core/group-commit.ts'
import type { Journal, Position } from '../core/ports.ts'
import {
  decodeSegmentHeader,
  durableAfter,
  encodeHead,
  encodeSegmentHeader,
  type Frame,
  readFrames,
  SEGMENT_HEADER_BYTES,
} from './journal-frame.ts'

export interface FileJournalOptions {
  readonly dir: string
  /** A segment is closed once it is longer than this. */
  readonly segmentBytes?: number
  /** Bytes appended but not yet on disk above which `append` throws FS_OVERLOADED; one envelope alone may be longer. */
  readonly pendingBytesMax?: number
  /**
   * Positions continue above this one even when the files end earlier: the position of the checkpoint in use,
   * so that a lost journal never hands out a position that the checkpoint has seen.
   */
  readonly after?: Position
}

/** Enough for a few minutes of a busy service, small enough to delete soon after a checkpoint. */
const SEGMENT_BYTES = 67_108_864
const PENDING_BYTES_MAX = 67_108_864
/** Unsynced bytes after which a write starts by itself. */
const FLUSH_BYTES = 4_194_304

interface Segment {
  readonly path: string
  readonly salt: number
  readonly base: Position
}

/** A frame in two pieces: the body stays where its sender has it, and is the sender's again when it is durable. */
interface Pending extends Frame {
  readonly head: Buffer
}

/**
 * The journal in files: append-only segments, one shared fdatasync for all who wait, whole segments deleted
 * once committed. A tail that a crash tore is cut off at `open`; damage to what was promised is
 * FS_LOG_CORRUPT naming file and offset. An envelope whose `sync` failed stays queued and is written by the
 * next one, so its sender may see it twice but never loses it.
 */
export class FileJournal implements Journal {
  readonly #dir: string
  readonly #segmentBytes: number
  readonly #pendingBytesMax: number
  readonly #segments: Segment[]
  readonly #group = new GroupCommit(() => this.#flush())
  /** Where bodies are gathered to be written, for all segments. */
  readonly #room: Uint8Array | undefined
  #file: DurableFile
  #end: Position
  #durable: Position
  #pending: Pending[] = []
  #writing: Pending[] = []
  #pendingBytes = 0
  #closed = false

  private constructor(
    options: FileJournalOptions,
    segments: Segment[],
    file: DurableFile,
    end: Position,
    room: Uint8Array | undefined,
  ) {
    this.#room = room
    this.#dir = options.dir
    this.#segmentBytes = options.segmentBytes ?? SEGMENT_BYTES
    this.#pendingBytesMax = options.pendingBytesMax ?? PENDING_BYTES_MAX
    this.#segments = segments
    this.#file = file
    this.#end = end
    this.#durable = end
  }

  /** Throws FS_IO, or FS_LOG_CORRUPT when something that was promised is damaged. */
  static async open(options: FileJournalOptions): Promise<FileJournal> {
    const { dir } = options
    await mkdir(dir, { recursive: true }).catch(cause => {
      throw ioError(dir, cause)
    })
    const segments = await segmentsOf(dir)
    const last = segments.at(-1)
    const room = writeRoom()
    if (!last) {
      const base = (options.after ?? 0) + 1
      const { segment, file } = await createSegment(dir, base, room)
      return new FileJournal(options, [segment], file, base - 1, room)
    }
    const { end, size } = await tailOf(last)
    const file = await DurableFile.open(last.path, size, room)
    return new FileJournal(options, segments, file, Math.max(end, options.after ?? 0), room)
  }

  get end(): Position {
    return this.#end
  }

  /** Throws FS_OVERLOADED when too much waits for the disk. */
  append(envelope: Envelope): Position {
    if (this.#closed) throw new ForeshockError('FS_ASSERTION', 'append to a closed journal')
    // Who comes when nothing waits could come back for ever.
    if (this.#pendingBytes > 0 && this.#pendingBytes + envelope.bytes.length > this.#pendingBytesMax) {
      throw new ForeshockError('FS_OVERLOADED', `${this.#pendingBytes} bytes wait for ${this.#dir}`)
    }
    const position = this.#end + 1
    const durable = this.#durable
    // The salt is the segment's: a frame that ends up in the next segment is sealed anew when it is written.
    const head = encodeHead(this.#segments[this.#segments.length - 1].salt, position, durable, envelope)
    this.#end = position
    this.#pending.push({ position, durable, envelope, head })
    this.#pendingBytes += head.length + envelope.bytes.length
    if (this.#pendingBytes >= FLUSH_BYTES) this.#group.commit().catch(() => {}) // `sync` will tell
    return position
  }

  async sync(position: Position): Promise<void> {
    if (position > this.#durable) await this.#group.commit()
  }

  async *read(after: Position): AsyncGenerator<{ position: Position; envelope: Envelope }> {
    // Taken in one go, so that a write under way is seen either on disk or in memory, never twice.
    const segments = [...this.#segments]
    const size = this.#file.size
    const waiting = [...this.#writing, ...this.#pending]
    for (const [i, segment] of segments.entries()) {
      if (i + 1 < segments.length && segments[i + 1].base <= after + 1) continue
      yield* this.#readSegment(segment, after, i + 1 < segments.length ? undefined : size)
    }
    for (const { position, envelope } of waiting) if (position > after) yield { position, envelope }
  }

  async *#readSegment(segment: Segment, after: Position, size: number | undefined) {
    try {
      const end = size ?? (await stat(segment.path)).size
      for await (const step of readFrames(segment.path, segment.salt, end)) {
        if (!step.ok) throw corrupt(segment.path, step.offset, step.reason)
        const { position, envelope } = step.frame
        if (position > after) yield { position, envelope }
      }
    } catch (cause) {
      if (cause instanceof ForeshockError) throw cause
      // A commit may delete a segment under a reader: what it held will not be asked for again.
      if (!this.#segments.includes(segment)) return
      throw ioError(segment.path, cause)
    }
  }

  async commit(position: Position): Promise<void> {
    while (this.#segments.length > 1 && this.#segments[1].base <= position + 1) {
      const [gone] = this.#segments.splice(0, 1)
      await rm(gone.path, { force: true }).catch(cause => {
        throw ioError(gone.path, cause)
      })
    }
  }

  /** Writes what waits, then closes. Throws FS_IO when that cannot be written; the files are closed anyway. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    try {
      await this.#group.commit()
    } finally {
      await this.#file.close()
    }
  }

  async #flush(): Promise<void> {
    if (this.#pending.length === 0) return
    if (this.#file.size > this.#segmentBytes) await this.#rotate()
    const batch = this.#pending
    this.#pending = []
    this.#writing = batch
    const pieces: Uint8Array[] = []
    let bytes = 0
    for (const { head, envelope } of batch) {
      pieces.push(head, envelope.bytes)
      bytes += head.length + envelope.bytes.length
    }
    try {
      await this.#file.append(pieces)
      this.#durable = batch[batch.length - 1].position
      this.#pendingBytes -= bytes
    } catch (cause) {
      this.#pending = [...batch, ...this.#pending]
      throw cause
    } finally {
      this.#writing = []
    }
  }

  async #rotate(): Promise<void> {
    await this.#file.trim() // a closed segment is whole, and nothing more
    const { segment, file } = await createSegment(this.#dir, this.#durable + 1, this.#room)
    this.#pending = this.#pending.map(({ position, durable, envelope }) => {
      return { position, durable, envelope, head: encodeHead(segment.salt, position, durable, envelope) }
    })
    const old = this.#file
    this.#segments.push(segment)
    this.#file = file
    await old.close()
  }
}

function corrupt(path: string, offset: number, reason: string): ForeshockError {
  return new ForeshockError('FS_LOG_CORRUPT', `${path}, byte ${offset}: ${reason}`)
}

async function createSegment(
  dir: string,
  base: Position,
  room: Uint8Array | undefined,
): Promise<{ segment: Segment; file: DurableFile }> {
  const salt = randomBytes(4).readUInt32LE()
  const path = join(dir, `${String(base).padStart(16, '0')}.journal`)
  const file = await DurableFile.open(path, 0, room)
  try {
    await file.append([encodeSegmentHeader({ salt, base })])
    await syncDirectory(dir)
  } catch (cause) {
    await file.close()
    await rm(path, { force: true }).catch(() => {}) // an empty file is passed over at the next start
    throw cause
  }
  return { segment: { path, salt, base }, file }
}

/** Segments in order. A last one that a crash left without its header holds nothing and is removed. */
async function segmentsOf(dir: string): Promise<Segment[]> {
  const names = (await readdir(dir)).filter(name => /^\d{16}\.journal$/.test(name)).sort()
  const segments: Segment[] = []
  for (const [i, name] of names.entries()) {
    const path = join(dir, name)
    const handle = await open(path, 'r')
    const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES)
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0).finally(() => handle.close())
    const header = decodeSegmentHeader(bytes.subarray(0, bytesRead))
    if (header) {
      segments.push({ path, ...header })
      continue
    }
    if (i < names.length - 1 || bytesRead === SEGMENT_HEADER_BYTES) {
      // A whole header of zeros is what a power cut leaves of a file whose length arrived before its content.
      if (i < names.length - 1 || bytes.some(byte => byte !== 0)) throw corrupt(path, 0, 'no segment header')
    }
    await rm(path)
  }
  return segments
}

/** Last position of the last segment and its good bytes. */
async function tailOf(segment: Segment): Promise<{ end: Position; size: number }> {
  let end = segment.base - 1
  let size = SEGMENT_HEADER_BYTES
  const { size: held } = await stat(segment.path)
  for await (const step of readFrames(segment.path, segment.salt, held)) {
    if (!step.ok) {
      const durable = await durableAfter(segment.path, segment.salt, step.offset + 1)
      if (durable > end) throw corrupt(segment.path, step.offset, step.reason)
      break
    }
    end = step.frame.position
    size = step.endByte
  }
  return { end, size }
}
