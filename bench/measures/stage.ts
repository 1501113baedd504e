// What a disruption stage costs: CPU of a row from the message to the group, and of a window, for quiet windows of services
// with ten series each, told by three scorers; state in a checkpoint, and what copying it holds up.
// node --expose-gc --import tsx bench/measures/stage.ts [--quick] [--series N] [--windows N]
import { parseArgs } from 'node:util'
import { WindowWriter } from '../../src/bus/window-report-writer.ts'
import { capture, restore } from '../../src/checkpoint.ts'
import { parseConfig } from '../../src/config.ts'
import { featureBatch, opinionBatch } from '../../src/core/batch.ts'
import { SeriesTable, seriesKey } from '../../src/core/series.ts'
import { CONTENT, HEADERS, type StoredMessage, TOPICS } from '../../src/core/stream.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { noEffects, StageWork } from '../../src/roles/stage-work.ts'
import { type Chunk, packed, unpacked } from '../../src/store/redis-chunks.ts'
import { cpuNs, type Measured, QUICK, say } from '../measure.ts'

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    series: { type: 'string', default: QUICK ? '3000' : '30000' },
    windows: { type: 'string', default: QUICK ? '5' : '60' },
  },
})
const SCORERS = 3
const STEP_MS = 10_000
const T0 = 1_700_000_000_000
const each = Math.floor(Number(args.series) / SCORERS)
const windows = Number(args.windows)
const random = mulberry32(1)

const scorers = Array.from({ length: SCORERS }, (_, samplesPartition) => {
  const series = new SeriesTable()
  for (let i = 0; i < each; i++) {
    const entity = `service-${samplesPartition}-${Math.floor(i / 10)}`
    const metric = `metric_${i % 10}`
    const labels = { service: entity, instance: `${entity}-${i}` }
    const key = seriesKey(metric, labels)
    series.intern({ key, tenant: 'default', metric, labels, entity, unit: 'one', kind: 'other', bad: 'up' })
  }
  const options = { samplesPartition, anomaliesPartitions: 1, stepMs: STEP_MS, epoch: 0 }
  return new WindowWriter(options, series)
})

const batch = featureBatch(each, 0)
const opinions = opinionBatch(each)
const stageOf = () =>
  new StageWork(parseConfig({}), 0, { partitions: SCORERS, bytesMax: 1e9, returnMs: 60_000 })
const work = stageOf()
const log: StoredMessage[] = []
let offset = 0
const perRow: number[] = []
const perWindow: number[] = []
for (let w = -5; w < windows; w++) {
  const windowEndMs = T0 + (w + 6) * STEP_MS
  let cpu = 0
  for (const scorer of scorers) {
    batch.length = each
    opinions.length = each
    for (let i = 0; i < each; i++) {
      batch.series[i] = i
      batch.windowEndMs[i] = windowEndMs
      batch.observed[i] = 100 + random()
      batch.coverage[i] = 1
      opinions.expected[i] = 100
      opinions.lower[i] = 98
      opinions.upper[i] = 102
      opinions.surprise[i] = random()
      opinions.evidence[i] = random()
    }
    const parts = scorer.write(batch, opinions, [], windowEndMs, true)
    const from = cpuNs()
    for (const { bytes: value } of parts) {
      const headers = { [HEADERS.content]: CONTENT.window }
      const message = { topic: TOPICS.anomalies, partition: 0, offset: offset++, key: null, value, headers }
      log.push({ ...message, timestampMs: windowEndMs })
      work.take(log[log.length - 1], noEffects())
    }
    cpu += cpuNs() - from
  }
  // The first windows describe the series and make room for them.
  if (w < 0) continue
  perRow.push(cpu / (each * SCORERS))
  perWindow.push(cpu / 1e6)
}
const from = cpuNs()
const checkpoint = capture(work.position, 0, work.series, work.stateful)
const copied = cpuNs() - from
let state = 0
for (const { columns } of checkpoint.parts)
  for (const column of Object.values(columns)) state += column.byteLength

const packing = cpuNs()
const chunks: Chunk[] = []
for await (const chunk of packed(checkpoint)) chunks.push(chunk)
const pack = cpuNs() - packing
const packedBytes = chunks.reduce((sum, { bytes }) => sum + bytes.length, 0)
const unpacking = cpuNs()
const digests = chunks.map(({ digest }) => digest)
const read = await unpacked(digests, async i => chunks[i].bytes)
const unpack = cpuNs() - unpacking
const offered = cpuNs()
const again = stageOf()
restore(read, again.series, again.stateful)
const putBack = cpuNs() - offered
const { from: begin, refill } = again.begin(checkpoint.position, 0)
const reading = cpuNs()
for (const message of log.slice(begin)) again.take(message, noEffects())
const readAgain = cpuNs() - reading
const rows = (refill?.windows ?? 0) * each * SCORERS

const of = (id: string, what: string, unit: string, values: readonly number[]): Measured => ({
  id: `stage.${id}`,
  what,
  unit,
  values,
})
say([
  of('row', `disruption stage, ${each * SCORERS} series told by ${SCORERS} scorers`, 'ns CPU/row', perRow),
  of('window', '· a window', 'ms CPU', perWindow),
  of('state', '· state in a checkpoint', 'B/series', [state / (each * SCORERS)]),
  of('copied', '· copying it, in which nothing else is done', 'ms CPU', [copied / 1e6]),
  of('packed', '· packed, as Redis holds it', 'B/series', [packedBytes / (each * SCORERS)]),
  of('pack', '· packing it, beside the event loop', 'ms CPU', [pack / 1e6]),
  of('unpack', '· unpacking it', 'ms CPU', [unpack / 1e6]),
  of('restored', '· putting it back', 'ms CPU', [putBack / 1e6]),
  of('refilled', `· history of ${refill?.windows ?? 0} windows read again`, 'ns CPU/row', [readAgain / rows]),
  of('refill', '· messages of a window that are read again', 'B/row', [(refill?.bytes ?? 0) / rows]),
])
