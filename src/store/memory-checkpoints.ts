import { settled } from '../core/cut.ts'
import type { Checkpoint, CheckpointCut, CheckpointStore } from '../core/ports.ts'

/** The checkpoint of tests, replays and the lab: it lives as long as the process. */
export class MemoryCheckpoints implements CheckpointStore {
  #held: Checkpoint | undefined

  async save({ position, savedMs, parts, cut, ready }: CheckpointCut): Promise<void> {
    const copy = structuredClone({ position, savedMs, parts: settled(parts, cut) })
    await ready?.()
    this.#held = copy
  }

  async load(): Promise<Checkpoint | undefined> {
    return structuredClone(this.#held)
  }
}
