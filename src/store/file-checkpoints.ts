import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ioError, syncDirectory, writeFully } from '../core/durable-file.ts'
import { ForeshockError } from '../core/errors.ts'
import type { Checkpoint, CheckpointCut, CheckpointStore } from '../core/ports.ts'
import { BlockDigest } from './block-digest.ts'
import {
  CheckpointEncoder,
  DIGEST_BYTES,
  decodeCheckpoint,
  hasPlainDigest,
  MAGIC_BYTES,
} from './checkpoint-format.ts'
import { columnBytes, needRoom } from './disk-room.ts'

export interface FileCheckpointsOptions {
  readonly dir: string
  /** How many are kept: the newest, and by default the one before in case the newest is damaged. */
  readonly kept?: number
  /** Told of a checkpoint that cannot be read and is passed over. */
  readonly onWarning?: (text: string) => void
}

const KEPT = 2
/** The file is read in pieces of this size. */
const BLOCK_BYTES = 1_048_576
/** Pieces are gathered to writes of this size: two milliseconds of copying and of its digest between two envelopes. */
const WRITE_BYTES = 4_194_304
const TEMPORARY = 'checkpoint.tmp'

/**
 * Checkpoints in files `checkpoint-<n>.bin`: written beside, synced, renamed. A reader takes the newest whose
 * digest holds.
 */
export class FileCheckpoints implements CheckpointStore {
  readonly #dir: string
  readonly #kept: number
  readonly #onWarning: (text: string) => void
  #saving: Promise<void> = Promise.resolve()

  constructor(options: FileCheckpointsOptions) {
    this.#dir = options.dir
    this.#kept = options.kept ?? KEPT
    this.#onWarning = options.onWarning ?? (() => {})
  }

  /** Saves one after the other. Throws FS_IO and leaves the former checkpoints as they were. */
  save(checkpoint: CheckpointCut): Promise<void> {
    const saved = this.#saving.then(() => this.#save(checkpoint)).finally(() => checkpoint.cut?.close())
    this.#saving = saved.catch(() => {}) // its own caller hears of it
    return saved
  }

  async load(): Promise<Checkpoint | undefined> {
    for (const name of (await checkpointNames(this.#dir)).reverse()) {
      try {
        return await readCheckpoint(join(this.#dir, name))
      } catch (cause) {
        const text = cause instanceof Error ? cause.message : String(cause)
        this.#onWarning(`checkpoint ${name} cannot be read and is passed over: ${text}`)
      }
    }
    return undefined
  }

  async #save(checkpoint: CheckpointCut): Promise<void> {
    const temporary = join(this.#dir, TEMPORARY)
    try {
      await mkdir(this.#dir, { recursive: true })
      const names = await checkpointNames(this.#dir)
      await needRoom(this.#dir, columnBytes(checkpoint))
      await writeCheckpoint(temporary, checkpoint)
      await checkpoint.ready?.()
      const number = names.length === 0 ? 1 : numberOf(names[names.length - 1]) + 1
      await rename(temporary, join(this.#dir, `checkpoint-${String(number).padStart(10, '0')}.bin`))
      await syncDirectory(this.#dir)
      for (const old of names.slice(0, Math.max(0, names.length + 1 - this.#kept)))
        await rm(join(this.#dir, old))
    } catch (cause) {
      await rm(temporary, { force: true }).catch(() => {}) // overwritten by the next save
      throw cause instanceof ForeshockError ? cause : ioError(this.#dir, cause)
    }
  }
}

async function checkpointNames(dir: string): Promise<string[]> {
  const names = await readdir(dir).catch(cause => {
    if (cause.code === 'ENOENT') return []
    throw ioError(dir, cause)
  })
  return names.filter(name => /^checkpoint-\d{10}\.bin$/.test(name)).sort()
}

function numberOf(name: string): number {
  return Number(name.slice(11, 21))
}

async function writeCheckpoint(path: string, checkpoint: CheckpointCut): Promise<void> {
  const handle = await open(path, 'w')
  let writing: Promise<unknown> = Promise.resolve()
  try {
    const digest = new BlockDigest()
    // Two for all, so that saving leaves no garbage of its own size: one is filled while the other is written.
    let block = Buffer.alloc(WRITE_BYTES)
    let spare = Buffer.alloc(WRITE_BYTES)
    const encoder = new CheckpointEncoder(checkpoint)
    let at = 0
    for (let held = encoder.read(block); held > 0; held = encoder.read(block)) {
      const full = block.subarray(0, held)
      digest.update(full)
      await writing
      writing = writeFully(handle, full, at)
      writing.catch(() => {}) // awaited below
      at += held
      const next = spare
      spare = block
      block = next
    }
    await writing
    await writeFully(handle, digest.digest(), at)
    await handle.sync()
  } finally {
    await writing.catch(() => {}) // told where it was awaited
    await handle.close()
  }
}

/** Its digest is known only at its end, so that the file is read once: what was made of another content is thrown away. */
async function readCheckpoint(path: string): Promise<Checkpoint> {
  const handle = await open(path, 'r')
  try {
    const end = (await handle.stat()).size - DIGEST_BYTES
    if (end < MAGIC_BYTES) throw new Error('it is too short')
    const magic = Buffer.alloc(MAGIC_BYTES)
    await handle.read(magic, 0, MAGIC_BYTES, 0)
    const newDigest = (): Digest =>
      hasPlainDigest(magic.toString()) ? createHash('sha256') : new BlockDigest()
    const digest = newDigest()
    const block = Buffer.alloc(BLOCK_BYTES)
    let held = block.subarray(0, 0)
    let at = 0
    const checkpoint = await decodeCheckpoint(async into => {
      for (let done = 0; done < into.length; ) {
        if (held.length === 0) {
          const { bytesRead } = await handle.read(block, 0, Math.min(block.length, end - at), at)
          if (bytesRead === 0) throw new Error('it ends too early')
          held = block.subarray(0, bytesRead)
          digest.update(held)
          at += bytesRead
        }
        const part = held.subarray(0, into.length - done)
        into.set(part, done)
        held = held.subarray(part.length)
        done += part.length
      }
    }, end).catch(async cause => {
      // A content that cannot be read is most likely not the one that was written.
      await checkDigest(handle, newDigest(), 0, end)
      throw cause
    })
    await checkDigest(handle, digest, at, end)
    return checkpoint
  } finally {
    await handle.close()
  }
}

interface Digest {
  update(bytes: Uint8Array): unknown
  digest(): Buffer
}

/** Digests what lies from `from` to `end`, and compares. */
async function checkDigest(handle: FileHandle, digest: Digest, from: number, end: number): Promise<void> {
  const block = Buffer.alloc(BLOCK_BYTES)
  for (let at = from; at < end; ) {
    const { bytesRead } = await handle.read(block, 0, Math.min(block.length, end - at), at)
    if (bytesRead === 0) throw new Error('it ends too early')
    digest.update(block.subarray(0, bytesRead))
    at += bytesRead
  }
  const kept = Buffer.alloc(DIGEST_BYTES)
  await handle.read(kept, 0, DIGEST_BYTES, end)
  if (!digest.digest().equals(kept)) throw new Error('its content does not match its digest')
}
