import { ForeshockError } from '../core/errors.ts'
import type { RecordEntry, RecordLine, RecordLog } from '../core/ports.ts'
import { SeenIds } from '../core/seen-ids.ts'
import {
  type StoredMessage,
  type StreamMessage,
  type Streams,
  type StreamTransactor,
  TOPICS,
} from '../core/stream.ts'
import { Turns } from '../core/turns.ts'
import { FIRST_PREV, parseLine, type SealedLine, sealLine } from './record-line.ts'

/** Where a partition of the record ends: what follows is chained to it. */
export interface RecordPlace {
  /** Of the next message, at least. */
  readonly offset: number
  /** Of the last line; 0 when there is none. */
  readonly seq: number
  readonly hash: string
}

export const EMPTY_PLACE: RecordPlace = { offset: 0, seq: 0, hash: FIRST_PREV }

/** A line to be, and what is told to the world in the same stroke when the line is new. */
export interface RecordDraft {
  readonly id: string
  readonly timeMs: number
  readonly entry: RecordEntry
  readonly told?: readonly { readonly topic: string; readonly message: StreamMessage }[]
}

export interface StreamRecordOptions {
  readonly streams: Streams
  /** Of the record and of whoever owns it: two owners of one name shut each other out, the later one stays. */
  readonly name: string
  readonly partition: number
  /** Where to read on from; the ids of lines before it are taken to be known to nobody any more. */
  readonly from?: RecordPlace | undefined
  /** Sees every line from there on. */
  readonly onLine?: (line: RecordLine) => void
  /** Newest ids remembered for dropping repeats; a replay never reaches further back than a checkpoint. */
  readonly idsKept?: number
}

const IDS_KEPT = 100_000
/** Lines in one transaction, and their bytes: an engine's limits are far above. */
const COMMIT_LINES_MAX = 500
const COMMIT_BYTES_MAX = 4 * 1_048_576

/**
 * The record in one partition of a topic: a message is a line, chained by SHA-256 as the files are. What is committed
 * stands there once, together with what was told of it, or not at all. After an error nobody knows which: the record is
 * opened anew, and what stands there by then is dropped as known.
 */
export class StreamRecord implements RecordLog {
  readonly #streams: Streams
  readonly #partition: number
  readonly #transactor: StreamTransactor
  readonly #seen: SeenIds
  #place: RecordPlace
  readonly #turns = new Turns()
  #broken: unknown

  private constructor(
    { streams, partition }: StreamRecordOptions,
    transactor: StreamTransactor,
    seen: SeenIds,
    place: RecordPlace,
  ) {
    this.#streams = streams
    this.#partition = partition
    this.#transactor = transactor
    this.#seen = seen
    this.#place = place
  }

  /**
   * Shuts out any former owner first, so that nothing follows what is read then. Rejects with FS_LOG_CORRUPT when the
   * lines do not chain to `from`, with FS_IO when the engine cannot be reached.
   */
  static async open(options: StreamRecordOptions): Promise<StreamRecord> {
    const { streams, partition, onLine } = options
    const transactor = await streams.transactor(options.name)
    try {
      const seen = new SeenIds(options.idsKept ?? IDS_KEPT)
      const place = await readOn(streams, partition, options.from, line => {
        seen.add(line.id)
        onLine?.(line)
      })
      return new StreamRecord(options, transactor, seen, place)
    } catch (error) {
      await transactor.close().catch(() => {})
      throw error
    }
  }

  /** Where the next line goes, for the checkpoint. */
  get place(): RecordPlace {
    return this.#place
  }

  async append(id: string, timeMs: number, entry: RecordEntry): Promise<boolean> {
    const [fresh] = await this.commit([{ id, timeMs, entry }])
    return fresh
  }

  /**
   * Appends those whose id is new, in order, and sends what is told of them, all in one transaction (several when they are
   * many). Says which were new. Rejects with FS_FENCED when another owner has taken over.
   */
  commit(drafts: readonly RecordDraft[]): Promise<boolean[]> {
    return this.#turns.take(() => this.#commit(drafts))
  }

