import { HEADERS, type StoredMessage, type StreamMessage, type Streams, TOPICS } from '../core/stream.ts'

/** Headers of a dead letter that say why it is one and where it stood; its own headers are kept beside them. */
export const LETTER = {
  reason: 'foreshock-reason',
  topic: 'foreshock-topic',
  partition: 'foreshock-partition',
  offset: 'foreshock-offset',
  /** Bytes that the message had, where not all of them are kept. */
  size: 'foreshock-size',
} as const

/** A reason is a line, characters. */
const REASON_MAX = 1000
/** Most bytes kept of a message: one larger is cut, and says how large it was. Below what a topic takes. */
const VALUE_MAX_BYTES = 3 * 1024 * 1024
const HEADERS_MAX = 100

/**
 * A message that could not be used, as a dead letter: its bytes, key and headers, why, and where it stood. Made of the same
 * message it is the same letter, `n` apart where one message makes several, so one that is written again after a crash can
 * be told by its origin.
 */
export function deadLetter(message: StoredMessage, reason: string, n = 0): StreamMessage {
  const { topic, partition, offset, key, value, timestampMs } = message
  const cut = value.length > VALUE_MAX_BYTES
  const kept = Object.entries(message.headers).slice(0, HEADERS_MAX)
  const origin = `${topic}/${partition}/${offset}/${n}`
  return {
    key: key ?? origin,
    value: cut ? value.subarray(0, VALUE_MAX_BYTES) : value,
    headers: {
      ...Object.fromEntries(kept),
      [HEADERS.origin]: origin,
      [LETTER.reason]: reason.replace(/\s+/g, ' ').slice(0, REASON_MAX),
      [LETTER.topic]: topic,
      [LETTER.partition]: String(partition),
      [LETTER.offset]: String(offset),
      ...(cut ? { [LETTER.size]: String(value.length) } : {}),
    },
    timestampMs: Math.max(0, timestampMs),
  }
}

/** A dead letter as it is read. */
export interface Letter {
  readonly timeMs: number
  readonly reason: string
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly tenant: string | undefined
  readonly key: string | null
  /** Bytes that the message had. */
  readonly bytes: number
  readonly value: Uint8Array
}

export function letterOf({ timestampMs, headers, key, value }: StoredMessage): Letter {
  return {
    timeMs: timestampMs,
    reason: headers[LETTER.reason] ?? '',
    topic: headers[LETTER.topic] ?? '',
    partition: Number(headers[LETTER.partition] ?? Number.NaN),
    offset: Number(headers[LETTER.offset] ?? Number.NaN),
    tenant: headers[HEADERS.tenant],
    key,
    bytes: Number(headers[LETTER.size] ?? value.length),
    value,
  }
}

/** The newest letters, oldest of them first; each origin once. */
export async function newestLetters(streams: Streams, limit: number): Promise<Letter[]> {
  const letters = new Map<string, Letter>()
  const partitions = await streams.partitions(TOPICS.deadLetters)
  for (let partition = 0; partition < partitions; partition++) {
    const { first, end } = await streams.range(TOPICS.deadLetters, partition)
    for await (const message of streams.read(TOPICS.deadLetters, partition, Math.max(first, end - limit))) {
      const origin = message.headers[HEADERS.origin] ?? `${partition}/${message.offset}`
      letters.set(origin, letterOf(message))
    }
  }
  return [...letters.values()].sort((a, b) => a.timeMs - b.timeMs).slice(-limit)
}
