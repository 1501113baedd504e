// What experiments cost: CPU time to count one row of a pair of scores, and to write their evidence down, with as many
// series as are known one by one; and the memory of it.
// node --expose-gc --import tsx bench/measures/experiments.ts [--quick]
import { experimentPlanSchema } from '../../src/core/experiment.ts'
import type { PairedScores } from '../../src/core/model.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { Evidence } from '../../src/experiments/evidence.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { collect, cpuNs, type Measured, QUICK, say } from '../measure.ts'

const SERIES = QUICK ? 500 : 20_000
const WINDOWS = QUICK ? 20 : 200
const STEP_MS = 10_000
const MEGABYTE = 1_048_576

const table = new SeriesTable(SERIES)
const series = new Uint32Array(SERIES)
for (let i = 0; i < SERIES; i++) {
  const labels = { service: `service-${i % 1000}`, instance: `instance-${i}` }
  series[i] = table.intern({
    key: `latency_seconds:p99{instance="${labels.instance}",service="${labels.service}"}`,
    tenant: 'default',
    metric: 'latency_seconds:p99',
    labels,
    entity: labels.service,
    unit: 's',
    kind: 'latency',
    bad: 'up',
  })
}
const random = mulberry32(1)
const ordinary = Float32Array.from({ length: 65_536 }, () => -Math.log10(1 - random()))
const plan = experimentPlanSchema.parse({ model: 'any', challenger: 2 })
collect()
const before = process.memoryUsage()
const evidence = new Evidence(plan, table, 4)

const rowNs: number[] = []
const saveMs: number[] = []
for (let w = 1; w <= WINDOWS; w++) {
  const pair: PairedScores = {
    model: 'any',
    champion: 1,
    challenger: 2,
    windowEndMs: w * STEP_MS,
    length: SERIES,
    series,
    championSurprise: Float32Array.from(series, row => ordinary[(row * 7 + w * 7919) & 65_535]),
    challengerSurprise: Float32Array.from(series, row => ordinary[(row * 11 + w * 104_729) & 65_535]),
    championMs: 1,
    challengerMs: 2,
    championFailed: 0,
    challengerFailed: 0,
  }
  const started = cpuNs()
  evidence.observe(pair)
  if (w > 1) rowNs.push((cpuNs() - started) / SERIES)
}
let bytes = 0
for (let i = 0; i < 5; i++) {
  const started = cpuNs()
  bytes = JSON.stringify(evidence.save()).length
  saveMs.push((cpuNs() - started) / 1e6)
}
collect()
const after = process.memoryUsage()
const held = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
const measured: Measured[] = [
  { id: 'experiments.ns', what: 'experiment: count one row of a pair', unit: 'ns', values: rowNs },
  { id: 'experiments.saveMs', what: 'experiment: write its evidence out', unit: 'ms', values: saveMs },
  { id: 'experiments.savedMb', what: 'experiment: evidence written', unit: 'MB', values: [bytes / MEGABYTE] },
  { id: 'experiments.mb', what: 'experiment: evidence in memory', unit: 'MB', values: [held / MEGABYTE] },
]
say(measured)
// The pair's columns stay alive until here, so that they count on neither side.
if (evidence.statistics.whole.windows !== WINDOWS) throw new Error('windows were not counted')
