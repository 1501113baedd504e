import { HEADERS, type StoredMessage, type StreamMessage, type TopicName } from '../core/stream.ts'
import { originText } from './origins.ts'

const REASON_LENGTH_MAX = 1000

/** A message that nobody can read, as it came, with where it stood and what is wrong with it. */
export function deadLetter(message: StoredMessage, topic: TopicName, reason: string): StreamMessage {
  const { partition, offset, key, value, headers, timestampMs } = message
  const origin = originText({ topic, partition, offset, n: 0 })
  const told = {
    ...headers,
    [HEADERS.origin]: origin,
    'foreshock-reason': reason.slice(0, REASON_LENGTH_MAX),
    'foreshock-topic': topic,
    'foreshock-partition': String(partition),
    'foreshock-offset': String(offset),
  }
  return { key: key ?? origin, value, headers: told, timestampMs }
}
