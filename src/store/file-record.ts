import { type FileHandle, mkdir, open, readdir, readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { DurableFile, ioError, syncDirectory } from '../core/durable-file.ts'
import { ForeshockError } from '../core/errors.ts'
import { GroupCommit } from '../core/group-commit.ts'
import type { RecordEntry, RecordLine, RecordLog } from '../core/ports.ts'
import { SeenIds } from '../core/seen-ids.ts'
import { readLines } from './lines.ts'
import { FIRST_PREV, parseLine, sealLine } from './record-line.ts'

export interface FileRecordOptions {
  readonly dir: string
  /** A segment is closed once it is longer than this. */
  readonly segmentBytes?: number
  /** Newest ids remembered for dropping repeats; a replay never reaches further back than a checkpoint. */
  readonly idsKept?: number
}

const SEGMENT_BYTES = 67_108_864
const IDS_KEPT = 100_000
/** Entries that may wait for the disk. */
const PENDING_MAX = 100_000

/** What was last acknowledged, beside the log: it shows when the log's end has been removed. */
export interface RecordHead {
  readonly seq: number
  readonly hash: string
}

interface Waiting {
  readonly id: string
  readonly timeMs: number
  readonly entry: RecordEntry
  readonly done: () => void
  readonly failed: (cause: unknown) => void
}

export const HEAD_FILE = 'head.json'
/** Of fixed length and within one sector, so that it is replaced in one write. */
const HEAD_BYTES = 128

/**
 * The record in files: JSON lines chained by SHA-256, in segments. An append resolves once it is on disk; those
 * that wait share one fsync. One that failed is not in the record and may be tried again.
 */
export class FileRecord implements RecordLog {
  readonly #dir: string
  readonly #segmentBytes: number
  readonly #segments: string[]
  readonly #seen: SeenIds
  readonly #waiting = new Map<string, Promise<void>>()
  readonly #group = new GroupCommit(() => this.#flush())
  readonly #headFile: FileHandle
  #file: DurableFile
  #head: RecordHead
  #queue: Waiting[] = []
  #closed = false

  private constructor(
    options: FileRecordOptions,
    parts: { segments: string[]; file: DurableFile; headFile: FileHandle; head: RecordHead; seen: SeenIds },
  ) {
    this.#dir = options.dir
    this.#segmentBytes = options.segmentBytes ?? SEGMENT_BYTES
    this.#segments = parts.segments
    this.#file = parts.file
    this.#headFile = parts.headFile
    this.#head = parts.head
    this.#seen = parts.seen
  }

  /** Throws FS_IO; FS_LOG_CORRUPT when acknowledged entries are damaged or gone. */
  static async open(options: FileRecordOptions): Promise<FileRecord> {
    const { dir } = options
    try {
      await mkdir(dir, { recursive: true })
    } catch (cause) {
      throw ioError(dir, cause)
    }
    const seen = new SeenIds(options.idsKept ?? IDS_KEPT)
    const segments = await recordSegments(dir)
    const anchor = await readHead(dir)
    const tail = await tailOf(segments, seen, anchor)
    if (anchor && anchor.seq > tail.head.seq) {
      throw new ForeshockError(
        'FS_LOG_CORRUPT',
        `${dir}: the record ends at ${tail.head.seq}, but ${anchor.seq} entries were acknowledged; ` +
          `restore the missing ones, or remove ${HEAD_FILE} to accept their loss`,
      )
    }
    const path = segments.at(-1) ?? join(dir, segmentName(1))
    if (segments.length === 0) segments.push(path)
    const file = await DurableFile.open(path, tail.size)
    try {
      const headFile = await openHead(dir)
      await syncDirectory(dir)
      const record = new FileRecord(options, { segments, file, headFile, head: tail.head, seen })
      await record.#writeHead()
      return record
    } catch (cause) {
      throw ioError(dir, cause)
    }
  }

  /** Sequence number and hash of the last entry on disk; seq 0 when empty. */
  get head(): RecordHead {
    return this.#head
  }

  async append(id: string, timeMs: number, entry: RecordEntry): Promise<boolean> {
    if (this.#closed) throw new ForeshockError('FS_ASSERTION', 'append to a closed record')
    const waiting = this.#waiting.get(id)
    if (waiting) {
      await waiting
      return false
    }
    if (this.#seen.has(id)) return false
    if (this.#queue.length >= PENDING_MAX) {
      throw new ForeshockError('FS_OVERLOADED', `${PENDING_MAX} entries wait for ${this.#dir}`)
    }
    const durable = new Promise<void>((done, failed) => {
      this.#queue.push({ id, timeMs, entry, done, failed })
    }).finally(() => this.#waiting.delete(id))
    this.#waiting.set(id, durable)
    this.#group.commit().catch(() => {}) // each entry hears of it by itself
    await durable
    return true
  }

  async *read(fromSeq = 1): AsyncGenerator<RecordLine> {
    const segments = [...this.#segments]
    const size = this.#file.size
    for (const [i, path] of segments.entries()) {
      const next = segments[i + 1]
      if (next && firstSeqOf(next) <= fromSeq) continue
      const end = next ? (await stat(path)).size : size
      let number = 0
      for await (const { text } of readLines(path, end)) {
        number++
        const line = parseLine(text)
        if ('reason' in line) throw corrupt(path, number, line.reason)
        const { seq, timeMs, id, entry } = line
        if (seq >= fromSeq) yield { seq, timeMs, id, entry }
      }
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    try {
      await this.#group.commit()
    } finally {
      await this.#file.close()
      await this.#headFile.close()
    }
  }

  async #flush(): Promise<void> {
    const batch = this.#queue
    if (batch.length === 0) return
    this.#queue = []
    try {
      if (this.#file.size > this.#segmentBytes) await this.#rotate()
      let { seq, hash } = this.#head
      const lines: Buffer[] = []
      for (const { id, timeMs, entry } of batch) {
        const sealed = sealLine({ seq: ++seq, timeMs, id, entry }, hash)
        hash = sealed.hash
        lines.push(Buffer.from(sealed.text))
      }
      await this.#file.append(lines)
      this.#head = { seq, hash }
    } catch (cause) {
      for (const { failed } of batch) failed(cause)
      return
    }
    await this.#writeHead()
    for (const { id, done } of batch) {
      this.#seen.add(id)
      done()
    }
  }

  /** Best effort and never ahead of the log: an older head only proves less. */
  async #writeHead(): Promise<void> {
    const text = JSON.stringify(this.#head).padEnd(HEAD_BYTES - 1)
    await this.#headFile.write(`${text}\n`, 0).catch(() => {})
  }

  async #rotate(): Promise<void> {
    await this.#file.append([]) // cuts off what a failed write may have left: a closed segment is whole
    const path = join(this.#dir, segmentName(this.#head.seq + 1))
    const file = await DurableFile.open(path, 0)
    await syncDirectory(this.#dir)
    const old = this.#file
    this.#segments.push(path)
    this.#file = file
    await old.close()
  }
}

function corrupt(path: string, line: number, reason: string): ForeshockError {
  return new ForeshockError('FS_LOG_CORRUPT', `${path}, line ${line}: ${reason}`)
}

function segmentName(firstSeq: number): string {
  return `record-${String(firstSeq).padStart(16, '0')}.jsonl`
}

function firstSeqOf(path: string): number {
  return Number(basename(path).slice(7, -6))
}

/** Paths of the segments, in order. */
export async function recordSegments(dir: string): Promise<string[]> {
  try {
    const names = (await readdir(dir)).filter(name => /^record-\d{16}\.jsonl$/.test(name)).sort()
    return names.map(name => join(dir, name))
  } catch (cause) {
    throw ioError(dir, cause)
  }
}

async function openHead(dir: string): Promise<FileHandle> {
  const path = join(dir, HEAD_FILE)
  return open(path, 'r+').catch(() => open(path, 'w+'))
}

/** The head file; undefined when there is none or a crash tore it. */
export async function readHead(dir: string): Promise<RecordHead | undefined> {
  const text = await readFile(join(dir, HEAD_FILE), 'utf8').catch(() => '')
  const match = /^\{"seq":(\d+),"hash":"([0-9a-f]{64})"\} *\n$/.exec(text)
  return match ? { seq: Number(match[1]), hash: match[2] } : undefined
}

/**
 * Reads as many segments from the end as hold the ids to remember, checks their chain, and finds where the good
 * part of the last one ends. A bad end that nobody was promised is a torn tail; anything else is damage.
 */
async function tailOf(segments: readonly string[], seen: SeenIds, anchor: RecordHead | undefined) {
  let from = Math.max(0, segments.length - 1)
  const last = segments.length === 0 ? 1 : firstSeqOf(segments[from])
  while (from > 0 && last - firstSeqOf(segments[from]) < Math.max(1, seen.cap)) from--
  let head: RecordHead | undefined = from === 0 ? { seq: 0, hash: FIRST_PREV } : undefined
  let size = 0
  for (let i = from; i < segments.length; i++) {
    const path = segments[i]
    let number = 0
    let bad: { line: number; reason: string } | undefined
    size = 0
    for await (const { text, endByte, terminated } of readLines(path)) {
      number++
      const line = parseLine(text)
      if ('reason' in line || !terminated) {
        bad ??= { line: number, reason: 'reason' in line ? line.reason : 'cut off' }
        continue
      }
      if (bad) {
        // Lines of one unfinished write may reach the disk in any order: good ones then follow a bad one.
        if (anchor && head && anchor.seq <= head.seq) break
        throw corrupt(path, bad.line, bad.reason)
      }
      if (head && line.prev !== head.hash) throw corrupt(path, number, 'it does not follow the line before')
      head = { seq: line.seq, hash: line.hash }
      seen.add(line.id)
      size = endByte
    }
    if (bad && i < segments.length - 1) throw corrupt(path, bad.line, bad.reason)
  }
  // At least the last two segments were read, and only the last may be empty: the end is known.
  return { head: head ?? { seq: 0, hash: FIRST_PREV }, size }
}
