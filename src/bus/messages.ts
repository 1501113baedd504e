import { ForeshockError } from '../core/errors.ts'
import type { StreamMessage } from '../core/stream.ts'
import { partitionOf } from './partition-of.ts'

/** What every adapter says when there is no topic of the name. */
export function missingTopic(topic: string): ForeshockError {
  return new ForeshockError(
    'FS_BUS_TOPIC',
    `topic ${topic} does not exist: \`foreshock topics create\` makes what is missing`,
  )
}

/** The partition a message goes to: the one it names, or that of its key. */
export function partitionFor(topic: string, message: StreamMessage, partitions: number): number {
  const { key, partition } = message
  if (partition === undefined) {
    if (key !== null) return partitionOf(key, partitions)
    throw new ForeshockError('FS_ASSERTION', `a message to ${topic} has neither a key nor a partition`)
  }
  if (Number.isInteger(partition) && partition >= 0 && partition < partitions) return partition
  throw new ForeshockError(
    'FS_BUS_TOPIC',
    `topic ${topic} has ${partitions} partitions, and no ${partition}: it was made for another fleet; \`foreshock topics check\` says what to do`,
  )
}

/** Programmer mistakes that engines would take in different ways. */
export function validated(message: StreamMessage): StreamMessage {
  if (!Number.isFinite(message.timestampMs) || message.timestampMs < 0) {
    throw new ForeshockError('FS_ASSERTION', `a message has no time: ${message.timestampMs}`)
  }
  return message
}
