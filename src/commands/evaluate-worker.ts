import { parentPort } from 'node:worker_threads'
import { evaluateSeries } from './evaluate-series.ts'
import type { EvaluateTask } from './evaluate-task.ts'
import { outcomeOf } from './task-pool.ts'

/** A worker thread that evaluates the series it is handed, one at a time. */
parentPort?.on('message', async (task: EvaluateTask) => {
  parentPort?.postMessage(await outcomeOf(() => evaluateSeries(task)))
})
