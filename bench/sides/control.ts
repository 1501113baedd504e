// The idiomatic control on the same bodies. args: series, series of a body, steps a turn
import { IdiomaticScorer } from '../control/idiomatic.ts'
import { FleetBodies } from '../headline/bodies.ts'
import { cpuNs } from '../measure.ts'
import { serveTurns } from '../turns.ts'

const [series, bodySeries, steps] = process.argv.slice(2).map(Number)
const STEP_MS = 15_000
const T0 = 1_790_000_000_000
const bodies = new FleetBodies(series, bodySeries, STEP_MS)
const scorer = new IdiomaticScorer()
let now = 0
let strongest = 0

serveTurns(() => {
  let [ns, samples] = [0, 0]
  for (let i = 0; i < steps; i++, now++) {
    for (let b = 0; b < bodies.count; b++) {
      const body = bodies.body(b, now, T0 + now * STEP_MS)
      const before = cpuNs()
      for (const { score } of scorer.write(body)) if (score > strongest) strongest = score
      ns += cpuNs() - before
      samples += bodies.samples(b)
    }
  }
  if (scorer.size !== bodies.fleet.series) throw new Error(`${scorer.size} series of ${bodies.fleet.series}`)
  return ns / samples
})
