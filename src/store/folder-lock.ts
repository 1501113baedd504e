import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ForeshockError } from '../core/errors.ts'

const LOCK_FILE = 'lock'

/** True when a process of this number runs, whoever owns it. */
function runs(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/**
 * Two services in one data folder would each overwrite what the other saved, so the second one is refused with
 * FS_FOLDER_IN_USE. The lock holds the process number; one left behind by a kill is taken over.
 */
export async function lockFolder(folder: string): Promise<{ release(): Promise<void> }> {
  const path = join(folder, LOCK_FILE)
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      await writeFile(path, String(process.pid), { flag: 'wx' })
      return { release: () => rm(path, { force: true }) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw new ForeshockError('FS_IO', `${path}: ${(error as Error).message}`)
      }
    }
    const holder = Number(await readFile(path, 'utf8').catch(() => ''))
    // A lock with our own number was left by a former process that had it, as in a container.
    if (Number.isInteger(holder) && holder > 0 && holder !== process.pid && runs(holder)) {
      throw new ForeshockError('FS_FOLDER_IN_USE', `${folder} is used by process ${holder}`)
    }
    await rm(path, { force: true })
  }
  throw new ForeshockError('FS_FOLDER_IN_USE', `${folder} is contended by another process that is starting`)
}
