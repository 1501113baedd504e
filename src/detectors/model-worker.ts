import { parentPort, workerData } from 'node:worker_threads'
import { ForeshockError } from '../core/errors.ts'
import { openModel } from './model-open.ts'
import { loadPackage } from './model-package.ts'
import type { ModelEngine } from './model-runtime.ts'
import type { Ask, FromThread, ThreadData } from './model-thread.ts'

/**
 * The thread of one opened model: reads and opens the package that it was started with, then answers one question after
 * the other. Numbers come and go in buffers that change hands; nothing is copied.
 */
if (!parentPort) throw new Error('model-worker is the start of a thread')
const port = parentPort
const say = (message: FromThread, buffer?: ArrayBuffer) => port.postMessage(message, buffer ? [buffer] : [])

async function open({ folder, options }: ThreadData): Promise<ModelEngine | undefined> {
  try {
    const loaded = await loadPackage(folder)
    const { engine, proof } = await openModel(loaded, options)
    say({ kind: 'open', card: loaded.card, proof })
    return engine
  } catch (error) {
    const code = error instanceof ForeshockError ? error.code : 'FS_MODEL_RUNTIME'
    say({ kind: 'refused', code, message: reasonOf(error) })
    port.close()
    return undefined
  }
}

async function answer(engine: ModelEngine, { input, rows }: Ask): Promise<void> {
  try {
    const output = await engine.run(input, rows)
    // Some runtimes lend a part of a larger buffer of their own.
    const { buffer, byteLength } = output
    const own = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? output : output.slice()
    say({ kind: 'answer', output: own as Float32Array<ArrayBuffer> }, own.buffer as ArrayBuffer)
  } catch (error) {
    say({ kind: 'failed', message: reasonOf(error) })
  }
}

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

const engine = await open(workerData as ThreadData)
if (engine) {
  // Questions are answered in turn, though a runtime lets go of the thread while it works on one.
  let last: Promise<void> = Promise.resolve()
  port.on('message', (message: Ask | 'close') => {
    last = last.then(async () => {
      if (message !== 'close') return answer(engine, message)
      await engine.close()
      port.close()
    })
  })
}
