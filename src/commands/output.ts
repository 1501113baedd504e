import { once } from 'node:events'
import { createWriteStream, openSync, type WriteStream } from 'node:fs'
import type { Writable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { ForeshockError } from '../core/errors.ts'

/** Where a command writes what it makes. */
export interface Output {
  /** Resolves when more may be written. Rejects with FS_IO naming the path. */
  write(chunk: string | Uint8Array): Promise<void>
  /** Resolves when the file is whole; rejects with FS_IO when it is not. Standard output stays open. */
  close(): Promise<void>
}

/** A file, gzip where its name ends so; `-` is standard output. Throws FS_IO when it cannot be opened. */
export function openOutput(path: string): Output {
  const isFile = path !== '-'
  const file = isFile ? openFile(path) : undefined
  const zipped = path.endsWith('.gz') ? createGzip({ level: 6 }) : undefined
  const into: Writable = file === undefined ? process.stdout : (zipped ?? file)
  const whole = file && (zipped ? pipeline(zipped, file) : finished(file))
  // Told by whoever writes or closes next.
  whole?.catch(() => {})
  let failure: Error | undefined
  const onError = (error: NodeJS.ErrnoException) => {
    // Whoever read has enough, as `head` does: other programs are ended by a signal then.
    if (!isFile && error.code === 'EPIPE') process.exit(0)
    failure = error
  }
  into.on('error', onError)
  const told = (error: Error) =>
    new ForeshockError('FS_IO', `${path}: cannot be written (${error.message})`, { cause: error })
  return {
    write: async chunk => {
      if (failure) throw told(failure)
      if (into.write(chunk)) return
      await once(into, 'drain').catch(error => {
        throw told(error)
      })
    },
    close: async () => {
      if (isFile) into.end()
      await whole?.catch(error => {
        throw told(error)
      })
      into.off('error', onError)
    },
  }
}

/** Opened at once, so that a path that cannot be written is an error here and not an event later. Throws FS_IO. */
export function openFile(path: string): WriteStream {
  try {
    return createWriteStream(path, { fd: openSync(path, 'w') })
  } catch (error) {
    throw new ForeshockError('FS_IO', `${path}: cannot be written (${(error as Error).message})`)
  }
}
