import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type ErrorCode, ForeshockError } from '../core/errors.ts'
import { type ScoreTask, scoreFile } from './score-file.ts'

/** Most worker threads; more would only wait for memory. */
const WORKERS_MAX = 16

/**
 * Runs tasks over worker threads, each file wholly in one of them, so the number of workers changes nothing in any
 * output. A single task, or source run without a build, stays in this thread. `done` is called after each file.
 * All files are tried; the first failure in the order of the tasks is thrown at the end.
 */
export async function runScoreTasks(tasks: readonly ScoreTask[], done: () => void): Promise<void> {
  const isBuilt = !import.meta.url.endsWith('.ts')
  const count = Math.min(availableParallelism(), WORKERS_MAX, tasks.length)
  const failures: (ForeshockError | undefined)[] = new Array(tasks.length)
  let next = 0
  const lanes = Array.from({ length: Math.max(1, isBuilt ? count : 1) }, async () => {
    const run = count > 1 && isBuilt ? workerRunner() : inlineRunner()
    try {
      while (next < tasks.length) {
        const index = next++
        failures[index] = await run.score(tasks[index])
        done()
      }
    } finally {
      await run.close()
    }
  })
  await Promise.all(lanes)
  const failure = failures.find(error => error !== undefined)
  if (failure) throw failure
}

interface Runner {
  readonly score: (task: ScoreTask) => Promise<ForeshockError | undefined>
  readonly close: () => Promise<unknown>
}

function inlineRunner(): Runner {
  return {
    score: async task => {
      try {
        await scoreFile(task)
        return undefined
      } catch (error) {
        if (error instanceof ForeshockError) return error
        throw error
      }
    },
    close: async () => {},
  }
}

type Reply = { ok: true } | { ok: false; code: ErrorCode; message: string }

function workerRunner(): Runner {
  const worker = new Worker(new URL('./score-worker.js', import.meta.url))
  return {
    score: task =>
      new Promise((resolve, reject) => {
        worker.once('error', reject)
        worker.once('message', (reply: Reply) => {
          worker.off('error', reject)
          resolve(reply.ok ? undefined : new ForeshockError(reply.code, reply.message))
        })
        worker.postMessage(task)
      }),
    close: () => worker.terminate(),
  }
}
