import { hostname } from 'node:os'
import { KafkaStreams } from '../bus/kafka-streams.ts'
import type { ClusterConfig } from '../config/cluster.ts'
import { kafkaOptions } from '../config/kafka.ts'
import { postgresUrl } from '../config/stores.ts'
import { systemClock } from '../core/clock.ts'
import { type Streams, TOPICS } from '../core/stream.ts'
import { indexRecord, type RebuildReport } from '../roles/index-rebuild.ts'
import { PostgresIndex, type PostgresIndexOptions } from '../store/postgres-index.ts'
import { beginRebuild } from '../store/postgres-rebuild.ts'
import type { IndexStatus } from './index.ts'

/** The index of a fleet: PostgreSQL, built from the topic `record`. */

export interface FleetIndex {
  readonly streams: Streams
  readonly options: PostgresIndexOptions
}

export function fleetIndex(cluster: ClusterConfig): FleetIndex {
  const { schema, retention } = cluster.postgres
  return {
    streams: new KafkaStreams(kafkaOptions(cluster, `foreshock-${cluster.member ?? hostname()}`)),
    options: { url: postgresUrl(cluster), schema, retentionMs: retention, clock: systemClock },
  }
}

/** Builds the index anew beside the one in use, which it replaces at the end. */
export async function rebuildFleet(
  { streams, options }: FleetIndex,
  fresh: boolean,
  onProgress: (done: number, all: number) => void,
  onSkipped: (where: string, reason: string) => void,
): Promise<RebuildReport & { readonly isResumed: boolean }> {
  const rebuild = await beginRebuild(options, fresh)
  let isDone = false
  try {
    const report = await indexRecord(streams, rebuild.index, onProgress, onSkipped)
    await rebuild.finish()
    isDone = true
    return { ...report, isResumed: rebuild.isResumed }
  } finally {
    // What was built stays, and the next call goes on with it.
    if (!isDone) await rebuild.close()
  }
}

export async function fleetStatus({ streams, options }: FleetIndex): Promise<IndexStatus> {
  const index = new PostgresIndex({ ...options, connections: 1 })
  try {
    const positions = await index.position()
    const count = await streams.partitions(TOPICS.record)
    const partitions = await Promise.all(
      Array.from({ length: count }, async (_, partition) => {
        const { first, end } = await streams.range(TOPICS.record, partition)
        const { seq, offset } = positions.get(partition) ?? { seq: 0, offset: first }
        return { partition, seq, behind: Math.max(0, end - Math.max(first, offset)) }
      }),
    )
    return { kind: 'postgres', where: `schema ${options.schema}`, partitions }
  } finally {
    await index.close()
  }
}
