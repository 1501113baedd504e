// The sender of the headline run, a process of its own: makes the bodies once, changes their values, times and replaced
// pods in place, and posts them as fast as they are answered, a step after the other. Told what to send in its argument;
// tells its parent about every step.
import { Agent } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { faultsOf, fleetOf, METRICS, serviceOf } from './fleet.ts'
import { post } from './post.ts'
import {
  FACTORS,
  patchPod,
  patchTime,
  replacePod,
  seedNoise,
  type Template,
  templateOf,
} from './templates.ts'

export interface SendPlan {
  readonly url: string
  readonly series: number
  readonly steps: number
  readonly stepMs: number
  /** Event time of the first step, Unix ms. */
  readonly startMs: number
  readonly bodySeries: number
  readonly connections: number
  /** Share of pods replaced a minute of event time. */
  readonly churn: number
  /** Of the values' noise. */
  readonly seed: number
  /** Whether services go wrong at all. */
  readonly faults: boolean
  /** Steps are not sent earlier than this after each other, wall ms; 0: as fast as they are answered. */
  readonly paceMs: number
}

export type Told =
  | { readonly kind: 'built'; readonly seconds: number; readonly bytes: number; readonly rss: number }
  | {
      readonly kind: 'step'
      readonly step: number
      readonly samples: number
      readonly wallMs: number
      /** CPU of the sender, ms. */
      readonly cpuMs: number
      readonly bytes: number
      readonly retried: number
      readonly refused: number
      /** Series of pods that were replaced before this step. */
      readonly replaced: number
    }
  | {
      readonly kind: 'done'
      /** Time from a request to its answer, ms: median, 99th percentile, largest. */
      readonly answerMs: readonly [number, number, number]
      readonly firstRefusal: string
    }

/** A body is tried for so long before the run is given up, ms. */
const GIVE_UP_MS = 600_000
const AGAIN_MS = 100
/** Scrapes of a step are spread over so much of it, as Prometheus spreads targets. */
const SPREAD = 0.85

const plan = JSON.parse(process.argv[2]) as SendPlan
const tell = (told: Told) => process.send?.(told)
const fleet = fleetOf(plan.series)
const podsOfBody = Math.max(1, Math.round(plan.bodySeries / METRICS.length))
const agent = new Agent({ keepAlive: true, maxSockets: plan.connections })
const target = new URL('/api/v1/write', plan.url)
seedNoise(plan.seed)
const faultOf = new Map((plan.faults ? faultsOf(fleet, plan.steps) : []).map(fault => [fault.service, fault]))
const generations = new Uint16Array(fleet.pods)
const answers: number[] = []
let retried = 0
let refused = 0
let firstRefusal = ''

/** Until it is taken: senders repeat what was not, and give up what is wrong. */
async function deliver(body: Uint8Array): Promise<void> {
  for (const end = performance.now() + GIVE_UP_MS; performance.now() < end; await pause(AGAIN_MS)) {
    const from = performance.now()
    const { status, text } = await post(target, agent, body).catch((error: Error) => ({
      status: 0,
      text: error.message,
    }))
    answers.push(performance.now() - from)
    if (status >= 200 && status < 300) return
    if (status >= 400 && status < 500 && status !== 429) {
      refused++
      if (firstRefusal === '') firstRefusal = `${status} ${text}`
      return
    }
    retried++
    if (firstRefusal === '') firstRefusal = `${status} ${text}`
  }
  throw new Error(`not taken for ${GIVE_UP_MS / 1000} s: ${firstRefusal}`)
}

/** Pods of one body from the `first` on. A service that is to fall silent has bodies of its own, which can be left out. */
function podsTogether(first: number): number {
  const isSilent = (pod: number) => faultOf.get(serviceOf(pod, fleet))?.kind === 'silent'
  const most = Math.min(podsOfBody, fleet.pods - first)
  let pods = 1
  while (pods < most && isSilent(first + pods) === isSilent(first)) pods++
  return pods
}

/** Whether nothing is heard of a body's pods in a step. */
function isSilent({ firstPod }: Template, t: number): boolean {
  const fault = faultOf.get(serviceOf(firstPod, fleet))
  return fault?.kind === 'silent' && t >= fault.from && t < fault.to
}

function factorsOf(pod: number, t: number): Float64Array {
  const fault = faultOf.get(serviceOf(pod, fleet))
  return fault && t >= fault.from && t < fault.to ? FACTORS[fault.kind] : FACTORS.well
}

function patch(template: Template, index: number, bodies: number, t: number): void {
  const offsetMs = Math.floor((SPREAD * plan.stepMs * index) / bodies)
  patchTime(template, plan.startMs + t * plan.stepMs + offsetMs)
  for (let p = 0; p < template.pods; p++)
    patchPod(template, p, t, plan.stepMs / 1000, factorsOf(template.firstPod + p, t))
}

let replacedPods = 0
/** Replaces what churn asks for until step `t`; series that so became others. */
function churn(templates: readonly Template[], t: number): number {
  const due = Math.floor((fleet.pods * plan.churn * t * plan.stepMs) / 60_000)
  const first = replacedPods
  for (; replacedPods < due; replacedPods++) {
    // One pod after the other over the whole fleet, in an order that jumps about.
    const pod = (replacedPods * 7919) % fleet.pods
    generations[pod]++
    const template = templates[templateAt[pod]]
    replacePod(template, pod - template.firstPod, generations[pod])
  }
  return (replacedPods - first) * METRICS.length
}

const built = performance.now()
const templates: Template[] = []
const templateAt = new Uint32Array(fleet.pods)
for (let first = 0; first < fleet.pods; ) {
  const pods = podsTogether(first)
  templateAt.fill(templates.length, first, first + pods)
  templates.push(templateOf(first, pods, fleet))
  first += pods
}
const bytes = templates.reduce((sum, { block }) => sum + block.length, 0)
tell({ kind: 'built', seconds: (performance.now() - built) / 1000, bytes, rss: process.memoryUsage().rss })

const startedMs = performance.now()
for (let t = 0; t < plan.steps; t++) {
  const early = startedMs + t * plan.paceMs - performance.now()
  if (early > 0) await pause(early)
  const from = performance.now()
  const cpu = process.cpuUsage()
  const before = { retried, refused }
  const replaced = churn(templates, t)
  let next = 0
  let samples = 0
  let sent = 0
  const lane = async () => {
    while (next < templates.length) {
      const index = next++
      if (isSilent(templates[index], t)) continue
      samples += templates[index].pods * METRICS.length
      sent += templates[index].block.length
      patch(templates[index], index, templates.length, t)
      await deliver(templates[index].block)
    }
  }
  await Promise.all(Array.from({ length: plan.connections }, lane))
  const used = process.cpuUsage(cpu)
  tell({
    kind: 'step',
    step: t,
    samples,
    wallMs: performance.now() - from,
    cpuMs: (used.user + used.system) / 1000,
    bytes: sent,
    retried: retried - before.retried,
    refused: refused - before.refused,
    replaced,
  })
}
const sorted = answers.sort((a, b) => a - b)
const at = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]
tell({ kind: 'done', answerMs: [at(0.5), at(0.99), at(1)], firstRefusal })
agent.destroy()
process.disconnect?.()
