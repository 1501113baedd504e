// Shows the multivariate detector as a member of the ensemble: the detector contract holds (of entities, since it judges
// their metrics together), it says of live rows what the recorded entity's detector says, batches cut entities as they
// may, metrics and entities come and go without a restart, and the budget is kept, golden signals first.
import { describe, expect, it } from 'vitest'
import { type FeatureBatch, featureBatch, scoreBatch } from '../../src/core/batch.ts'
import type { MetricKind } from '../../src/core/metric-kind.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { RidgeDetector } from '../../src/detectors/ridge.ts'
import { costOf } from '../../src/detectors/ridge-cover.ts'
import { RidgeMember } from '../../src/detectors/ridge-member.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { decodeCheckpoint } from '../../src/store/checkpoint-format.ts'
import { encoded } from '../store/encoded.ts'
import { detectorContract, gaussian, testSeries } from './contract.ts'

const STEP_MS = 900_000
const DAY = 96
const OPTIONS = { maxMetrics: 120, budgetBytes: 64e6, cpuShare: 1, warmUpMax: 1440 }

detectorContract('ridge@1', context => new RidgeMember(context, OPTIONS), { together: true })

interface World {
  readonly series: SeriesTable
  readonly member: RidgeMember
  /** Series rows by entity and metric. */
  readonly rows: number[][]
  readonly random: () => number
}

function world(entities: number, metrics: number, options = OPTIONS, kind: MetricKind = 'other'): World {
  const series = new SeriesTable(10_000)
  const rows = Array.from({ length: entities }, (_, e) =>
    Array.from({ length: metrics }, (_, m) => intern(series, e, m, kind)),
  )
  const member = new RidgeMember({ series, stepMs: STEP_MS }, options)
  return { series, member, rows, random: mulberry32(3) }
}

function intern(series: SeriesTable, entity: number, metric: number, kind: MetricKind = 'other'): number {
  return series.intern({ ...testSeries(`e${entity}:m${metric}`, kind), entity: `e${entity}` })
}

/** `e0:m3` is four times the load. */
function factorOf(series: SeriesTable, row: number): number {
  return Number(series.meta(row).metric.split('m')[1]) + 1
}

/** One window of metrics that share a daily load per entity; NaN in `change` takes a row out of the batch. */
function window(w: World, t: number, change: (value: number, entity: number, metric: number) => number) {
  const cells: [row: number, value: number][] = []
  for (const [e, metrics] of w.rows.entries()) {
    const load = 10 + 3 * Math.sin((2 * Math.PI * t) / DAY + e) + 0.5 * gaussian(w.random)
    for (const [m, row] of metrics.entries())
      cells.push([row, change(factorOf(w.series, row) * (load + 0.2 * gaussian(w.random)), e, m)])
  }
  const kept = cells.filter(([, value]) => !Number.isNaN(value)).sort((a, b) => a[0] - b[0])
  const batch = featureBatch(Math.max(1, kept.length), 0)
  batch.length = kept.length
  for (const [i, [row, value]] of kept.entries()) {
    batch.series[i] = row
    batch.windowEndMs[i] = (t + 1) * STEP_MS
    batch.observed[i] = value
    batch.coverage[i] = 1
  }
  return batch
}

const asIs = (value: number) => value

async function step(w: World, batch: FeatureBatch) {
  const out = scoreBatch(batch.capacity)
  await w.member.score(batch, out)
  w.member.learn(batch, new Float32Array(batch.length).fill(1))
  return out
}

async function run(w: World, from: number, to: number, change = asIs as Parameters<typeof window>[2]) {
  let out = scoreBatch(0)
  for (let t = from; t < to; t++) out = await step(w, window(w, t, change))
  return out
}

const mean = (values: Iterable<number>) => {
  const known = [...values].filter(v => !Number.isNaN(v))
  return known.reduce((sum, v) => sum + v, 0) / known.length
}

