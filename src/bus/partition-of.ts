import { murmur2 } from '../math/murmur2.ts'

const encoder = new TextEncoder()

/** The partition of a key, as Kafka's default partitioner gives it. */
export function partitionOf(key: string, partitions: number): number {
  return (murmur2(encoder.encode(key)) & 0x7fffffff) % partitions
}

/** Key of a message of samples: all series of an entity are in one partition. */
export const entityKey = (tenant: string, entity: string): string => `${tenant}/${entity}`
