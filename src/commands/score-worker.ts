import { parentPort } from 'node:worker_threads'
import { ForeshockError } from '../core/errors.ts'
import { type ScoreTask, scoreFile } from './score-file.ts'

/** A worker thread that scores the files it is handed, one at a time. */
parentPort?.on('message', async (task: ScoreTask) => {
  try {
    await scoreFile(task)
    parentPort?.postMessage({ ok: true })
  } catch (error) {
    const code = error instanceof ForeshockError ? error.code : 'FS_IO'
    const message = error instanceof Error ? error.message : String(error)
    parentPort?.postMessage({ ok: false, code, message })
  }
})
