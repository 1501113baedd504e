import { open } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { Parser, type ReadEntry } from 'tar'
import { writeFully } from '../core/durable-file.ts'
import { ForeshockError } from '../core/errors.ts'

export interface ArchiveLimits {
  /** Of the tar, after gzip is taken off. */
  readonly bytesMax: number
  readonly filesMax: number
}

/** Names of files in a package: plain, so that no platform reads a path or a device into them. */
const FILE_NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/
const PLAIN_FILES: ReadonlySet<string> = new Set(['File', 'OldFile', 'ContiguousFile'])
const GZIP = Buffer.from([0x1f, 0x8b])
/** Programs fill a tar up to a multiple of 10 KiB, or of up to 1 MiB where they were told so. */
const PADDING_BYTES_MAX = 1_048_576
/** Extended headers of an archive of a few files with short names are far smaller, bytes. */
const META_BYTES_MAX = 65_536

/**
 * Unpacks the tar (gzip or not) of one package into an empty folder: plain files of one folder only, no links, no
 * absolute paths, no `..`, no name twice, as many and as large as the limits say. Files are synced. Returns their names.
 * Throws FS_MODEL_INVALID or FS_INPUT_TOO_LARGE with the entry and the reason; what is in the folder then is rubbish.
 */
export async function unpackModel(
  source: AsyncIterable<Uint8Array>,
  folder: string,
  limits: ArchiveLimits,
): Promise<string[]> {
  const entries = new Entries(folder, limits.filesMax)
  const parser = new Parser({ strict: true, brotli: false, maxMetaEntrySize: META_BYTES_MAX })
  const over = new Promise<void>((done, failed) => {
    parser.on('end', done)
    parser.on('error', (cause: Error) => failed(invalid(`the archive cannot be read: ${cause.message}`)))
    parser.on('abort', (cause: Error) => failed(cause))
    parser.on('entry', entry => entries.take(entry, cause => failed(cause)))
  })
  over.catch(() => {}) // heard below, once the source is let go
  let failed = false
  over.catch(() => {
    failed = true
  })
  let isAtEnd = false
  parser.on('eof', () => {
    isAtEnd = true
  })
  await pipeline(source, inflated, counted(limits.bytesMax), async tar => {
    let padding = 0
    for await (const chunk of tar as AsyncIterable<Buffer>) {
      if (failed) break
      // Nothing behind the end is looked at.
      if (isAtEnd) padding += chunk.length
      if (padding > PADDING_BYTES_MAX) throw invalid('the archive goes on behind its end')
      if (isAtEnd) continue
      if (!parser.write(chunk)) await Promise.race([drained(parser), over])
    }
    parser.end()
    await over
  }).catch(async cause => {
    await entries.abandon()
    if (cause instanceof ForeshockError) throw cause
    throw invalid(`the archive cannot be read: ${(cause as Error).message}`)
  })
  return entries.finished()
}

/** What a tar holds, written file by file. */
class Entries {
  readonly #folder: string
  readonly #filesMax: number
  readonly #names: string[] = []
  readonly #writes: Promise<void>[] = []
  #prefix: string | undefined
  /** Settles when no more bytes will come. */
  readonly #over: Promise<undefined>
  #end: () => void = () => {}

  constructor(folder: string, filesMax: number) {
    this.#folder = folder
    this.#filesMax = filesMax
    this.#over = new Promise(done => {
      this.#end = () => done(undefined)
    })
  }

  take(entry: ReadEntry, onFailure: (cause: unknown) => void): void {
    try {
      if (entry.type === 'Directory') {
        safePath(entry.path)
        entry.resume()
        return
      }
      const written = this.#write(entry, this.#nameOf(entry))
      written.catch(onFailure)
      this.#writes.push(written)
    } catch (cause) {
      entry.resume()
      onFailure(cause)
    }
  }

  async finished(): Promise<string[]> {
    await Promise.all(this.#writes)
    if (this.#names.length === 0) throw invalid('the archive is empty')
    return this.#names.sort()
  }

  /** Closes what waits for bytes that will not come. */
  async abandon(): Promise<void> {
    this.#end()
    await Promise.allSettled(this.#writes)
  }

  #nameOf(entry: ReadEntry): string {
    const path = safePath(entry.path)
    if (!PLAIN_FILES.has(entry.type))
      throw invalid(`the archive holds ${path}, which is a ${entry.type} and no plain file`)
    const name = basename(path)
    const prefix = dirname(path)
    this.#prefix ??= prefix
    if (prefix !== this.#prefix)
      throw invalid(`the archive holds files of two folders, ${this.#prefix} and ${prefix}; a package is one`)
    if (!FILE_NAME.test(name)) throw invalid(`the archive holds ${path}, whose name is not taken here`)
    if (this.#names.some(other => other.toLowerCase() === name.toLowerCase()))
      throw invalid(`the archive holds ${name} twice`)
    if (this.#names.length >= this.#filesMax)
      throw invalid(`the archive holds more than ${this.#filesMax} files`)
    this.#names.push(name)
    return name
  }

  async #write(entry: ReadEntry, name: string): Promise<void> {
    const handle = await open(join(this.#folder, name), 'wx')
    try {
      const chunks = (entry as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
      for (let at = 0; ; ) {
        const next = await Promise.race([chunks.next(), this.#over])
        if (next === undefined || next.done) break
        at += await writeFully(handle, next.value, at)
      }
      await handle.sync()
    } finally {
      await handle.close()
    }
  }
}

/** The path without `./`; throws when it could lead out of the folder. */
function safePath(path: string): string {
  const shown = JSON.stringify(path.slice(0, 200))
  if (path.startsWith('/') || path.includes('\\') || /^[A-Za-z]:/.test(path))
    throw invalid(`the archive holds the absolute path ${shown}`)
  const parts = path.split('/').filter(part => part !== '' && part !== '.')
  if (parts.includes('..')) throw invalid(`the archive holds the path ${shown}, which leads out of it`)
  return parts.join('/')
}

const drained = (parser: Parser) => new Promise<void>(done => parser.once('drain', () => done()))

/** Takes gzip off where the first bytes say so; once, so that a bomb in a bomb stays shut. */
async function* inflated(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const chunks = source[Symbol.asyncIterator]()
  let head = Buffer.alloc(0)
  while (head.length < 2) {
    const next = await chunks.next()
    if (next.done) break
    head = Buffer.concat([head, next.value])
  }
  const all = (async function* () {
    yield head
    for (;;) {
      const next = await chunks.next()
      if (next.done) return
      yield Buffer.from(next.value)
    }
  })()
  if (!head.subarray(0, 2).equals(GZIP)) {
    yield* all
    return
  }
  const gunzip = createGunzip()
  const input = Readable.from(all)
  input.on('error', cause => gunzip.destroy(cause))
  yield* input.pipe(gunzip) as AsyncIterable<Buffer>
}

function counted(bytesMax: number) {
  return async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let bytes = 0
    for await (const chunk of source) {
      if (bytes === 0 && chunk.subarray(0, 2).equals(GZIP)) throw invalid('the archive is compressed twice')
      bytes += chunk.length
      if (bytes > bytesMax)
        throw new ForeshockError('FS_INPUT_TOO_LARGE', `the package has more than ${bytesMax} bytes`)
      yield chunk
    }
  }
}

const invalid = (reason: string) => new ForeshockError('FS_MODEL_INVALID', reason)
