// What a fleet adds to a sample: remote-write 1.0 bodies → columnar messages (a gateway), and columnar messages → samples
// (a scorer) beside the bodies themselves → samples. One repetition is one scrape of all series, 15 s apart, so that
// definitions come as they do in service.
// node --expose-gc --import tsx bench/measures/split.ts --what split|columns|bodies [--quick] [--series N] [--plain]
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { entityKey, partitionOf } from '../../src/bus/partition-of.ts'
import type { SampleBatch } from '../../src/core/batch.ts'
import type { Envelope } from '../../src/core/envelope.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { IngestIntake } from '../../src/ingest/intake.ts'
import type { Part } from '../../src/ingest/split-messages.ts'
import { Splitter } from '../../src/ingest/splitter.ts'
import { BodyWriter } from '../bodies.ts'
import { collect, cpuNs, type Measured, QUICK, say } from '../measure.ts'

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    what: { type: 'string', default: 'split' },
    plain: { type: 'boolean', default: false },
    series: { type: 'string', default: QUICK ? '4000' : '100000' },
    scrapes: { type: 'string', default: QUICK ? '5' : '20' },
    warm: { type: 'string', default: QUICK ? '2' : '8' },
    body: { type: 'string', default: '2000' },
    partitions: { type: 'string', default: '12' },
  },
})
const count = Number(args.series)
const perBody = Number(args.body)
const partitions = Number(args.partitions)
const warm = Number(args.warm)
const scrapes = Number(args.scrapes)
const T0 = 1_700_000_000_000
const STEP_MS = 15_000

const writer = new BodyWriter()
function bodies(t: number): Envelope[] {
  const ms = T0 + t * STEP_MS
  return Array.from({ length: Math.ceil(count / perBody) }, (_, b) => ({
    kind: 'remote-write-1' as const,
    encoding: 'snappy' as const,
    arrivalMs: ms + 2000,
    tenant: 'default',
    bytes: writer.body(b * perBody, Math.min(perBody, count - b * perBody), t, ms),
  }))
}

const rejects = new Rejects()
const splitter = new Splitter(
  { plain: args.plain },
  {
    rejects,
    partitions,
    place: (tenant, entity) => partitionOf(entityKey(tenant, entity), partitions),
  },
)
const intakes = Array.from(
  { length: args.what === 'bodies' ? 1 : partitions },
  () => new IngestIntake({ plain: args.plain }, { series: new SeriesTable(), rejects }),
)
let sum = 0
let taken = 0
const take = (batch: SampleBatch): void => {
  taken += batch.length
  sum += batch.value[0]
}

let wireBytes = 0
function split(envelopes: readonly Envelope[]): Part[] {
  const parts: Part[] = []
  for (const envelope of envelopes) {
    for (const part of splitter.split(envelope).parts) {
      parts.push(part)
      wireBytes += part.bytes.length
    }
  }
  splitter.keep()
  return parts
}

function decodeColumns(parts: readonly Part[], arrivalMs: number): void {
  for (const { partition, bytes } of parts) {
    intakes[partition].decode(
      { kind: 'columns', encoding: 'identity', arrivalMs, tenant: 'default', bytes },
      take,
    )
  }
}

/** CPU ns a sample of one scrape, with nothing but what is asked for in it. */
async function scrape(t: number): Promise<number> {
  const envelopes = bodies(t)
  const parts = args.what === 'columns' ? split(envelopes) : []
  collect()
  // The heap is swept by other threads for a while, whose time is this process's too.
  await sleep(200)
  const before = cpuNs()
  if (args.what === 'split') split(envelopes)
  else if (args.what === 'columns') decodeColumns(parts, envelopes[0].arrivalMs)
  else for (const envelope of envelopes) intakes[0].decode(envelope, take)
  return (cpuNs() - before) / count
}

const first = await scrape(0)
for (let t = 1; t < warm; t++) await scrape(t)
wireBytes = 0
const steady: number[] = []
for (let t = warm; t < warm + scrapes; t++) steady.push(await scrape(t))
if (Object.keys(rejects.counts()).length > 0) throw new Error(JSON.stringify(rejects.counts()))
if (args.what !== 'split' && taken < 0.7 * count * (warm + scrapes))
  throw new Error(`${taken} samples, ${sum}`)

const size = count >= 1e6 ? `${count / 1e6} M` : `${count / 1e3} k`
const WHAT: Readonly<Record<string, string>> = {
  split: `remote write → columnar messages of ${partitions} partitions, ${size} series, bodies of ${perBody}`,
  columns: '· columnar messages → samples',
  bodies: '· the bodies themselves → samples, without a fleet',
}
const measured: Measured[] = [
  { id: `split.${args.what}.ns`, what: WHAT[args.what], unit: 'ns CPU/sample', values: steady },
  {
    id: `split.${args.what}.first.ns`,
    what: '· · a series seen for the first time',
    unit: 'ns CPU/series',
    values: [first],
  },
]
if (args.what === 'split') {
  measured.push({
    id: 'split.bytes',
    what: '· bytes of a sample in a columnar message, definitions included, before compression',
    unit: 'B/sample',
    values: [wireBytes / (count * scrapes)],
  })
  measured.push({
    id: 'split.memory',
    what: '· what a gateway remembers of a series, without its text',
    unit: 'B/series',
    values: [splitter.bytes() / count],
  })
}
say(measured)
