import { parentPort } from 'node:worker_threads'
import { type ScoreTask, scoreFile } from './score-file.ts'
import { outcomeOf } from './task-pool.ts'

/** A worker thread that scores the files it is handed, one at a time. */
parentPort?.on('message', async (task: ScoreTask) => {
  parentPort?.postMessage(await outcomeOf(() => scoreFile(task)))
})
