import { constants } from 'node:fs'
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
 */
export class DurableFile {
  readonly path: string
  readonly #handle: FileHandle
  #size: number
  #dirty = false

  private constructor(path: string, handle: FileHandle, size: number) {
    this.path = path
    this.#handle = handle
    this.#size = size
  }

  /** Opens or creates; what stands beyond `size` bytes is cut off. Throws FS_IO. */
  static async open(path: string, size: number): Promise<DurableFile> {
    try {
      const handle = await open(path, size === 0 ? CREATE : REOPEN)
      const { size: held } = await handle.stat()
      if (held > size) {
        await handle.truncate(size)
        await handle.datasync()
      }
      return new DurableFile(path, handle, size)
    } catch (cause) {
      throw ioError(path, cause)
    }
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
      let at = this.#size
      for (const pieces of groupsOf(buffers)) at += await writePieces(this.#handle, pieces, at)
      if (WRITES_SYNC === 0) await this.#handle.datasync()
      this.#size = at
      this.#dirty = false
    } catch (cause) {
      await this.#handle.truncate(this.#size).then(
        () => {
          this.#dirty = false
        },
        () => {}, // tried again before the next append
      )
      throw ioError(this.path, cause)
    }
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
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
    const { bytesWritten } = await handle.write(block, done, block.length - done, at + done)
    if (bytesWritten === 0) throw new Error('ENOSPC: a write took no byte')
    done += bytesWritten
  }
  return done
}

/**
 * Lets callers that ask at the same time share one run: each gets a run that starts after it asked, and at most
 * one run is under way.
 */
export class GroupCommit {
  readonly #run: () => Promise<void>
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(run: () => Promise<void>) {
    this.#run = run
  }

  commit(): Promise<void> {
    if (this.#next) return this.#next
    if (!this.#running) return this.#start()
    this.#next = this.#running
      .catch(() => {}) // its own callers hear of it
      .then(() => {
        this.#next = undefined
        return this.#start()
      })
    return this.#next
  }

  #start(): Promise<void> {
    const run = this.#run().finally(() => {
      this.#running = undefined
    })
    this.#running = run
    return run
  }
}
