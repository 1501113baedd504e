import type { Checkpoint, CheckpointStore } from '../core/ports.ts'

/** The checkpoint of tests, replays and the lab: it lives as long as the process. */
export class MemoryCheckpoints implements CheckpointStore {
  #held: Checkpoint | undefined

  async save(checkpoint: Checkpoint): Promise<void> {
    this.#held = structuredClone(checkpoint)
  }

  async load(): Promise<Checkpoint | undefined> {
    return structuredClone(this.#held)
  }
}