describe('the live member', () => {
  it('expects of each metric what the recorded entity’s detector expects, beside other entities', async () => {
    const w = world(3, 70)
    const recorded = new RidgeDetector({ metrics: 70, stepMs: STEP_MS })
    for (let t = 0; t < 3 * DAY; t++) {
      // Metric 5 has gaps, and entity 0 is silent for a while.
      const batch = window(w, t, (v, e, m) =>
        (m === 5 && t % 7 === 3) || (e === 0 && t > 150 && t < 160) ? NaN : v,
      )
      const values = new Float64Array(70).fill(NaN)
      for (let i = 0; i < batch.length; i++) {
        const m = w.rows[0].indexOf(batch.series[i])
        if (m >= 0) values[m] = batch.observed[i]
      }
      const out = await step(w, batch)
      if (values.every(Number.isNaN)) continue
      const opinion = recorded.next(values, 1, batch.windowEndMs[0] - STEP_MS)
      for (let i = 0; i < batch.length; i++) {
        const m = w.rows[0].indexOf(batch.series[i])
        if (m >= 0) expect(out.expected[i]).toBe(opinion.expected[m])
      }
    }
    expect(w.member.counts()).toMatchObject({ entities: 3, series: 210, 'series-waiting': 0 })
  })

  it('blames the metric that no longer fits, and expects what the others say', async () => {
    const w = world(2, 8)
    await run(w, 0, 4 * DAY)
    const quiet = await run(w, 4 * DAY, 4 * DAY + 20)
    // An ordinary value for the metric alone, but not beside the others.
    const t = 4 * DAY + 20
    const batch = window(w, t, asIs)
    const at = w.rows[1][3]
    const normal = batch.observed[at]
    batch.observed[at] = normal > 40 ? 28 : 52
    const out = await step(w, batch)
    expect(out.point[at]).toBeGreaterThan(2)
    expect(out.point[at]).toBeGreaterThan(mean(quiet.point) + 1)
    expect(Math.max(...out.point)).toBe(out.point[at])
    expect(Math.max(...out.incident)).toBe(out.incident[at])
    expect(Math.abs(out.expected[at] - normal)).toBeLessThan(Math.abs(batch.observed[at] - normal) / 2)
    expect(out.lower[at]).toBeLessThan(out.expected[at])
    expect(w.member.why(at)[0]).toContain('given the 7 other metrics of e1')
  })

  it('hears which way rules say is bad', async () => {
    const [rising, either] = [world(1, 4, OPTIONS, 'latency'), world(1, 4, OPTIONS, 'availability')]
    const { series } = rising
    const member = new RidgeMember({ series, stepMs: STEP_MS, direction: () => 'both' }, OPTIONS)
    const fall: Parameters<typeof window>[2] = (value, _, metric) => (metric === 3 ? value / 2 : value)
    const point = async (w: World) => {
      await run(w, 0, 2 * DAY)
      return (await run(w, 2 * DAY, 2 * DAY + 1, fall)).point[3]
    }
    const asRuled = await point({ ...rising, member, random: mulberry32(3) })
    expect(asRuled).toBe(await point(either))
    expect(asRuled).toBeGreaterThan(await point(rising))
  })

  it('judges an entity once a window when batches cut it, and the same whole entities in either batch', async () => {
    const w = world(2, 4)
    const cut = world(2, 4)
    await run(w, 0, 2 * DAY)
    await run(cut, 0, 2 * DAY)
    const batch = window(w, 2 * DAY, asIs)
    const all = await step(w, batch)
    const halves = [0, 4].map(from => {
      const half = featureBatch(4, 0)
      half.length = 4
      half.series.set(batch.series.subarray(from, from + 4))
      half.windowEndMs.fill((2 * DAY + 1) * STEP_MS)
      half.observed.set(batch.observed.subarray(from, from + 4))
      return half
    })
    expect([...(await step(cut, halves[0])).point]).toEqual([...all.point.subarray(0, 4)])
    expect([...(await step(cut, halves[1])).point]).toEqual([...all.point.subarray(4, 8)])
    // Seen again in the same window: nothing is said and nothing learned.
    expect([...(await step(cut, halves[0])).point]).toEqual([NaN, NaN, NaN, NaN])
    const [next, after] = [await run(w, 2 * DAY + 1, 2 * DAY + 2), window(cut, 2 * DAY, asIs)]
    expect(after.length).toBe(8)
    expect([...(await run(cut, 2 * DAY + 1, 2 * DAY + 2)).point]).toEqual([...next.point])
  })
})

