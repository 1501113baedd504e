// The sender of the headline run, a process of its own: makes the bodies once, changes their values, times and replaced
// pods in place, and posts them as fast as they are answered, a step after the other. Told what to send in its argument;
// tells its parent about every step.
import { Agent } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { faultsOf, fleetOf, METRICS, serviceOf } from './fleet.ts'
import { post } from './post.ts'
import { FACTORS, patchPod, patchTime, replacePod, type Template, templateOf } from './templates.ts'

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
const faultOf = new Map(faultsOf(fleet, plan.steps).map(fault => [fault.service, fault]))
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
    replacePod(templates[Math.floor(pod / podsOfBody)], pod % podsOfBody, generations[pod])
  }
  return (replacedPods - first) * METRICS.length
}

const built = performance.now()
const templates: Template[] = []
for (let first = 0; first < fleet.pods; first += podsOfBody)
  templates.push(templateOf(first, Math.min(podsOfBody, fleet.pods - first), fleet))
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
  const lane = async () => {
    while (next < templates.length) {
      const index = next++
      patch(templates[index], index, templates.length, t)
      await deliver(templates[index].block)
    }
  }
  await Promise.all(Array.from({ length: plan.connections }, lane))
  const used = process.cpuUsage(cpu)
  tell({
    kind: 'step',
    step: t,
    samples: fleet.series,
    wallMs: performance.now() - from,
    cpuMs: (used.user + used.system) / 1000,
    bytes,
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
