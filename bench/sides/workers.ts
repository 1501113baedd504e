// Ours with so many threads that score beside the one that takes samples in: bodies → intake → windows → tier 0 →
// disruptions → history, envelope by envelope as the service's inbox gives them. The bodies of a turn are made before it is
// timed. A turn answers wall ns a sample; turn −1 the CPU ns a sample of all threads in the turn before, turn −2 that of the thread
// that takes samples in, and turn −3 that of the one beside it that took most.
// args: series, series of a body, steps a turn, workers
import { readdirSync, readFileSync } from 'node:fs'
import type { Envelope } from '../../src/core/envelope.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { Pipeline } from '../../src/pipeline.ts'
import { assembleBeside } from '../beside.ts'
import { scraped } from '../bodies.ts'
import { FleetBodies } from '../headline/bodies.ts'
import { collect, cpuNs } from '../measure.ts'
import { tierZeroConfig } from '../tier-zero.ts'
import { serveTurns } from '../turns.ts'

const [series, bodySeries, steps, workers] = process.argv.slice(2).map(Number)
const STEP_MS = 15_000
const T0 = 1_790_000_000_000
const bodies = new FleetBodies(series, bodySeries, STEP_MS)
const rejects = new Rejects()
const parts = assembleBeside(workers, tierZeroConfig(series, STEP_MS), rejects)
const pipeline = new Pipeline(parts, async () => {}, new Telemetry())
let position = 0
let now = 0
let cpu = 0
let inlet = 0
let busiest = 0

/** CPU ns of each thread of this process, as the scheduler counts them. */
function threadsNs(): Map<string, number> {
  const tasks = readdirSync('/proc/self/task')
  return new Map(
    tasks.map(task => {
      const [ns] = readFileSync(`/proc/self/task/${task}/schedstat`, 'utf8').split(' ')
      return [task, Number(ns)]
    }),
  )
}

function* stepBodies(): Generator<{ readonly envelope: Envelope; readonly samples: number }> {
  const ms = T0 + now * STEP_MS
  for (let b = 0; b < bodies.count; b++) {
    const envelope = scraped(bodies.body(b, now, ms).slice(), ms)
    yield { envelope, samples: bodies.samples(b) }
  }
  now++
}

serveTurns(async t => {
  if (t < 0) return t === -1 ? cpu : t === -2 ? inlet : busiest
  const all = Array.from({ length: steps }, () => [...stepBodies()]).flat()
  const samples = all.reduce((sum, one) => sum + one.samples, 0)
  collect()
  const threads = threadsNs()
  const [before, started] = [cpuNs(), performance.now()]
  for (const { envelope } of all) await pipeline.process(++position, envelope)
  await pipeline.settle()
  const wall = ((performance.now() - started) * 1e6) / samples
  cpu = (cpuNs() - before) / samples
  const spent = Array.from(
    threadsNs(),
    ([task, ns]) => [Number(task), ns - (threads.get(task) ?? 0)] as const,
  )
  const most = (isOwn: boolean) =>
    Math.max(...spent.filter(([task]) => (task === process.pid) === isOwn).map(([, ns]) => ns)) / samples
  inlet = most(true)
  busiest = most(false)
  if (Object.keys(rejects.counts()).length > 0) throw new Error(JSON.stringify(rejects.counts()))
  return wall
})
