import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ioError, syncDirectory, writeFully } from '../core/durable-file.ts'
import type { ExperimentStore, SavedExperiment } from '../core/experiment.ts'

export interface FileExperimentsOptions {
  readonly dir: string
  /** Told of a file that cannot be read and is passed over. */
  readonly onWarning?: (text: string) => void
}

/** Experiments in files `<id>.json`: written beside, synced, renamed. */
export class FileExperiments implements ExperimentStore {
  readonly #dir: string
  readonly #onWarning: (text: string) => void

  constructor(options: FileExperimentsOptions) {
    this.#dir = options.dir
    this.#onWarning = options.onWarning ?? (() => {})
  }

  /** Throws FS_IO and leaves what was kept as it was. */
  async save(experiment: SavedExperiment): Promise<void> {
    const path = join(this.#dir, `${experiment.report.id}.json`)
    try {
      await mkdir(this.#dir, { recursive: true })
      const handle = await open(`${path}.tmp`, 'w')
      try {
        await writeFully(handle, Buffer.from(JSON.stringify(experiment)), 0)
        await handle.sync()
      } finally {
        await handle.close()
      }
      await rename(`${path}.tmp`, path)
      await syncDirectory(this.#dir)
    } catch (cause) {
      throw ioError(path, cause)
    }
  }

  async remove(id: string): Promise<void> {
    const path = join(this.#dir, `${id}.json`)
    try {
      await rm(path, { force: true })
      await syncDirectory(this.#dir)
    } catch (cause) {
      throw ioError(path, cause)
    }
  }

  async load(): Promise<SavedExperiment[]> {
    const names = await readdir(this.#dir).catch(cause => {
      if (cause.code === 'ENOENT') return []
      throw ioError(this.#dir, cause)
    })
    const found: SavedExperiment[] = []
    for (const name of names.filter(one => one.endsWith('.json')).sort()) {
      try {
        const one = JSON.parse(await readFile(join(this.#dir, name), 'utf8')) as SavedExperiment
        if (one.version !== 1) throw new Error(`it is of layout ${one.version}, known is 1`)
        found.push(one)
      } catch (cause) {
        const text = cause instanceof Error ? cause.message : String(cause)
        this.#onWarning(`experiment ${name} cannot be read and is passed over: ${text}`)
      }
    }
    return found
  }
}
