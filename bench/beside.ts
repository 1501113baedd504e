import { type Assembled, assemble, assembleSharded } from '../src/assembly.ts'
import type { Config } from '../src/config/schema.ts'
import type { Rejects } from '../src/core/rejects.ts'

/** With so many threads that score beside; whatever is wrong with one of them ends the measure. */
export function assembleBeside(workers: number, config: Config, rejects: Rejects): Assembled {
  if (workers === 0) return assemble(config, rejects)
  const onLost = (error: Error) => {
    throw error
  }
  return assembleSharded(config, rejects, { workers, onWarning: text => onLost(new Error(text)), onLost })
}
