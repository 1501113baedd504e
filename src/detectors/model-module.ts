import { type ChildProcess, fork } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Worker, type WorkerOptions } from 'node:worker_threads'

/** From source, without a build, modules need the loader that the tests and the bench are run with. */
const IS_SOURCE = import.meta.url.endsWith('.ts')

const moduleOf = (name: string | URL) =>
  name instanceof URL ? name : new URL(`./${name}.${IS_SOURCE ? 'ts' : 'js'}`, import.meta.url)

/** A thread that starts with a module: where it is, or the name of one beside this one, without its ending. */
export function startThread(name: string | URL, options: WorkerOptions): Worker {
  if (!IS_SOURCE) return new Worker(moduleOf(name), { ...options, execArgv: [] })
  // Node 20 does not pass loaders on to threads: the thread begins by registering its own.
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx/package.json'))
  const loader = new URL('dist/esm/api/index.mjs', tsx)
  const [from, to] = [JSON.stringify(loader.href), JSON.stringify(moduleOf(name).href)]
  const start = `import(${from}).then(loader => { loader.register(); return import(${to}) })`
  return new Worker(start, { ...options, execArgv: [], eval: true })
}

/**
 * A process that starts with that module and says nothing but messages. Its environment is empty: keys and passwords of
 * the service are no business of what it is started for.
 */
export function startProcess(name: string): ChildProcess {
  return fork(fileURLToPath(moduleOf(name)), [], {
    execArgv: IS_SOURCE ? ['--import', 'tsx'] : [],
    env: {},
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
}
