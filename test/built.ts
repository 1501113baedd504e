// Threads and processes of their own (workers that score, models, their probes) begin with the build where it is of the sources as
// they are, which `npm test` sees to: from source each loads a compiler and compiles all of its modules first, a second of CPU.
import { readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '..')
const BUILT = join(ROOT, 'dist/detectors/model-module.js')

/** What stands in for the module that starts them: the built one, which starts what is built beside it. */
export function builtThreads(): { find: RegExp; replacement: string }[] {
  return isNew() ? [{ find: /^.*\/model-module\.ts$/, replacement: BUILT }] : []
}

/** Whether no source is newer than the build. */
function isNew(): boolean {
  const built = statSync(BUILT, { throwIfNoEntry: false })?.mtimeMs ?? 0
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  return sources.every(name => statSync(join(ROOT, 'src', name)).mtimeMs <= built)
}