describe('metrics that come and go', () => {
  it('leaves the others as they were when one appears, and judges it after a while', async () => {
    const w = world(1, 6)
    const same = world(1, 6)
    await run(w, 0, 3 * DAY)
    await run(same, 0, 3 * DAY)
    const late = intern(w.series, 0, 6)
    const hidden = mulberry32(9)
    for (let t = 3 * DAY; t < 6 * DAY; t++) {
      const batch = window(same, t, asIs)
      const usual = await step(same, batch)
      const wider = featureBatch(7, 0)
      wider.length = 7
      wider.series.set([...batch.series, late])
      wider.windowEndMs.fill(batch.windowEndMs[0])
      wider.observed.set([...batch.observed, 5 * (batch.observed[0] + 0.2 * gaussian(hidden))])
      const out = await step(w, wider)
      if (t < 3 * DAY + 30) {
        for (let i = 0; i < 6; i++) expect(Math.abs(out.point[i] - usual.point[i])).toBeLessThan(0.05)
        expect(out.point[6]).toBeNaN()
      }
      if (t === 6 * DAY - 1) expect(out.point[6]).not.toBeNaN()
    }
    // By now it is known how it goes with the others.
    const batch = window(same, 6 * DAY, asIs)
    const wider = featureBatch(7, 0)
    wider.length = 7
    wider.series.set([...batch.series, late])
    wider.windowEndMs.fill(batch.windowEndMs[0])
    wider.observed.set([...batch.observed, 5 * batch.observed[0] + 25])
    const out = await step(w, wider)
    expect(Math.abs(out.expected[6] - 5 * batch.observed[0])).toBeLessThan(6)
    expect(out.point[6]).toBe(Math.max(...out.point))
  })

  it('drops what is forgotten and keeps what the others learned', async () => {
    const w = world(1, 6)
    await run(w, 0, 3 * DAY)
    const before = await run(w, 3 * DAY, 3 * DAY + 1)
    w.member.forget(w.rows[0][2])
    w.series.evict(w.rows[0][2])
    w.rows[0].splice(2, 1)
    const after = await run(w, 3 * DAY + 1, 3 * DAY + 2)
    expect([...after.point].filter(p => !(p >= 0 && p < 2.5))).toEqual([])
    expect(before.point).toHaveLength(6)
    expect(w.member.counts()).toMatchObject({ entities: 1, series: 5 })
    for (const row of w.rows[0]) w.member.forget(row)
    expect(w.member.counts()).toEqual({ entities: 0, series: 0, 'entities-waiting': 0, 'series-waiting': 0 })
  })

  it('goes on after a restart without the metric that is gone', async () => {
    const w = world(2, 6)
    await run(w, 0, 3 * DAY)
    const saved = w.member.snapshot()
    const later = world(0, 0)
    // Other rows, and one series fewer.
    for (const e of [1, 0]) for (let m = 5; m >= 0; m--) if (e !== 1 || m !== 2) intern(later.series, e, m)
    later.rows.push(
      [0, 1, 2, 3, 4, 5].map(m => intern(later.series, 0, m)),
      [0, 1, 3, 4, 5].map(m => intern(later.series, 1, m)),
    )
    const member = new RidgeMember({ series: later.series, stepMs: STEP_MS }, OPTIONS)
    member.restore({ ...saved, meta: JSON.parse(JSON.stringify(saved.meta)) })
    const out = await run({ ...later, member }, 3 * DAY, 3 * DAY + 1)
    expect(out.point.every(p => p >= 0)).toBe(true)
    expect(member.counts()).toMatchObject({ entities: 2, series: 11 })
    const other = new RidgeMember({ series: later.series, stepMs: 2 * STEP_MS }, OPTIONS)
    expect(() => other.restore(saved)).toThrow(expect.objectContaining({ code: 'FS_SNAPSHOT_INVALID' }))
  })
})

