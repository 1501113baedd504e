// Ours: bodies → intake → windows → tier 0 → disruptions → history, one step of all series a turn, or `steps` of them.
// args: series, series of a body, steps a turn
import { assemble } from '../../src/assembly.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { Pipeline } from '../../src/pipeline.ts'
import { scraped } from '../bodies.ts'
import { FleetBodies } from '../headline/bodies.ts'
import { cpuNs } from '../measure.ts'
import { tierZeroConfig } from '../tier-zero.ts'
import { serveTurns } from '../turns.ts'

const [series, bodySeries, steps] = process.argv.slice(2).map(Number)
const STEP_MS = 15_000
const T0 = 1_790_000_000_000
const bodies = new FleetBodies(series, bodySeries, STEP_MS)
const rejects = new Rejects()
const pipeline = new Pipeline(
  assemble(tierZeroConfig(series, STEP_MS), rejects),
  async () => {},
  new Telemetry(),
)
let position = 0
let now = 0

async function step(): Promise<{ ns: number; samples: number }> {
  const ms = T0 + now * STEP_MS
  let ns = 0
  let samples = 0
  for (let b = 0; b < bodies.count; b++) {
    const envelope = scraped(bodies.body(b, now, ms), ms)
    const before = cpuNs()
    await pipeline.process(++position, envelope)
    ns += cpuNs() - before
    samples += bodies.samples(b)
  }
  now++
  return { ns, samples }
}

serveTurns(async () => {
  let [ns, samples] = [0, 0]
  for (let i = 0; i < steps; i++) {
    const done = await step()
    ns += done.ns
    samples += done.samples
  }
  if (Object.keys(rejects.counts()).length > 0) throw new Error(JSON.stringify(rejects.counts()))
  return ns / samples
})
