import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type ErrorCode, ForeshockError } from '../core/errors.ts'

/** Most worker threads; more would only wait for memory. */
const WORKERS_MAX = 16

/** What became of a task. */
export type Outcome<R> = { ok: true; result: R } | { ok: false; code: ErrorCode; message: string }

/**
 * Runs each task wholly in one worker thread, so the number of workers changes nothing in any result. `worker` is
 * the worker's module beside this one, without its ending; `inline` does the same in this thread, for a single task
 * and for source run without a build. `done` is called after each task. Outcomes come in the order of the tasks.
 */
export async function runTasks<T, R>(
  tasks: readonly T[],
  worker: string,
  inline: (task: T) => Promise<R>,
  done: () => void,
): Promise<Outcome<R>[]> {
  const isBuilt = !import.meta.url.endsWith('.ts')
  const count = Math.min(availableParallelism(), WORKERS_MAX, tasks.length)
  const outcomes: Outcome<R>[] = new Array(tasks.length)
  const isThreaded = isBuilt && count > 1
  let next = 0
  const lanes = Array.from({ length: isThreaded ? count : 1 }, async () => {
    const thread = isThreaded ? new Worker(new URL(`./${worker}.js`, import.meta.url)) : undefined
    try {
      while (next < tasks.length) {
        const index = next++
        const task = tasks[index]
        outcomes[index] = thread ? await askThread<T, R>(thread, task) : await outcomeOf(() => inline(task))
        done()
      }
    } finally {
      await thread?.terminate()
    }
  })
  await Promise.all(lanes)
  return outcomes
}

/** Turns a failure into a value that can be posted. */
export async function outcomeOf<R>(run: () => Promise<R>): Promise<Outcome<R>> {
  try {
    return { ok: true, result: await run() }
  } catch (error) {
    const code = error instanceof ForeshockError ? error.code : 'FS_IO'
    return { ok: false, code, message: error instanceof Error ? error.message : String(error) }
  }
}

function askThread<T, R>(thread: Worker, task: T): Promise<Outcome<R>> {
  return new Promise((resolve, reject) => {
    thread.once('error', reject)
    thread.once('message', (outcome: Outcome<R>) => {
      thread.off('error', reject)
      resolve(outcome)
    })
    thread.postMessage(task)
  })
}

/** All results, or the first failure in the order of the tasks. */
export function resultsOf<R>(outcomes: readonly Outcome<R>[]): R[] {
  return outcomes.map(outcome => {
    if (outcome.ok) return outcome.result
    throw new ForeshockError(outcome.code, outcome.message)
  })
}
