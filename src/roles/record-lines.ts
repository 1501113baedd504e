import { ForeshockError } from '../core/errors.ts'
import type { RecordIndex, RecordLine } from '../core/ports.ts'
import { type StoredMessage, type Streams, TOPICS } from '../core/stream.ts'
import { parseLine } from '../store/record-line.ts'

/** Lines handed to an index at once, and their bytes: one transaction each. */
const BATCH_LINES = 5000
const BATCH_BYTES = 16 * 1_048_576

export interface RecordLinesParts {
  readonly streams: Streams
  readonly index: RecordIndex
  /** A message that is no line, or a line that the index does not take, is passed over: it would block for ever. */
  readonly onSkipped: (where: string, reason: string) => void
}

/** Brings messages of the topic `record` into an index, whatever is between them and what the index has. */
export class RecordLines {
  readonly #parts: RecordLinesParts

  constructor(parts: RecordLinesParts) {
    this.#parts = parts
  }

  /** Where to read a partition from: after what the index has, or from the first message still held. */
  async start(partition: number): Promise<number> {
    const { streams, index } = this.#parts
    const [{ first, end }, positions] = await Promise.all([
      streams.range(TOPICS.record, partition),
      index.position(),
    ])
    const offset = positions.get(partition)?.offset
    // A topic that was made anew ends before: what it has is told by sequence numbers then.
    return offset === undefined || offset > end ? first : Math.max(first, offset)
  }

  /**
   * Applies messages of one partition in their order. Lines before them that the index lacks, as when it was replaced by
   * one that was built meanwhile, are read from the topic first.
   */
  async take(partition: number, messages: readonly StoredMessage[]): Promise<void> {
    for (const batch of batches(messages)) {
      try {
        await this.#apply(partition, batch, false)
      } catch (error) {
        if ((error as ForeshockError).code !== 'FS_CONFLICT') throw error
        await this.#fill(partition, batch[0].offset)
        await this.#apply(partition, batch, true)
      }
    }
  }

  /** From where the index stands to the end as it is now, with how far that is. */
  async catchUp(partition: number, onOffset: (nextOffset: number, messages: number) => void): Promise<void> {
    await this.#readOn(partition, Number.POSITIVE_INFINITY, onOffset)
  }

  #fill(partition: number, before: number): Promise<void> {
    return this.#readOn(partition, before, () => {})
  }

  async #readOn(
    partition: number,
    before: number,
    onOffset: (nextOffset: number, messages: number) => void,
  ): Promise<void> {
    const from = await this.start(partition)
    let waiting: StoredMessage[] = []
    let bytes = 0
    const apply = async () => {
      if (waiting.length === 0) return
      await this.#apply(partition, waiting, true)
      onOffset(waiting[waiting.length - 1].offset + 1, waiting.length)
      waiting = []
      bytes = 0
    }
    for await (const message of this.#parts.streams.read(TOPICS.record, partition, from)) {
      if (message.offset >= before) break
      waiting.push(message)
      bytes += message.value.length
      if (waiting.length >= BATCH_LINES || bytes >= BATCH_BYTES) await apply()
    }
    await apply()
  }

  async #apply(partition: number, messages: readonly StoredMessage[], afterGap: boolean): Promise<void> {
    const lines: RecordLine[] = []
    let isBroken = afterGap
    for (const message of messages) {
      const line = parseLine(Buffer.from(message.value).toString('utf8'))
      if ('reason' in line) {
        this.#skip(message, line.reason)
        isBroken = true
      } else {
        const { seq, timeMs, id, entry } = line
        lines.push({ seq, timeMs, id, entry })
      }
    }
    if (lines.length === 0) return
    const source = { partition, offset: messages[messages.length - 1].offset + 1 }
    try {
      await this.#parts.index.apply(lines, isBroken ? { ...source, afterGap: true } : source)
    } catch (error) {
      if (!(error instanceof ForeshockError) || error.code !== 'FS_INPUT_INVALID') throw error
      if (messages.length === 1) return this.#skip(messages[0], error.message)
      const middle = messages.length >> 1
      await this.#apply(partition, messages.slice(0, middle), afterGap)
      await this.#apply(partition, messages.slice(middle), true)
    }
  }

  #skip({ partition, offset }: StoredMessage, reason: string): void {
    this.#parts.onSkipped(`${TOPICS.record}/${partition}, offset ${offset}`, reason)
  }
}

function* batches(messages: readonly StoredMessage[]): Generator<readonly StoredMessage[]> {
  let [from, bytes] = [0, 0]
  for (let at = 0; at < messages.length; at++) {
    bytes += messages[at].value.length
    if (at + 1 - from < BATCH_LINES && bytes < BATCH_BYTES) continue
    yield messages.slice(from, at + 1)
    from = at + 1
    bytes = 0
  }
  if (from < messages.length) yield from === 0 ? messages : messages.slice(from)
}
