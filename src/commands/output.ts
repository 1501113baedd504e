import { once } from 'node:events'
import { createWriteStream, existsSync, openSync, statSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { ForeshockError } from '../core/errors.ts'

/**
 * Opens a file to be written, at once, so that a path that cannot be written is an error before the work. Throws
 * FS_INPUT_INVALID when it is one of those that are read, which opening would empty, and FS_IO when it cannot be written.
 */
export function openOutput(path: string, read: readonly (string | undefined)[]): number {
  for (const input of read)
    if (input !== undefined && isSame(path, input))
      throw new ForeshockError(
        'FS_INPUT_INVALID',
        `--out ${path}: is ${input}, which is read; name another file`,
      )
  try {
    return openSync(path, 'w')
  } catch (error) {
    throw notWritten(path, error)
  }
}

/** FS_IO that says what could not be written. */
function notWritten(path: string, cause: unknown): ForeshockError {
  const name = path === '-' ? 'standard output' : path
  return new ForeshockError('FS_IO', `${name}: cannot be written (${(cause as Error).message})`)
}

/** Whether two paths lead to one file, whatever they are called. */
function isSame(one: string, other: string): boolean {
  if (!existsSync(one) || !existsSync(other)) return false
  const [a, b] = [statSync(one), statSync(other)]
  return a.isFile() && a.ino === b.ino && a.dev === b.dev
}

/** What a command makes goes into a file, compressed where its name says so, or to standard output (`-`), no faster than it is taken. */
export class Output {
  readonly #path: string
  readonly #into: Writable
  /** Rejects as soon as nothing can be written any more. */
  readonly #done: Promise<unknown>

  /** `read`: the files that are read meanwhile, which it must not be. */
  constructor(path: string, read: readonly (string | undefined)[]) {
    this.#path = path
    if (path === '-') {
      this.#into = process.stdout
      this.#done = new Promise((_, failed) => process.stdout.once('error', failed))
    } else {
      const file = createWriteStream(path, { fd: openOutput(path, read) })
      const packed = path.endsWith('.gz') ? createGzip({ level: 6 }) : undefined
      this.#into = packed ?? file
      this.#done = packed ? pipeline(packed, file) : finished(file)
    }
    this.#done.catch(() => {}) // whoever writes or ends hears of it
  }

  /** Resolves when more may be written. Throws FS_IO. */
  async write(made: string | Uint8Array): Promise<void> {
    if (made.length === 0) return
    try {
      if (this.#into.destroyed) await this.#done
      else if (!this.#into.write(made)) await Promise.race([once(this.#into, 'drain'), this.#done])
    } catch (error) {
      throw notWritten(this.#path, error)
    }
  }

  /** Resolves when all is written, else throws FS_IO; standard output stays open for whoever else writes to it. */
  async end(): Promise<void> {
    if (this.#path === '-') return
    this.#into.end()
    await this.#done.catch(error => {
      throw notWritten(this.#path, error)
    })
  }
}
