import { readFileSync } from 'node:fs'
import { ForeshockError } from '../core/errors.ts'
import { invalidPackage } from './model-files.ts'
import { fitting, openModel, type Proof } from './model-open.ts'
import { loadPackage, type ModelPackage } from './model-package.ts'
import type { FromProbe, ProbeReport, ToProbe } from './model-probe.ts'
import type { RuntimeName } from './model-runtime.ts'

/**
 * The process in which a package is tried before it comes near the service: whatever it does, it does here. Started by
 * model-probe.ts, which ends it when it takes too long or too much.
 */

/**
 * What a runtime itself takes when its first model is opened, MB of resident memory, on top of a model's budget: the
 * native library is mapped, WebAssembly brings its own heap, TF.js its JavaScript. Measured with models of a few
 * weights (34, 81 and 67), with room for other machines.
 */
const RUNTIME_MEGABYTES: Readonly<Record<RuntimeName, number>> = {
  'onnxruntime-node': 48,
  'onnxruntime-web': 128,
  tfjs: 128,
}
const MEGABYTE = 1_048_576

async function prove(loaded: ModelPackage, { runtimes, isTimed }: ToProbe): Promise<ProbeReport> {
  const before = process.memoryUsage.rss()
  const [own] = fitting(loaded)
  const isOwnWanted = runtimes === undefined || runtimes.includes(own)
  let first: Proof | undefined
  try {
    first = await once(loaded, { runtimes: [own], isTimed: isTimed && isOwnWanted })
  } catch (error) {
    // Where it cannot be had, another must give the same numbers without its help.
    if (!(error instanceof ForeshockError) || error.code !== 'FS_MODEL_RUNTIME') throw error
  }
  const proof =
    first && isOwnWanted
      ? first
      : await once(loaded, { ...(runtimes && { runtimes }), isProven: first !== undefined, isTimed })
  const megabytes = Math.max(0, (peakResidentBytes() - before) / MEGABYTE - RUNTIME_MEGABYTES[proof.runtime])
  const { budget } = loaded.card
  if (megabytes > budget.megabytes)
    throw invalidPackage(
      loaded.folder,
      `card.json: budget.megabytes is ${budget.megabytes}, it takes ${megabytes.toFixed(0)} besides ${proof.runtime}`,
    )
  return { card: loaded.card, proof, isProven: first !== undefined, megabytes }
}

/**
 * The most that this process had resident. Not `resourceUsage().maxRSS`: Linux hands the peak of the parent, the service
 * with all its state, on to what it starts. Where there is no /proc, what is resident now.
 */
function peakResidentBytes(): number {
  try {
    const found = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))
    if (found) return Number(found[1]) * 1024
  } catch {}
  return process.memoryUsage.rss()
}

async function once(loaded: ModelPackage, options: Parameters<typeof openModel>[1]): Promise<Proof> {
  const { engine, proof } = await openModel(loaded, options)
  await engine.close()
  return proof
}

async function answer(order: ToProbe): Promise<FromProbe> {
  const { folder } = order
  try {
    return { ok: true, report: await prove(await loadPackage(folder), order) }
  } catch (error) {
    const code = error instanceof ForeshockError ? error.code : 'FS_MODEL_INVALID'
    const message = error instanceof Error ? error.message : String(error)
    return {
      ok: false,
      code,
      message: code === 'FS_MODEL_INVALID' && !message.includes(folder) ? `${folder}: ${message}` : message,
    }
  }
}

process.once('message', (order: ToProbe) => {
  void answer(order).then(found => process.send?.(found, () => process.disconnect()))
})
