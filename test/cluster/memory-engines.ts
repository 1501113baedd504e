// The engines of a fleet in one process: what several processes would share, and what each of them has of its own.
import { MemoryLog } from '../../src/bus/memory-log.ts'
import { MemoryStreams } from '../../src/bus/memory-streams.ts'
import { TOPICS } from '../../src/core/stream.ts'
import type { Engines } from '../../src/engines.ts'
import { MemoryBoard } from '../../src/store/memory-board.ts'
import { MemoryChannel } from '../../src/store/memory-channel.ts'
import { MemoryCheckpointStores } from '../../src/store/memory-checkpoint-stores.ts'
import { MemoryDirectory } from '../../src/store/memory-directory.ts'
import { MemoryIndex } from '../../src/store/memory-index.ts'
import { MemoryPackages } from '../../src/store/memory-packages.ts'
import { MemoryQuota } from '../../src/store/memory-quota.ts'
import { MemoryRates } from '../../src/store/memory-rates.ts'
import { MemorySilences } from '../../src/store/memory-silences.ts'

export interface SharedMemory {
  readonly log: MemoryLog
  readonly errors: unknown[]
  /** The engines of one more process. */
  engines(): Engines
}

export function sharedMemory(samples: number, anomalies: number): SharedMemory {
  const log = new MemoryLog({
    topics: {
      [TOPICS.samples]: samples,
      [TOPICS.anomalies]: anomalies,
      [TOPICS.disruptions]: anomalies,
      [TOPICS.changes]: anomalies,
      [TOPICS.control]: 1,
      [TOPICS.deadLetters]: 1,
      [TOPICS.record]: anomalies,
    },
  })
  const errors: unknown[] = []
  const shared = {
    checkpoints: new MemoryCheckpointStores(),
    board: new MemoryBoard(),
    channel: new MemoryChannel(),
    directory: new MemoryDirectory(),
    quotas: new MemoryQuota(),
    rates: new MemoryRates(),
    silences: new MemorySilences(),
    index: new MemoryIndex(),
    packages: new MemoryPackages(),
  }
  return {
    log,
    errors,
    engines: () => {
      const streams = new MemoryStreams(log, { failed: error => errors.push(error) })
      return {
        ...shared,
        streams,
        probes: { Kafka: () => streams.check() },
        checkTopics: async () => {
          for (const topic of Object.values(TOPICS)) await streams.partitions(topic)
        },
        close: () => streams.close(),
      }
    },
  }
}

/** What is configured of a process of a fleet whose engines are in memory. */
export const inMemory = (roles: readonly string[], member: string, samples: number, anomalies: number) => ({
  roles,
  member,
  kafka: { brokers: ['127.0.0.1:1'] },
  redis: { url: 'redis://127.0.0.1:1' },
  postgres: { url: 'postgres://127.0.0.1:1/none' },
  partitions: { samples, anomalies },
  patience: '2s',
})
