// Ranking the suspects of one moment in which five thousand series of a hundred services are anomalous, with six hours
// of one-minute windows behind them.
// node --expose-gc --import tsx bench/measures/ranking.ts [--quick]
import { seriesKey } from '../../src/core/series.ts'
import { Bench } from '../../test/disruptions/bench.ts'
import { collect, cpuNs, type Measured, QUICK, say } from '../measure.ts'

const SERIES = QUICK ? 200 : 5000
const ENTITIES = 100
const WINDOWS = 360
const STRANGE_WINDOWS = 5
const RUNS = QUICK ? 3 : 110
/** Runs that warm the code. */
const WARM = QUICK ? 1 : 10
const METRIC = 'server_duration_seconds:p99'

const bench = new Bench({ baselineWindows: WINDOWS })
const rows = Array.from({ length: SERIES }, (_, i) => {
  const entity = `service-${i % ENTITIES}`
  const labels = { service: entity, path: `/${i}` }
  return bench.add({
    key: seriesKey(METRIC, labels, 'default'),
    tenant: 'default',
    metric: METRIC,
    labels,
    entity,
    unit: 's',
    kind: 'latency',
    bad: 'up',
  })
})
const { stepMs } = bench.options
let nowMs = 1_700_000_000_000
for (let w = 0; w < WINDOWS + STRANGE_WINDOWS; w++) {
  nowMs += stepMs
  const factor = w >= WINDOWS ? 40 : 1
  bench.window(nowMs, new Map(rows.map(row => [row, factor * (0.05 + 0.002 * Math.sin(w * 1.7 + row))])))
}
collect()
const ms: number[] = []
const cpuMs: number[] = []
for (let run = 0; run < WARM + RUNS; run++) {
  const from = performance.now()
  const cpu = cpuNs()
  bench.stage.explain(nowMs - STRANGE_WINDOWS * stepMs, 0)
  if (run < WARM) continue
  cpuMs.push((cpuNs() - cpu) / 1e6)
  ms.push(performance.now() - from)
}
const p99 = (values: readonly number[]) => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(0.99 * sorted.length) - 1)]
}
const what = `ranking ${SERIES} anomalous series of ${ENTITIES} services`
const measured: Measured[] = [
  { id: 'ranking.ms', what, unit: 'ms wall', values: ms },
  { id: 'ranking.p99.ms', what: '· at the 99th percentile', unit: 'ms wall', atMost: 50, values: [p99(ms)] },
  { id: 'ranking.cpu.ms', what: '· CPU', unit: 'ms CPU', values: cpuMs },
  {
    id: 'ranking.cpu.p99.ms',
    what: '· · at the 99th percentile',
    unit: 'ms CPU',
    atMost: 50,
    values: [p99(cpuMs)],
  },
]
say(measured)
