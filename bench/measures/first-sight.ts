// What a series costs that is seen for the first time: remote-write 1.0 bodies of pods of fifty series with seven to nine labels →
// wire table, series table, windows, without scoring. One repetition an intake of its own: its first two scrapes (a counter is a
// series with its second value) against the two after them; then all pods are replaced, twice as long, and the old are forgotten.
// node --expose-gc --import tsx bench/measures/first-sight.ts [--quick] [--series N] [--repetitions N]
import { parseArgs } from 'node:util'
import type { SampleBatch } from '../../src/core/batch.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { IngestIntake } from '../../src/ingest/intake.ts'
import { fleetOf, METRICS } from '../headline/fleet.ts'
import { FACTORS, patchPod, patchTime, replacePod, type Template, templateOf } from '../headline/templates.ts'
import { collect, cpuNs, QUICK, say } from '../measure.ts'

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    series: { type: 'string', default: QUICK ? '5000' : '200000' },
    repetitions: { type: 'string', default: QUICK ? '2' : '7' },
    body: { type: 'string', default: '2000' },
  },
})
const STEP_MS = 15_000
const T0 = 1_790_000_000_000
const fleet = fleetOf(Number(args.series))
const pods = Math.max(1, Math.round(Number(args.body) / METRICS.length))
const first: number[] = []
const churn: number[] = []
const known: number[] = []

function repetition(): void {
  const templates: Template[] = []
  for (let p = 0; p < fleet.pods; p += pods)
    templates.push(templateOf(p, Math.min(pods, fleet.pods - p), fleet))
  const series = new SeriesTable(4 * fleet.series)
  const rejects = new Rejects()
  const intake = new IngestIntake({ wiresMax: 8 * fleet.series }, { series, rejects })
  let rows = 0
  const take = (batch: SampleBatch) => {
    rows += batch.length
  }
  let step = 0
  const scrape = (): number => {
    const ms = T0 + step * STEP_MS
    let ns = 0
    for (const template of templates) {
      patchTime(template, ms)
      for (let p = 0; p < template.pods; p++) patchPod(template, p, step, STEP_MS / 1000, FACTORS.well)
      const bytes = template.block
      const before = cpuNs()
      intake.decode(
        { kind: 'remote-write-1', encoding: 'snappy', arrivalMs: ms, tenant: 'default', bytes },
        take,
      )
      ns += cpuNs() - before
    }
    step++
    return ns
  }
  const forgetAll = (): number => {
    const old = Array.from({ length: series.capacity }, (_, row) => row).filter(row => series.has(row))
    const before = cpuNs()
    for (const row of old) {
      intake.forget(row)
      series.evict(row)
    }
    return cpuNs() - before
  }
  const twoNew = scrape() + scrape()
  collect()
  const twoKnown = scrape() + scrape()
  first.push((twoNew - twoKnown) / fleet.series)
  known.push(twoKnown / (2 * fleet.series))
  for (const template of templates) for (let p = 0; p < template.pods; p++) replacePod(template, p, 1)
  churn.push((forgetAll() + scrape() + scrape() - twoKnown) / fleet.series)
  if (series.size !== fleet.series || rows < 5 * fleet.series)
    throw new Error(`${series.size} series, ${rows} rows`)
  if (Object.keys(rejects.counts()).length > 0) throw new Error(JSON.stringify(rejects.counts()))
}

const WARM = 1
for (let r = 0; r < Number(args.repetitions) + WARM; r++) {
  collect()
  repetition()
}
const size = `${fleet.series / 1000} k series`
const unit = 'ns CPU/series'
say([
  {
    id: 'first.ns',
    what: `intake: a series seen for the first time, ${size}`,
    unit,
    values: first.slice(WARM),
  },
  {
    id: 'first.churn.ns',
    what: '· one that takes the place of another, which is forgotten',
    unit,
    values: churn.slice(WARM),
  },
  { id: 'first.known.ns', what: '· one that is known', unit: 'ns CPU/sample', values: known.slice(WARM) },
])