  async *read(fromSeq = 1): AsyncGenerator<RecordLine> {
    await this.#turns.rest()
    const { first } = await this.#streams.range(TOPICS.record, this.#partition)
    for await (const message of this.#streams.read(TOPICS.record, this.#partition, first)) {
      const { seq, timeMs, id, entry } = lineOf(message)
      if (seq >= fromSeq) yield { seq, timeMs, id, entry }
    }
  }

  async close(): Promise<void> {
    await this.#turns.rest()
    await this.#transactor.close()
  }

  async #commit(drafts: readonly RecordDraft[]): Promise<boolean[]> {
    const fresh: boolean[] = []
    let batch = this.#begin()
    for (const draft of drafts) {
      const known = this.#seen.has(draft.id) || batch.ids.has(draft.id)
      fresh.push(!known)
      if (known) continue
      this.#seal(batch, draft)
      if (batch.ids.size < COMMIT_LINES_MAX && batch.bytes < COMMIT_BYTES_MAX) continue
      await this.#send(batch)
      batch = this.#begin()
    }
    await this.#send(batch)
    return fresh
  }

  #begin(): Batch {
    const { seq, hash } = this.#place
    return { ids: new Set(), sends: [], seq, hash, bytes: 0 }
  }

  #seal(batch: Batch, { id, timeMs, entry, told = [] }: RecordDraft): void {
    const { text, hash } = sealLine({ seq: batch.seq + 1, timeMs, id, entry }, batch.hash)
    batch.seq++
    batch.hash = hash
    batch.ids.add(id)
    const value = Buffer.from(text.slice(0, -1))
    const message = {
      key: id,
      value,
      headers: {},
      timestampMs: Math.max(0, timeMs),
      partition: this.#partition,
    }
    batch.sends.push({ topic: TOPICS.record, message }, ...told)
    batch.bytes += value.length + told.reduce((sum, one) => sum + one.message.value.length, 0)
  }

  async #send({ ids, sends, seq, hash }: Batch): Promise<void> {
    if (sends.length === 0) return
    if (this.#broken !== undefined) throw this.#broken
    try {
      await this.#transactor.send(sends)
    } catch (error) {
      this.#broken = error
      throw error
    }
    for (const id of ids) this.#seen.add(id)
    // An engine's own marks take offsets too: at least as many as there are lines, and reading passes over the rest.
    this.#place = { offset: this.#place.offset + ids.size, seq, hash }
  }
}

interface Batch {
  readonly ids: Set<string>
  readonly sends: { readonly topic: string; readonly message: StreamMessage }[]
  seq: number
  hash: string
  bytes: number
}

/** Reads the lines from a place to the end, checks that they chain, and returns where they end. */
async function readOn(
  streams: Streams,
  partition: number,
  from: RecordPlace | undefined,
  take: (line: SealedLine) => void,
): Promise<RecordPlace> {
  const { first, end } = await streams.range(TOPICS.record, partition)
  if (from !== undefined && from.offset > end)
    throw new ForeshockError(
      'FS_LOG_CORRUPT',
      `${TOPICS.record}/${partition} ends at ${end}, but was acknowledged up to ${from.offset}`,
    )
  let { offset, seq, hash } = from ?? { ...EMPTY_PLACE, offset: first }
  for await (const message of streams.read(TOPICS.record, partition, offset)) {
    offset = message.offset + 1
    const line = lineOf(message)
    // A place says at least how far it is: lines before it are known.
    if (line.seq <= seq && from !== undefined) continue
    const begins = from === undefined && seq === 0
    if (!begins && (line.seq !== seq + 1 || line.prev !== hash))
      throw corrupt(message, 'it does not follow the line before')
    seq = line.seq
    hash = line.hash
    take(line)
  }
  return { offset, seq, hash }
}

function lineOf(message: StoredMessage): SealedLine {
  const line = parseLine(Buffer.from(message.value).toString('utf8'))
  if ('reason' in line) throw corrupt(message, line.reason)
  return line
}

function corrupt({ topic, partition, offset }: StoredMessage, reason: string): ForeshockError {
  return new ForeshockError('FS_LOG_CORRUPT', `${topic}/${partition} at offset ${offset}: ${reason}`)
}
