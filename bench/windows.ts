// What windows cost: `npx tsx bench/windows.ts [series] [windows]`. Samples of 1 M series, one a window each, in
// an order of their own, in batches of 64 k; prints CPU ns a sample for taking them in and for giving rows out: the
// mean, and the best window, which other work on the machine disturbs least.
import { featureBatch, opinionBatch, sampleBatch } from '../src/core/batch.ts'
import { Rejects } from '../src/core/rejects.ts'
import type { SeriesTable } from '../src/core/series.ts'
import { WindowHistory } from '../src/features/history.ts'
import { EventTimeWindows } from '../src/features/windows.ts'
import { bareSeries } from './lone-series.ts'

const SERIES = Number(process.argv[2] ?? 1_000_000)
const WINDOWS = Number(process.argv[3] ?? 12)
const STEP = 10_000
const T0 = 1_700_000_000_000
const WARM = 4

/** CPU time of this process, ns: waiting for other processes does not count. */
function cpuNs(): bigint {
  const { user, system } = process.cpuUsage()
  return BigInt(user + system) * 1000n
}

/** A fixed order that visits every series once and jumps about: multiples of a number prime to SERIES. */
function scrambled(): Uint32Array {
  const order = new Uint32Array(SERIES)
  let stride = Math.floor(SERIES * 0.618)
  const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b))
  while (gcd(stride, SERIES) !== 1) stride++
  for (let i = 0, at = 0; i < SERIES; i++, at = (at + stride) % SERIES) order[i] = at
  return order
}

function measure(name: string, order: Uint32Array | undefined, features: boolean, table: SeriesTable): void {
  const windows = new EventTimeWindows({ stepMs: STEP, features }, { series: table, rejects: new Rejects() })
  const batch = sampleBatch(65_536)
  let addNs = 0n
  let emitNs = 0n
  let rows = 0
  let heap = 0
  let best = Number.POSITIVE_INFINITY
  for (let w = 0; w < WINDOWS; w++) {
    if (w === WARM) {
      addNs = 0n
      emitNs = 0n
      rows = 0
      heap = process.memoryUsage().heapUsed
    }
    const before = addNs + emitNs
    for (let from = 0; from < SERIES; from += batch.capacity) {
      batch.length = Math.min(batch.capacity, SERIES - from)
      for (let i = 0; i < batch.length; i++) {
        const s = order ? order[from + i] : from + i
        batch.series[i] = s
        batch.timeMs[i] = T0 + w * STEP + (s % 9000)
        batch.value[i] = s + (w % 7)
      }
      const start = cpuNs()
      windows.add(batch, T0 + (w + 1) * STEP)
      const added = cpuNs()
      for (let lent = windows.next(); lent; lent = windows.next()) rows += lent.batch.length
      addNs += added - start
      emitNs += cpuNs() - added
    }
    if (w >= WARM) best = Math.min(best, Number(addNs + emitNs - before) / SERIES)
  }
  const samples = (WINDOWS - WARM) * SERIES
  const grown = process.memoryUsage().heapUsed - heap
  const per = (ns: bigint) => (Number(ns) / samples).toFixed(1)
  console.log(
    `${name}: add ${per(addNs)} ns + emit ${per(emitNs)} ns = ${per(addNs + emitNs)} ns a sample (best ${best.toFixed(1)}), ` +
      `${(windows.bytes() / SERIES).toFixed(0)} B a series, ${(grown / samples).toFixed(3)} heap B a sample, ${rows} rows`,
  )
}

function measureHistory(table: SeriesTable): void {
  const history = new WindowHistory({ stepMs: STEP }, { series: table })
  const batch = featureBatch(65_536, 0)
  const opinions = opinionBatch(65_536)
  let ns = 0n
  for (let w = 0; w < WINDOWS; w++) {
    if (w === WARM) ns = 0n
    for (let from = 0; from < SERIES; from += batch.capacity) {
      batch.length = Math.min(batch.capacity, SERIES - from)
      for (let i = 0; i < batch.length; i++) {
        batch.series[i] = from + i
        batch.windowEndMs[i] = T0 + w * STEP
        batch.observed[i] = i
      }
      const start = cpuNs()
      history.record(batch, opinions)
      ns += cpuNs() - start
    }
  }
  const rows = (WINDOWS - WARM) * SERIES
  const each = (Number(ns) / ((WINDOWS - WARM) * history.size)).toFixed(1)
  console.log(
    `history: ${(Number(ns) / rows).toFixed(1)} ns a row over all, ${each} ns a row of the ${history.size} series held, ` +
      `${(history.bytes() / 1_048_576).toFixed(0)} MiB, ${history.refused} refused`,
  )
}

const table = bareSeries(SERIES)
measure('in series order', undefined, false, table)
measure('scrambled order', scrambled(), false, table)
measure('in order, with features', undefined, true, table)
measureHistory(table)
