// What memory a series costs with threads that score beside and without: resident bytes of a process after some windows of plain
// series, of which each size is a process of its own, and the slope between sizes.
// node --expose-gc --import tsx bench/workers-memory.ts [--series 500000,1000000] [--workers 0,1] [--steps 8]
import { execFileSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { Rejects } from '../src/core/rejects.ts'
import { Telemetry } from '../src/core/telemetry.ts'
import { Pipeline } from '../src/pipeline.ts'
import { assembleBeside } from './beside.ts'
import { scraped } from './bodies.ts'
import { FleetBodies } from './headline/bodies.ts'
import { collect } from './measure.ts'
import { tierZeroConfig } from './tier-zero.ts'

const STEP_MS = 15_000
const T0 = 1_790_000_000_000
const BODY_SERIES = 5000

const { values: args } = parseArgs({
  options: {
    series: { type: 'string', default: '500000,1000000' },
    workers: { type: 'string', default: '0,1' },
    steps: { type: 'string', default: '8' },
    /** One size in this process: answers its resident bytes. */
    alone: { type: 'boolean', default: false },
  },
})
const sizes = args.series.split(',').map(Number)
const steps = Number(args.steps)

async function residentBytes(series: number, workers: number): Promise<number> {
  const bodies = new FleetBodies(series, BODY_SERIES, STEP_MS)
  const parts = assembleBeside(workers, tierZeroConfig(series, STEP_MS), new Rejects())
  const pipeline = new Pipeline(parts, async () => {}, new Telemetry())
  let position = 0
  for (let t = 0; t < steps; t++) {
    const ms = T0 + t * STEP_MS
    for (let b = 0; b < bodies.count; b++)
      await pipeline.process(++position, scraped(bodies.body(b, t, ms), ms))
  }
  await pipeline.settle()
  collect()
  const { rss } = process.memoryUsage()
  await parts.scoring.close?.()
  return rss
}

if (args.alone) process.stdout.write(String(await residentBytes(sizes[0], Number(args.workers))))
else
  for (const workers of args.workers.split(',')) {
    const resident = sizes.map(series => {
      const own = ['--series', String(series), '--workers', workers, '--steps', args.steps, '--alone']
      const flags = ['--expose-gc', '--import', 'tsx', import.meta.filename]
      return Number(execFileSync(process.execPath, [...flags, ...own]))
    })
    const told = sizes.map((series, i) => `${series}: ${(resident[i] / 1_048_576).toFixed(0)} MiB`)
    const slope = (resident[1] - resident[0]) / (sizes[1] - sizes[0])
    process.stdout.write(`workers ${workers}: ${told.join(', ')}; ${slope.toFixed(0)} bytes a series\n`)
  }
