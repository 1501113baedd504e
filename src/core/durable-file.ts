import { constants, write } from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ForeshockError } from './errors.ts'

/** Bytes and pieces handed to one write call: what an engine copies or counts for it stays small. */
const WRITE_BYTES = 4_194_304
const WRITE_PIECES = 1024

/** Where the system has it, a write returns when what it wrote would survive: one call of the system instead of two. */
const WRITES_SYNC = constants.O_DSYNC ?? 0
const CREATE = constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | WRITES_SYNC
const REOPEN = constants.O_RDWR | WRITES_SYNC
/** Where the system has it, whole blocks go to the disk from where they lie, and not by way of its cache of pages. */
const DIRECT = constants.O_DIRECT ?? 0
/** A block as disks and file systems count them, or several. */
const BLOCK_BYTES = 4096
const WASM_PAGE_BYTES = 65_536

/**
 * Memory that a file can be written from directly: it has to begin where a page of the machine does, which is only said of memory of
 * WebAssembly. Undefined where there is none to be had.
 */
export function writeRoom(): Uint8Array | undefined {
  if (DIRECT === 0) return undefined
  try {
    return new Uint8Array(new WebAssembly.Memory({ initial: WRITE_BYTES / WASM_PAGE_BYTES }).buffer)
  } catch {
    return undefined
  }
}

