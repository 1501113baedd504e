import { ForeshockError } from '../core/errors.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { EMPTY_PLACE, type RecordPlace } from '../store/stream-record.ts'
import type { SavedMerge, WindowMerge } from './merge.ts'

const ID = 'stage'
const VERSION = 1

interface SavedStage {
  readonly handledTo: number
  readonly merge: SavedMerge
  readonly record: RecordPlace
}

/** Where a disruption stage stands in the log of its partition and in the record. */
export class StageMemory {
  readonly #merge: WindowMerge
  /** Offset after the last message that had its effect; those before it that are read again only wait anew. */
  handledTo = 0
  /** Where the record ended at the checkpoint. */
  record: RecordPlace = EMPTY_PLACE
  /** Whether this was put back from a checkpoint. */
  isRestored = false

  constructor(merge: WindowMerge) {
    this.#merge = merge
  }

  snapshot(): Snapshot[] {
    const { handledTo, record } = this
    const meta: SavedStage = { handledTo, merge: this.#merge.snapshot(), record }
    return [{ id: ID, version: VERSION, keys: [], columns: {}, meta }]
  }

  restore(parts: readonly Snapshot[]): void {
    const from = parts.find(part => part.id === ID)
    if (from?.version !== VERSION)
      throw new ForeshockError('FS_SNAPSHOT_INVALID', `${ID} v${from?.version}: of another layout`)
    const { handledTo, merge, record } = from.meta as SavedStage
    this.#merge.restore(merge)
    this.handledTo = handledTo
    this.record = record
    this.isRestored = true
  }
}
