import { once } from 'node:events'
import { parentPort, workerData } from 'node:worker_threads'
import { ForeshockError } from '../core/errors.ts'
import { answerAll, type ChannelMemory } from './model-channel.ts'
import { openModel } from './model-open.ts'
import { loadPackage } from './model-package.ts'
import type { ModelEngine } from './model-runtime.ts'
import type { FromThread, ThreadData } from './model-thread.ts'

/**
 * The thread of one opened model: reads and opens the package that it was started with, is given the memory that it
 * shares with its session, and answers one question after the other.
 */
if (!parentPort) throw new Error('model-worker is the start of a thread')
const port = parentPort
const say = (message: FromThread) => port.postMessage(message)

async function open({ folder, options }: ThreadData): Promise<ModelEngine | undefined> {
  try {
    const loaded = await loadPackage(folder)
    const { engine, proof } = await openModel(loaded, options)
    say({ kind: 'open', card: loaded.card, proof })
    return engine
  } catch (error) {
    const code = error instanceof ForeshockError ? error.code : 'FS_MODEL_RUNTIME'
    say({ kind: 'refused', code, message: error instanceof Error ? error.message : String(error) })
    return undefined
  }
}

const engine = await open(workerData as ThreadData)
if (engine) {
  const [memory] = (await once(port, 'message')) as [ChannelMemory]
  await answerAll(memory, (input, rows) => engine.run(input, rows))
  await engine.close()
}
port.close()
