import { settled } from '../core/cut.ts'
import { ForeshockError } from '../core/errors.ts'
import type { Checkpoint, CheckpointStore, CheckpointStores } from '../core/ports.ts'

interface Held {
  epoch: number
  checkpoint: Checkpoint | undefined
}

/** Checkpoints by name that live as long as the process; several members of one process share an instance. */
export class MemoryCheckpointStores implements CheckpointStores {
  readonly #held = new Map<string, Held>()

  async claim(name: string): Promise<CheckpointStore> {
    const held = this.#held.get(name) ?? { epoch: 0, checkpoint: undefined }
    this.#held.set(name, held)
    const epoch = ++held.epoch
    return {
      save: async ({ position, savedMs, parts, cut, ready }) => {
        const copy = structuredClone({ position, savedMs, parts: settled(parts, cut) })
        await ready?.()
        if (held.epoch !== epoch) throw new ForeshockError('FS_FENCED', `${name} was claimed by another`)
        held.checkpoint = copy
      },
      load: async () => structuredClone(held.checkpoint),
    }
  }

  async close(): Promise<void> {}
}
