// The headline run: the built service as a process of its own, a sender as another, and what came of it.
import { fork } from 'node:child_process'
import { lstatSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { median } from '../measure.ts'
import { cpuSecondsOf, residentOf } from '../process-stat.ts'
import { type Started, startService } from '../service.ts'
import { faultsOf, fleetOf } from './fleet.ts'
import type { SendPlan, Told } from './sender.ts'
import { type ToldDisruption, type Verdict, verdictOf } from './verdict.ts'

export interface HeadlineOptions {
  readonly series: number
  readonly stepS: number
  readonly minutes: number
  /** Share of pods replaced a minute. */
  readonly churn: number
  /** Of the values' noise. */
  readonly seed: number
  /** Whether services go wrong at all. */
  readonly faults: boolean
  readonly bodySeries: number
  readonly connections: number
  /** Wall seconds a step takes at least; 0: as fast as it goes. */
  readonly paceS: number
  /** Laid over the configuration that is written: `a.b=value`, values as JSON or words. */
  readonly set: readonly string[]
  /** Arguments of Node for the service. */
  readonly node: readonly string[]
  /** Where its data folder is made. */
  readonly folder: string | undefined
}

export interface StepLook {
  readonly step: number
  readonly wallS: number
  /** CPU of the service and of the sender, s. */
  readonly cpuS: number
  readonly senderCpuS: number
  readonly rss: number
  /** Bodies that were sent again. */
  readonly retried: number
}

export interface HeadlineResult {
  readonly fleet: { readonly series: number; readonly pods: number; readonly services: number }
  readonly options: HeadlineOptions
  readonly config: Record<string, unknown>
  readonly steps: readonly StepLook[]
  readonly samples: number
  readonly rssPeak: number
  readonly readyMs: number
  readonly bytesSent: number
  readonly diskPeak: number
  readonly diskEnd: number
  readonly retried: number
  readonly refused: number
  readonly firstRefusal: string
  readonly answerMs: readonly [number, number, number]
  /** Different series sent, and held at the end by what the service says. */
  readonly distinct: number
  readonly held: number
  readonly rejects: number
  readonly anomaliesOpen: number
  /** Bytes of state by part, and of V8's heap, as the service says at the end. */
  readonly stateBytes: Readonly<Record<string, number>>
  readonly verdict: Verdict
  /** All that the verdict is of, as the service tells it. */
  readonly disruptions: readonly ToldDisruption[]
  /** Why the run ended before its end; the rest is of until then. */
  readonly broken?: string
}

const PAGE = 100
const PAGES_MAX = 100
const ASK_MS = 300_000
const DISK_LOOK_MS = 5000

/** Configuration of the service: limits that hold the fleet, and windows as long as a scrape. */
export function configOf({ series, stepS, set }: HeadlineOptions): Record<string, unknown> {
  const config: Record<string, unknown> = {
    // Pods that were replaced are held until they expire.
    ingest: { maxSeries: Math.ceil(series * 1.25) + 1000 },
    // Event time is not bound to wall time here: only samples close windows.
    features: { step: `${stepS}s`, lateness: '5s', idle: '10h', retention: '5m' },
    checkpoint: { every: '5m' },
    log: { level: 'warn' },
  }
  for (const one of set) {
    const [path, text] = [one.slice(0, one.indexOf('=')), one.slice(one.indexOf('=') + 1)]
    const keys = path.split('.')
    let at = config
    for (const key of keys.slice(0, -1)) {
      at[key] = { ...((at[key] ?? {}) as object) }
      at = at[key] as Record<string, unknown>
    }
    at[keys[keys.length - 1]] = wordOrJson(text)
  }
  return config
}

function wordOrJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function folderBytes(folder: string): number {
  try {
    return readdirSync(folder, { recursive: true }).reduce<number>((sum, name) => {
      const found = lstatSync(join(folder, String(name)), { throwIfNoEntry: false })
      return sum + (found?.isFile() ? found.size : 0)
    }, 0)
  } catch {
    // A folder that is changed while it is read is looked at again soon.
    return 0
  }
}

async function ask<T>(url: string, path: string): Promise<T> {
  const answer = await fetch(url + path, { signal: AbortSignal.timeout(ASK_MS) })
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${(await answer.text()).slice(0, 200)}`)
  return (await answer.json()) as T
}

async function disruptions(url: string): Promise<ToldDisruption[]> {
  const all: ToldDisruption[] = []
  let cursor: string | null = null
  for (let page = 0; page < PAGES_MAX; page++) {
    const more: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const got: { items: ToldDisruption[]; next: string | null } = await ask(
      url,
      `/api/disruptions?limit=${PAGE}${more}`,
    )
    all.push(...got.items)
    cursor = got.next
    if (cursor === null) break
  }
  return all
}

/** Runs it; `onStep` is told of each step as it ends. */
export async function headline(
  options: HeadlineOptions,
  onStep: (look: StepLook) => void,
): Promise<HeadlineResult> {
  const fleet = fleetOf(options.series)
  const steps = Math.round((options.minutes * 60) / options.stepS)
  const stepMs = options.stepS * 1000
  const startMs = Math.floor(Date.now() / stepMs) * stepMs - steps * stepMs
  const config = configOf(options)
  const { folder, node } = options
  const service = await startService(config, { node, ...(folder === undefined ? {} : { folder }) })
  const plan: SendPlan = {
    url: service.url,
    series: options.series,
    steps,
    stepMs,
    startMs,
    bodySeries: options.bodySeries,
    connections: options.connections,
    churn: options.churn,
    seed: options.seed,
    faults: options.faults,
    paceMs: options.paceS * 1000,
  }
  const seen = {
    looks: [] as StepLook[],
    samples: 0,
    bytes: 0,
    retried: 0,
    refused: 0,
    distinct: fleet.series,
  }
  const last = { answerMs: [0, 0, 0] as [number, number, number], firstRefusal: '' }
  const watch = watching(service)
  let broken: string | undefined
  try {
    let cpuBefore = cpuSecondsOf(service.pid)
    await send(plan, service, told => {
      if (told.kind === 'built') return
      if (told.kind === 'done') {
        last.answerMs = [...told.answerMs]
        last.firstRefusal = told.firstRefusal
        return
      }
      const cpu = cpuSecondsOf(service.pid)
      const look = {
        step: told.step,
        wallS: told.wallMs / 1000,
        cpuS: cpu - cpuBefore,
        senderCpuS: told.cpuMs / 1000,
        rss: residentOf(service.pid).now,
        retried: told.retried,
      }
      cpuBefore = cpu
      seen.looks.push(look)
      seen.samples += told.samples
      seen.bytes += told.bytes
      seen.retried += told.retried
      seen.refused += told.refused
      seen.distinct += told.replaced
      onStep(look)
    })
  } catch (error) {
    broken = (error as Error).message
  }
  const found = await findings(service).catch((error: Error) => {
    broken ??= error.message
    return { told: [], held: 0, anomaliesOpen: 0, rejects: 0, stateBytes: {} } satisfies Findings
  })
  const watched = watch()
  await service.stop()
  return {
    fleet,
    options,
    config,
    steps: seen.looks,
    samples: seen.samples,
    ...watched,
    readyMs: service.readyMs,
    bytesSent: seen.bytes,
    retried: seen.retried,
    refused: seen.refused,
    ...last,
    distinct: seen.distinct,
    held: found.held,
    rejects: found.rejects,
    anomaliesOpen: found.anomaliesOpen,
    stateBytes: found.stateBytes,
    verdict: verdictOf(options.faults ? faultsOf(fleet, steps) : [], found.told, { startMs, stepMs }),
    disruptions: found.told,
    ...(broken === undefined ? {} : { broken }),
  }
}

/** Runs the sender to its end; rejects when it or the service ends early. */
async function send(plan: SendPlan, service: Started, heard: (told: Told) => void): Promise<void> {
  const child = fork(resolve(import.meta.dirname, 'sender.ts'), [JSON.stringify(plan)], {
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  try {
    await new Promise<void>((done, failed) => {
      child.on('message', message => {
        // A service that has just ended is no reason to end without a report.
        try {
          heard(message as Told)
        } catch (error) {
          failed(error as Error)
        }
      })
      child.once('exit', code => (code === 0 ? done() : failed(new Error(`the sender ended with ${code}`))))
      service.ended.then(code => failed(new Error(`the service ended with ${code}`)))
    })
  } finally {
    if (child.exitCode === null) child.kill('SIGKILL')
  }
}

/** Looks at memory and disk until it is called. */
function watching(service: Started): () => { rssPeak: number; diskPeak: number; diskEnd: number } {
  const seen = { rssPeak: 0, diskPeak: 0, diskEnd: 0 }
  const look = () => {
    seen.diskEnd = folderBytes(service.dataFolder)
    seen.diskPeak = Math.max(seen.diskPeak, seen.diskEnd)
    try {
      seen.rssPeak = Math.max(seen.rssPeak, residentOf(service.pid).peak)
    } catch {
      // It has ended: what was seen until now stands.
    }
  }
  const timer = setInterval(look, DISK_LOOK_MS)
  return () => {
    clearInterval(timer)
    look()
    return seen
  }
}

interface Findings {
  readonly told: readonly ToldDisruption[]
  readonly held: number
  readonly anomaliesOpen: number
  readonly rejects: number
  readonly stateBytes: Readonly<Record<string, number>>
}

async function findings({ url }: Started): Promise<Findings> {
  // The record is written behind the answers, and gauges are read once a second.
  await pause(2000)
  const told = await disruptions(url)
  const { series, anomaliesOpen, rejected } = await ask<{
    series: number
    anomaliesOpen: number
    rejected: number
  }>(url, '/api/status')
  const metrics = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(ASK_MS) })
  return {
    told,
    held: series,
    anomaliesOpen,
    rejects: rejected,
    stateBytes: stateBytesOf(await metrics.text()),
  }
}

/** What the service says of its memory, by part. */
export function stateBytesOf(metrics: string): Record<string, number> {
  const parts = [...metrics.matchAll(/^foreshock_state_bytes\{part="(\w+)"\} (\S+)$/gm)]
  const heap = /^nodejs_heap_size_used_bytes(?:\{[^}]*\})? (\S+)$/m.exec(metrics)
  return {
    ...Object.fromEntries(parts.map(([, part, bytes]) => [part, Number(bytes)])),
    ...(heap ? { 'V8 heap': Number(heap[1]) } : {}),
  }
}

/** CPU ns of the service a sample: all steps, and the median of the second half, when nothing is new but churn. */
export function cpuNsOf({ steps, fleet }: HeadlineResult): { all: number; steady: number } {
  const each = steps.map(({ cpuS }) => (1e9 * cpuS) / fleet.series)
  if (each.length === 0) return { all: Number.NaN, steady: Number.NaN }
  const late = each.slice(Math.floor(each.length / 2))
  return { all: each.reduce((sum, ns) => sum + ns, 0) / each.length, steady: median(late) }
}
