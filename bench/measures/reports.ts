// Window reports, as a scorer writes them for the disruption stage: bytes a row, raw and compressed, and what writing and
// reading costs. Windows of the real path, warmed up, of which one in a hundred series is not there in each.
// node --expose-gc --import tsx bench/measures/reports.ts [--quick] [--series N] [--windows N]
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { assemble } from '../../src/assembly.ts'
import { ROTATION } from '../../src/bus/window-report.ts'
import { WindowReader } from '../../src/bus/window-report-reader.ts'
import { WindowWriter } from '../../src/bus/window-report-writer.ts'
import { parseConfig } from '../../src/config.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { lz4Bound, lz4Compress } from '../../src/math/lz4.ts'
import { Pipeline } from '../../src/pipeline.ts'
import { BodyWriter, scraped } from '../bodies.ts'
import { collect, cpuNs, type Measured, QUICK, say } from '../measure.ts'

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    series: { type: 'string', default: QUICK ? '2000' : '10000' },
    windows: { type: 'string', default: QUICK ? '5' : '40' },
    warm: { type: 'string', default: QUICK ? '40' : '70' },
  },
})
const count = Number(args.series)
const windows = Number(args.windows)
const warm = Number(args.warm)
const STEP_MS = 10_000
const T0 = 1_700_000_000_000
const PER_BODY = 1000
/** Windows that one who comes late has missed. */
const LATE = 5

const config = parseConfig({})
const parts = assemble(config, new Rejects())
const writer = new WindowWriter(
  { samplesPartition: 0, anomaliesPartitions: 3, stepMs: STEP_MS, epoch: 0 },
  parts.series,
)
let rows = 0
let bytes = 0
let written = 0
let read = 0
let readLate = 0
let gzip = 0
let lz4 = 0
const table = new SeriesTable()
const reader = new WindowReader(table, row => table.evict(row))
// One that came while the others were at work learned the series in another order than the scorer has.
const lateTable = new SeriesTable()
const late = new WindowReader(lateTable, row => lateTable.evict(row))
const pipeline = new Pipeline(parts, async () => {}, new Telemetry(), {
  tap: {
    window: (batch, opinions, changes, windowEndMs, last) => {
      const before = cpuNs()
      const reports = writer.write(batch, opinions, changes, windowEndMs, last)
      written += cpuNs() - before
      rows += batch.length
      for (const report of reports) {
        bytes += report.bytes.length
        gzip += gzipSync(report.bytes, { level: 1 }).length
        lz4 += lz4Length(report.bytes)
      }
      const from = cpuNs()
      for (const report of reports) {
        const said = reader.read(report.bytes)
        if (typeof said === 'string') throw new Error(said)
      }
      read += cpuNs() - from
      // After the first windows, so that every series has been described since.
      if (windowEndMs < T0 + LATE * STEP_MS) return
      const again = cpuNs()
      for (const report of reports) late.read(report.bytes)
      readLate += cpuNs() - again
    },
    forget: row => writer.forget(row),
  },
})
const body = new BodyWriter()
let position = 0

async function window(t: number): Promise<void> {
  const ms = T0 + t * STEP_MS
  for (let first = 0; first < count; first += PER_BODY) {
    // Some series pause: what is missing is part of what is told.
    if (t > 3 && (first / PER_BODY + t) % 100 === 0) continue
    const bytes = body.body(first, Math.min(PER_BODY, count - first), t, ms)
    await pipeline.process(++position, scraped(bytes, ms))
  }
}

/** As Kafka's clients frame it, less headers of a few bytes. */
const BLOCK = 65_536
const block = new Uint8Array(lz4Bound(BLOCK))
function lz4Length(from: Uint8Array): number {
  let length = 0
  for (let at = 0; at < from.length; at += BLOCK)
    length += lz4Compress(from, at, Math.min(at + BLOCK, from.length), block)
  return length
}

interface Cost {
  readonly bytes: number
  readonly gzip: number
  readonly lz4: number
  readonly written: number
  readonly read: number
  readonly late: number
}

for (let t = 0; t < warm; t++) await window(t)
const costs: Cost[] = []
collect()
for (let t = warm; t < warm + windows; t++) {
  rows = bytes = written = read = readLate = gzip = lz4 = 0
  await window(t)
  if (rows < count * 0.9) throw new Error(`a window of ${rows} rows`)
  costs.push({
    bytes: bytes / rows,
    gzip: gzip / rows,
    lz4: lz4 / rows,
    written: written / rows,
    read: read / rows,
    late: readLate / rows,
  })
}
const of = (id: keyof Cost, what: string, unit: string, atMost?: number): Measured => ({
  id: `reports.${id}`,
  what,
  unit,
  ...(atMost === undefined ? {} : { atMost }),
  values: costs.map(cost => cost[id]),
})
say([
  of('bytes', `window report, ${count} series, each described once in ${ROTATION} windows`, 'B/row', 48),
  of('gzip', '· compressed, gzip 1', 'B/row'),
  of('lz4', '· compressed, lz4 in blocks of 64 KiB', 'B/row'),
  of('written', '· writing it', 'ns CPU/row'),
  of('read', '· reading it', 'ns CPU/row'),
  of('late', '· reading it, where the series were learned in another order', 'ns CPU/row'),
])
