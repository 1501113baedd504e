import type {
  Board,
  CheckpointStores,
  Directory,
  QuotaKeeper,
  RecordIndex,
  SharedSilences,
} from './core/ports.ts'
import type { Streams } from './core/stream.ts'
import type { Probe } from './roles/health.ts'

/** What the roles of a process stand on: Kafka, Redis and PostgreSQL, or all of it in memory. */
export interface Engines {
  readonly streams: Streams
  readonly checkpoints: CheckpointStores
  readonly board: Board
  readonly directory: Directory
  readonly quotas: QuotaKeeper
  readonly silences: SharedSilences
  readonly index: RecordIndex
  /** Whether they answer, by name. */
  readonly probes: Readonly<Record<string, Probe>>
  /** Rejects with FS_BUS_TOPIC, saying what to do, when the topics are not as they are configured. */
  checkTopics(): Promise<void>
  close(): Promise<void>
}
