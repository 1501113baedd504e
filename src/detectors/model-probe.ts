import { readFile } from 'node:fs/promises'
import { type ErrorCode, ForeshockError } from '../core/errors.ts'
import type { ModelCard } from './model-card.ts'
import { invalidPackage } from './model-files.ts'
import { startProcess } from './model-module.ts'
import type { Proof } from './model-open.ts'
import type { RuntimeName } from './model-runtime.ts'

/** What trying a package showed. */
export interface ProbeReport {
  readonly card: ModelCard
  /** In the runtime that it will run in here. */
  readonly proof: Proof
  /** Whether its own runtime is here and gave the golden outputs. */
  readonly isProven: boolean
  /** Resident memory that it took besides what its runtime takes. */
  readonly megabytes: number
}

export interface ProbeLimits {
  /** For all of it: start, reading, opening, golden outputs, timing. */
  readonly wallMs: number
  /** Resident memory of the whole process. */
  readonly megabytes: number
}

export const PROBE_LIMITS: ProbeLimits = { wallMs: 60_000, megabytes: 1024 }

export interface ToProbe {
  readonly folder: string
  /** Whether it is held to the time of its budget. */
  readonly isTimed: boolean
  readonly runtimes?: readonly RuntimeName[]
}
export type FromProbe =
  | { readonly ok: true; readonly report: ProbeReport }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string }

/** How often its memory is looked at, ms: a process fills tens of megabytes meanwhile, not hundreds. */
const WATCH_MS = 20

/**
 * Tries a package in a process of its own, which is ended when it takes too long or too much memory: nothing that a model
 * does there reaches the service. Throws FS_MODEL_INVALID with the file and the reason, FS_MODEL_RUNTIME when no runtime
 * here can run it. Memory is watched where the system has /proc; elsewhere the time limit alone stands.
 */
export function probe(order: ToProbe, limits: ProbeLimits = PROBE_LIMITS): Promise<ProbeReport> {
  const child = startProcess('model-probe-child')
  return new Promise((resolve, reject) => {
    let refusal: ForeshockError | undefined
    let found: FromProbe | undefined
    const stop = (reason: string) => {
      refusal ??= invalidPackage(order.folder, reason)
      child.kill('SIGKILL')
    }
    const timer = setTimeout(
      () => stop(`it is not ready after ${limits.wallMs} ms and was stopped`),
      limits.wallMs,
    )
    const watch = setInterval(async () => {
      const megabytes = await residentMegabytes(child.pid)
      if (megabytes > limits.megabytes)
        stop(`it took ${megabytes.toFixed(0)} MB, more than ${limits.megabytes}, and was stopped`)
    }, WATCH_MS)
    child.once('message', message => {
      found = message as FromProbe
    })
    child.once('error', error => {
      refusal ??= new ForeshockError('FS_MODEL_RUNTIME', `no process to try models in: ${error.message}`)
    })
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      clearInterval(watch)
      if (refusal) reject(refusal)
      else if (found?.ok) resolve(found.report)
      else if (found) reject(new ForeshockError(found.code, found.message))
      else reject(invalidPackage(order.folder, `the process that tried it ended with ${signal ?? code}`))
    })
    child.send(order)
  })
}

/** 0 when it is not known. */
async function residentMegabytes(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const found = /^VmRSS:\s+(\d+) kB/m.exec(status)
  return found ? Number(found[1]) / 1024 : 0
}