describe('a saved state', () => {
  it('is a copy, and comes back from the bytes of a checkpoint as it was', async () => {
    const w = world(3, 6)
    await run(w, 0, 2 * DAY)
    const part = w.member.snapshot()
    const before = structuredClone(part)
    w.rows[1].push(intern(w.series, 1, 6))
    await run(w, 2 * DAY, 2 * DAY + 70)
    expect(part).toEqual(before)
    const bytes = encoded({ position: 1, savedMs: 0, parts: [part] })
    let at = 0
    const { parts } = await decodeCheckpoint(async into => {
      bytes.copy(into, 0, at, at + into.length)
      at += into.length
    })
    const again = new RidgeMember({ series: w.series, stepMs: STEP_MS }, OPTIONS)
    again.restore(parts[0])
    expect(again.snapshot()).toEqual(before)
  })
})

describe('the budget', () => {
  it('covers as many entities as there is room for, counts the others and takes them when there is', async () => {
    const each = costOf(5, STEP_MS, 1440).bytes
    const w = world(4, 5, { ...OPTIONS, budgetBytes: 2.5 * each })
    await run(w, 0, 3)
    expect(w.member.counts()).toEqual({
      entities: 2,
      series: 10,
      'entities-waiting': 2,
      'series-waiting': 10,
    })
    for (const row of w.rows[0]) w.member.forget(row)
    w.rows[0] = []
    await run(w, 3, 5)
    expect(w.member.counts()).toMatchObject({ entities: 2, 'entities-waiting': 1 })
  })

  it('keeps to its share of a core', async () => {
    const { ops } = costOf(5, STEP_MS, 1440)
    const w = world(4, 5, { ...OPTIONS, cpuShare: (3.5 * ops) / (STEP_MS * 400_000) })
    await run(w, 0, 3)
    expect(w.member.counts()).toMatchObject({ entities: 3, 'entities-waiting': 1 })
  })

  it('is given back by many series in time that does not grow with those that wait', async () => {
    const budgetBytes = 500 * costOf(2, STEP_MS, 1440).bytes
    const series = new SeriesTable(50_000)
    const member = new RidgeMember({ series, stepMs: STEP_MS }, { ...OPTIONS, budgetBytes })
    const w = { ...world(0, 0), series, member }
    for (let e = 0; e < 25_000; e++) w.rows.push([intern(series, e, 0), intern(series, e, 1)])
    await step(w, window(w, 0, asIs))
    expect(member.counts()).toMatchObject({ entities: 500, 'entities-waiting': 24_500 })
    const began = process.cpuUsage()
    for (let row = 0; row < 1000; row++) member.forget(row)
    const { user, system } = process.cpuUsage(began)
    // A second where all that wait were gathered for each.
    expect((user + system) / 1e6).toBeLessThan(0.3)
  })

  it('gives the place of an entity without golden signals to one that has them', async () => {
    const each = costOf(5, STEP_MS, 1440).bytes
    const w = world(2, 5, { ...OPTIONS, budgetBytes: 2.5 * each }, 'memory')
    await run(w, 0, 3)
    w.rows.push([0, 1, 2, 3, 4].map(m => intern(w.series, 2, m, m === 4 ? 'latency' : 'cpu')))
    await run(w, 3, 5)
    expect(w.member.counts()).toMatchObject({ entities: 2, 'entities-waiting': 1 })
    const out = await run(w, 5, DAY + 30)
    expect(out.point.subarray(10).every(p => p >= 0)).toBe(true)
    expect(out.point.subarray(5, 10).every(Number.isNaN)).toBe(true)
  })

  it('takes golden signals first where an entity has too many metrics', async () => {
    const w = world(0, 0, { ...OPTIONS, maxMetrics: 3 })
    w.rows.push(
      ['cpu', 'memory', 'latency', 'cpu', 'error'].map((kind, m) =>
        intern(w.series, 0, m, kind as MetricKind),
      ),
    )
    const out = await run(w, 0, 2 * DAY)
    expect([...out.point].map(Number.isNaN)).toEqual([false, true, false, true, false])
    expect(w.member.counts()).toMatchObject({ series: 3, 'series-waiting': 2 })
  })
})