/** Makes the creation, renaming or removal of files in a directory survive a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Puts a whole file in the place of another, or leaves the other as it was: written beside, synced, renamed. One call at a
 * time for a path. Throws FS_IO.
 */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.tmp`
  try {
    const handle = await open(temporary, 'w')
    try {
      await writeFully(handle, bytes, 0)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
    await syncDirectory(dirname(path))
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {}) // overwritten by the next call
    throw ioError(path, cause)
  }
}

/** The FS_IO error that stands for a failure of the operating system. */
export function ioError(path: string, cause: unknown): ForeshockError {
  const text = cause instanceof Error ? cause.message : String(cause)
  return new ForeshockError('FS_IO', `${path}: ${text}`, { cause })
}

/**
 * A file that only grows, by whole appends: after a failed one (disk full, I/O error) the file is cut back to
 * its last good length before anything else is written, so nothing good ever follows something half-written.
 * Writing anew after a failed sync is also what makes the retry true: the kernel forgets pages it could not
 * write, and a second bare fsync would report success (PostgreSQL's "fsyncgate" of 2018).
 * One append at a time; the caller queues.
 *
 * With a room, appends are gathered there and written in whole blocks, without the copies and the memory of the system's cache: the last
 * block is filled up with zeros and written again by the next append. So zeros may stand behind the good bytes until `trim` or `close`.
 */
export class DurableFile {
  readonly path: string
  #handle: FileHandle
  #size: number
  #dirty = false
  /** Where appends are gathered; undefined where they are written from where they lie. */
  #room: Uint8Array | undefined
  /** The good bytes of the last block, where it is not whole. */
  readonly #tail: Uint8Array

  private constructor(path: string, handle: FileHandle, size: number, room: Uint8Array | undefined) {
    this.path = path
    this.#handle = handle
    this.#size = size
    this.#room = room
    this.#tail = new Uint8Array(room === undefined ? 0 : BLOCK_BYTES)
  }

  /**
   * Opens or creates; what stands beyond `size` bytes is cut off. `room`: to gather appends in, for one file's append at a time; it is not
   * used where the file system cannot be written to directly. Throws FS_IO.
   */
  static async open(path: string, size: number, room?: Uint8Array): Promise<DurableFile> {
    try {
      // Whatever goes wrong without the cache, such as a disk with other blocks, may go well with it.
      const direct = room && (await DurableFile.#begin(path, size, room).catch(() => undefined))
      return direct ?? (await DurableFile.#begin(path, size, undefined))
    } catch (cause) {
      throw ioError(path, cause)
    }
  }

  static async #begin(path: string, size: number, room: Uint8Array | undefined): Promise<DurableFile> {
    const handle = await open(path, (size === 0 ? CREATE : REOPEN) | (room === undefined ? 0 : DIRECT))
    try {
      const { size: held } = await handle.stat()
      if (held > size) {
        await handle.truncate(size)
        await handle.datasync()
      }
      const file = new DurableFile(path, handle, size, room)
      await file.#readTail()
      return file
    } catch (cause) {
      await handle.close()
      throw cause
    }
  }

  async #readTail(): Promise<void> {
    const room = this.#room
    const length = this.#size % BLOCK_BYTES
    if (room === undefined || length === 0) return
    const { bytesRead } = await this.#handle.read(room, 0, BLOCK_BYTES, this.#size - length)
    if (bytesRead !== length) throw new Error(`${bytesRead} bytes of the last block, not ${length}`)
    this.#tail.set(room.subarray(0, length))
  }

  /** Good bytes. */
  get size(): number {
    return this.#size
  }

  /** Appends all buffers and syncs, or appends nothing and throws FS_IO. */
  async append(buffers: readonly Uint8Array[]): Promise<void> {
    try {
      if (this.#dirty) await this.#handle.truncate(this.#size)
      this.#dirty = true
      const size = await (this.#room ? this.#writeBlocks(buffers, this.#room) : this.#writePieces(buffers))
      if (WRITES_SYNC === 0) await this.#handle.datasync()
      this.#size = size
      this.#dirty = false
    } catch (cause) {
      if (this.#room !== undefined && isUnfit(cause)) return this.#appendWithoutRoom(buffers)
      await this.#handle.truncate(this.#size).then(
        () => {
          this.#dirty = false
        },
        () => {}, // tried again before the next append
      )
      throw ioError(this.path, cause)
    }
  }

  /** The file system takes no blocks as they lie here: from now on it is written to by way of its cache. */
  async #appendWithoutRoom(buffers: readonly Uint8Array[]): Promise<void> {
    const direct = this.#handle
    this.#handle = await open(this.path, REOPEN).catch(cause => {
      throw ioError(this.path, cause)
    })
    this.#room = undefined
    await direct.close()
    await this.append(buffers)
  }

  /** Writes from where the pieces lie; returns where they end in the file. */
  async #writePieces(buffers: readonly Uint8Array[]): Promise<number> {
    let at = this.#size
    for (const pieces of groupsOf(buffers)) at += await writePieces(this.#handle, pieces, at)
    return at
  }

  /** The same in whole blocks from the one that the file ends in. */
  async #writeBlocks(buffers: readonly Uint8Array[], room: Uint8Array): Promise<number> {
    let filled = this.#size % BLOCK_BYTES
    let at = this.#size - filled
    room.set(this.#tail.subarray(0, filled))
    for (const buffer of buffers) {
      for (let taken = 0; taken < buffer.length; ) {
        const part = buffer.subarray(taken, taken + room.length - filled)
        room.set(part, filled)
        taken += part.length
        filled += part.length
        if (filled < room.length) continue
        at += await writeFully(this.#handle, room, at)
        filled = 0
      }
    }
    const rest = filled % BLOCK_BYTES
    const whole = filled - rest + (rest > 0 ? BLOCK_BYTES : 0)
    room.fill(0, filled, whole)
    await writeFully(this.#handle, room.subarray(0, whole), at)
    this.#tail.set(room.subarray(filled - rest, filled))
    return at + filled
  }

  /** Cuts off what may stand behind the good bytes, before another file goes on where this one ends. Throws FS_IO. */
  async trim(): Promise<void> {
    try {
      await this.#handle.truncate(this.#size)
      await this.#handle.datasync()
      this.#dirty = false
    } catch (cause) {
      throw ioError(this.path, cause)
    }
  }

  async close(): Promise<void> {
    // Zeros that stay behind the good bytes are cut off by whoever opens the file again.
    if (this.#room !== undefined) await this.#handle.truncate(this.#size).catch(() => {})
    await this.#handle.close()
  }
}

/** Whether a write was refused for how its bytes lie, in memory or in the file. */
function isUnfit(cause: unknown): boolean {
  return (cause as NodeJS.ErrnoException).code === 'EINVAL'
}

function* groupsOf(buffers: readonly Uint8Array[]): IterableIterator<Uint8Array[]> {
  let group: Uint8Array[] = []
  let bytes = 0
  for (const buffer of buffers) {
    if (group.length > 0 && (bytes + buffer.length > WRITE_BYTES || group.length === WRITE_PIECES)) {
      yield group
      group = []
      bytes = 0
    }
    if (buffer.length > 0) group.push(buffer)
    bytes += buffer.length
  }
  if (group.length > 0) yield group
}

/** Writes every byte of pieces that follow each other in the file, from where they lie; returns how many. */
async function writePieces(handle: FileHandle, pieces: readonly Uint8Array[], at: number): Promise<number> {
  let done = 0
  for (let left = pieces; left.length > 0; ) {
    const { bytesWritten } = await handle.writev(left, at + done)
    if (bytesWritten === 0) throw new Error('ENOSPC: a write took no byte')
    done += bytesWritten
    left = after(left, bytesWritten)
  }
  return done
}

/** What is left of pieces when so many bytes of them were written. */
function after(pieces: readonly Uint8Array[], written: number): Uint8Array[] {
  let first = 0
  let rest = written
  while (first < pieces.length && rest >= pieces[first].length) rest -= pieces[first++].length
  const left = pieces.slice(first)
  if (rest > 0) left[0] = left[0].subarray(rest)
  return left
}

/** Writes every byte at an offset; returns how many. */
export async function writeFully(handle: FileHandle, block: Uint8Array, at: number): Promise<number> {
  let done = 0
  while (done < block.length) {
    const written = await writeOnce(handle.fd, block, done, at + done)
    if (written === 0) throw new Error('ENOSPC: a write took no byte')
    done += written
  }
  return done
}

/** A write of the bytes from `from` on; how many it took. By callback: what a `FileHandle` promises costs more, once a body. */
function writeOnce(fd: number, block: Uint8Array, from: number, at: number): Promise<number> {
  return new Promise((done, failed) => {
    write(fd, block, from, block.length - from, at, (error, written) =>
      error ? failed(error) : done(written),
    )
  })
}
