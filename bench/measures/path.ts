// The real path: remote-write 1.0 bodies → intake → windows → tier 0 → disruptions → history, as the service runs
// it, one repetition a window of all series. Bodies are made between the timings.
// node --expose-gc --import tsx bench/measures/path.ts [--quick] [--series N] [--windows N] [--memory]
// With --memory: resident memory by number of series, and how long a checkpoint stops the pipeline.
import { parseArgs } from 'node:util'
import { assemble } from '../../src/assembly.ts'
import { capture } from '../../src/checkpoint.ts'
import { parseConfig } from '../../src/config.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { Pipeline } from '../../src/pipeline.ts'
import { BodyWriter, scraped } from '../bodies.ts'
import { collect, cpuNs, type Measured, QUICK, say } from '../measure.ts'

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    memory: { type: 'boolean', default: false },
    series: { type: 'string', default: QUICK ? '4000' : '100000' },
    windows: { type: 'string', default: QUICK ? '5' : '12' },
    warm: { type: 'string', default: '28' },
    body: { type: 'string', default: '1000' },
  },
})
const count = Number(args.series)
const windows = Number(args.windows)
const warm = Number(args.warm)
const perBody = Number(args.body)
const STEP_MS = 10_000
const T0 = 1_700_000_000_000

const config = parseConfig({ ingest: { maxSeries: Math.max(count, 1_000_000) } })
const rejects = new Rejects()
const parts = assemble(config, rejects)
let events = 0
const pipeline = new Pipeline(
  parts,
  async (_, outcome) => {
    events += outcome.anomalies.length + outcome.events.length
  },
  new Telemetry(),
)
const writer = new BodyWriter()
let position = 0
let taken = 0

/** CPU ns of one window of series [from, to). */
async function window(t: number, from: number, to: number): Promise<number> {
  let ns = 0
  for (let first = from; first < to; first += perBody) {
    const ms = T0 + t * STEP_MS
    const envelope = scraped(writer.body(first, Math.min(perBody, to - first), t, ms), ms)
    const before = cpuNs()
    const receipt = await pipeline.process(++position, envelope)
    ns += cpuNs() - before
    taken += receipt.samples
  }
  return ns
}

function rss(): number {
  collect()
  return process.memoryUsage().rss
}

const size = count >= 1e6 ? `${count / 1e6} M` : `${count / 1e3} k`
async function speed(): Promise<Measured[]> {
  const firstSeen = (await window(0, 0, count)) / count
  for (let t = 1; t < warm; t++) await window(t, 0, count)
  const steady: number[] = []
  for (let t = warm; t < warm + windows; t++) {
    collect()
    steady.push((await window(t, 0, count)) / count)
  }
  if (taken < count * (warm + windows))
    throw new Error(`${taken} samples were taken: ${rejects.recent?.length}`)
  return [
    {
      id: `path.${count}.ns`,
      what: `remote write → scored, ${size} series, bodies of ${perBody}`,
      unit: 'ns CPU/sample',
      atMost: 2000,
      values: steady,
    },
    {
      id: `path.${count}.first.ns`,
      what: '· a series seen for the first time',
      unit: 'ns CPU/series',
      values: [firstSeen],
    },
  ]
}

async function memory(): Promise<Measured[]> {
  // The pipeline and its compiled code are there before the first series counts.
  const small = Math.round(count / 10)
  let t = 0
  for (; t < 4; t++) await window(t, 0, small)
  const before = rss()
  for (; t < 8; t++) await window(t, 0, count)
  const after = rss()
  const heap = process.memoryUsage().heapUsed / count
  const pauses: number[] = []
  for (let i = 0; i < (QUICK ? 2 : 5); i++) {
    collect()
    const started = cpuNs()
    const checkpoint = capture(position, T0, parts.series, [
      parts.intake,
      parts.windows,
      parts.scoring,
      parts.disruptions,
    ])
    pauses.push((cpuNs() - started) / 1e6)
    if (checkpoint.parts.length < 5) throw new Error('a checkpoint of nothing')
  }
  const bytes = (part: { bytes(): number }) => part.bytes() / count
  return [
    {
      id: 'memory.rss',
      what: `resident memory a series, whole pipeline, ${small} → ${count} series`,
      unit: 'B/series',
      values: [(after - before) / (count - small)],
    },
    {
      id: 'memory.heap',
      what: '· of it on the JavaScript heap, in all',
      unit: 'B/series',
      values: [heap],
    },
    ...(['series', 'intake', 'windows', 'scoring', 'disruptions', 'history'] as const).map(name => ({
      id: `memory.${name}`,
      what: `· columns of ${name}`,
      unit: 'B/series',
      values: [bytes(parts[name])],
    })),
    {
      id: 'checkpoint.ms',
      what: `copying the state of ${count} series for a checkpoint stops the pipeline for`,
      unit: 'ms CPU',
      values: pauses,
    },
  ]
}

say(args.memory ? await memory() : await speed())
if (events > count) process.stderr.write(`${events} events: more than noise should give\n`)
