import { murmur2 } from '../math/murmur2.ts'

export { entityKey } from '../core/entity-key.ts'

const encoder = new TextEncoder()

/** The partition of a key, as Kafka's default partitioner gives it. */
export function partitionOf(key: string, partitions: number): number {
  return (murmur2(encoder.encode(key)) & 0x7fffffff) % partitions
}
