// Shows more series than can have everything: the rich hear exactly what the ensemble alone says of them, the plain are watched
// too, a strange one becomes rich without its anomaly being told twice, and a restart at any window changes nothing.
import { describe, expect, it, vi } from 'vitest'
import { featureBatch, opinionBatch } from '../../src/core/batch.ts'
import type { DetectorContext } from '../../src/core/detector.ts'
import type { MetricKind } from '../../src/core/metric-kind.ts'
import { type SeriesMeta, SeriesTable, seriesKey } from '../../src/core/series.ts'
import type { Snapshot } from '../../src/core/snapshot.ts'
import type { AnomalyChange, Scoring } from '../../src/core/stages.ts'
import { AbsenceDetector } from '../../src/detectors/absence.ts'
import { DeviationDetector } from '../../src/detectors/deviation.ts'
import { Ensemble } from '../../src/detectors/ensemble.ts'
import { ENSEMBLE_DEFAULTS } from '../../src/detectors/ensemble-options.ts'
import { PlainDetector } from '../../src/detectors/plain-detector.ts'
import { profileMembers } from '../../src/detectors/profile-member.ts'
import { ShiftDetector } from '../../src/detectors/shift.ts'
import { SubTable } from '../../src/detectors/sub-table.ts'
import { TieredScoring } from '../../src/detectors/tiered-scoring.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { gaussian } from './contract.ts'

const STEP_MS = 60_000
const START_MS = Date.UTC(2026, 0, 5)
const KINDS: readonly MetricKind[] = ['latency', 'cpu']

function metaOf(at: number): SeriesMeta {
  const [kind, entity] = [KINDS[at % KINDS.length], `svc${Math.floor(at / KINDS.length)}`]
  const [metric, labels] = [kind, { service: entity }]
  return {
    metric,
    kind,
    unit: 's',
    labels,
    entity,
    bad: 'up',
    tenant: 'default',
    key: seriesKey(metric, labels),
  }
}

function ensembleOf(context: DetectorContext): Ensemble {
  const own = [
    ...profileMembers(context, 'tiny', []),
    new DeviationDetector(context),
    new ShiftDetector(context),
  ]
  return new Ensemble([...own, new AbsenceDetector(context)], ENSEMBLE_DEFAULTS, context)
}

function tiersOf(series: SeriesTable, limit: number) {
  const rows = new SubTable(series, limit)
  const context = { series, stepMs: STEP_MS }
  const rich = ensembleOf({ ...context, series: rows })
  const plain = new Ensemble([new PlainDetector(context)], ENSEMBLE_DEFAULTS, context)
  return { rows, scoring: new TieredScoring({ series, rows, rich, plain, stepMs: STEP_MS }) }
}

/** What a series says in a window: noise around a level of its own, and from `strangeFrom` on one is far off. */
function sampleOf(at: number, t: number, strange: number, strangeFrom: number): number {
  const noise = gaussian(mulberry32(1000 * at + t))
  return 1 + at / 10 + 0.02 * noise + (at === strange && t >= strangeFrom && t < strangeFrom + 12 ? 1 : 0)
}

class Run {
  readonly out = opinionBatch(100)
  readonly changes: (AnomalyChange & { readonly t: number })[] = []
  readonly heard: number[][] = []
  readonly #scoring: Scoring
  readonly #series: readonly number[]
  readonly #batch = featureBatch(100, 0)

  /** `series`: the numbers of the series told of, by row. */
  constructor(scoring: Scoring, series: readonly number[]) {
    this.#scoring = scoring
    this.#series = series
  }

  async windows(from: number, to: number, strange = -1, strangeFrom = 0): Promise<void> {
    const batch = this.#batch
    for (let t = from; t < to; t++) {
      batch.length = this.#series.length
      for (const [row, at] of this.#series.entries()) {
        batch.series[row] = row
        batch.windowEndMs[row] = START_MS + (t + 1) * STEP_MS
        batch.observed[row] = sampleOf(at, t, strange, strangeFrom)
        batch.coverage[row] = 1
      }
      await this.#scoring.score(batch, this.out)
      for (const change of this.#scoring.judge(batch, this.out)) this.changes.push({ ...change, t })
      this.#scoring.learn(batch, this.out, new Float32Array(batch.length).fill(1))
      this.#scoring.review(batch.windowEndMs[0], () => new Map())
      this.heard.push([...this.out.surprise.subarray(0, batch.length)])
    }
  }
}

function tableOf(count: number): SeriesTable {
  const series = new SeriesTable()
  for (let at = 0; at < count; at++) series.intern(metaOf(at))
  return series
}

const ALL = Array.from({ length: 40 }, (_, at) => at)

describe('tiers of series', () => {
  it('say of a rich series what the ensemble says of it alone', async () => {
    const { rows, scoring } = tiersOf(tableOf(40), 20)
    const tiers = new Run(scoring, ALL)
    await tiers.windows(0, 60)
    // 18 of 20 places are for those that come first, 12 of them for whatever kind; then golden kinds alone.
    const rich = ALL.filter(at => rows.of(at) >= 0)
    expect(rich).toEqual([...ALL.slice(0, 12), 12, 14, 16, 18, 20, 22])
    const table = new SeriesTable()
    for (const at of rich) table.intern(metaOf(at))
    const alone = new Run(ensembleOf({ series: table, stepMs: STEP_MS }), rich)
    await alone.windows(0, 60)
    expect(tiers.heard.map(heard => rich.map(at => heard[at]))).toEqual(alone.heard)
  })

  it('watch plain series too, and look closely at one that is strange', async () => {
    const { rows, scoring } = tiersOf(tableOf(40), 20)
    const run = new Run(scoring, ALL)
    await run.windows(0, 100, 37, 60)
    const told = run.changes.filter(({ anomaly }) => anomaly.series === 37)
    expect(told.map(({ event }) => event).filter(event => event !== 'updated')).toEqual(['opened', 'closed'])
    expect(told[0].t).toBeGreaterThanOrEqual(60)
    expect(told[0].t).toBeLessThan(64)
    expect(new Set(told.map(({ anomaly }) => anomaly.id)).size).toBe(1)
    expect(rows.of(37)).toBeGreaterThanOrEqual(0)
    expect(scoring.profileUse()).toMatchObject({ promotions: expect.any(Number), demotions: 0 })
  })

  it('close what was open of a rich series that is gone, whoever has its own row by then', async () => {
    for (const heard of [ALL.slice(0, 4), ALL]) {
      const { rows, scoring } = tiersOf(tableOf(40), 20)
      await new Run(scoring, ALL).windows(0, 156, 4, 150)
      const [open] = scoring.anomalies()
      expect(open).toMatchObject({ series: 4, status: 'open' })
      const own = rows.of(4)
      scoring.forget(4)
      const after = new Run(scoring, heard)
      await after.windows(156, 157)
      expect(after.changes).toMatchObject([
        { event: 'closed', anomaly: { id: open.id, key: open.key, series: -1, status: 'closed' } },
      ])
      expect(rows.has(own)).toBe(heard === ALL)
    }
  })

  it('go on after a restart at any window as if there had been none', async () => {
    const whole = tiersOf(tableOf(40), 20)
    const unbroken = new Run(whole.scoring, ALL)
    await unbroken.windows(0, 90, 37, 60)
    for (const at of [0, 1, 30, 61, 65, 80]) {
      const first = tiersOf(tableOf(40), 20)
      const before = new Run(first.scoring, ALL)
      await before.windows(0, at, 37, 60)
      const saved = structuredClone(first.scoring.snapshot()) as Snapshot[]
      const second = tiersOf(tableOf(40), 20)
      second.scoring.restore(saved)
      const after = new Run(second.scoring, ALL)
      await after.windows(at, 90, 37, 60)
      expect([...before.heard, ...after.heard], `restart after ${at}`).toEqual(unbroken.heard)
      const strip = ({ changes }: Run) => changes.map(({ t, event, anomaly: { id } }) => [t, event, id])
      expect([...strip(before), ...strip(after)]).toEqual(strip(unbroken))
    }
  })

  it('make a suspect plain again once it was quiet for a day and others are strange', async () => {
    const { rows, scoring } = tiersOf(tableOf(40), 10)
    const run = new Run(scoring, ALL)
    await run.windows(0, 100, 37, 60)
    expect(rows.of(37)).toBeGreaterThanOrEqual(0)
    await run.windows(100, 1700, 35, 1640)
    expect(rows.of(35)).toBeGreaterThanOrEqual(0)
    expect(rows.of(37)).toBe(-1)
    expect(rows.size).toBeLessThanOrEqual(10)
  })

  it('go on with fewer places, also without one for who had just become rich or was about to', async () => {
    for (const at of [61, 80]) {
      const before = tiersOf(tableOf(40), 20)
      await new Run(before.scoring, ALL).windows(0, at, 37, 60)
      const { rows, scoring } = tiersOf(tableOf(40), 10)
      scoring.restore(structuredClone(before.scoring.snapshot()) as Snapshot[])
      expect(rows.size).toBe(10)
      const run = new Run(scoring, ALL)
      await run.windows(at, at + 310, 37, 60)
      expect(rows.of(37)).toBe(-1)
      expect(run.heard.at(-1)?.every(surprise => surprise >= 0)).toBe(true)
    }
  })

  it('give the place of a series that is gone to the next', async () => {
    const series = tableOf(40)
    const { rows, scoring } = tiersOf(series, 20)
    const run = new Run(scoring, ALL)
    await run.windows(0, 30)
    expect(rows.of(3)).toBeGreaterThanOrEqual(0)
    const size = rows.size
    scoring.forget(3)
    series.evict(3)
    expect(rows.size).toBe(size - 1)
    expect(series.intern(metaOf(90))).toBe(3)
    await run.windows(30, 32)
    expect(rows.size).toBe(size)
    expect(rows.meta(rows.of(3)).key).toBe(metaOf(90).key)
  })

  it('let go of what is open in both, and try models again that could not be opened', async () => {
    const series = tableOf(1)
    const context = { series, stepMs: STEP_MS }
    const rows = new SubTable(series, 1)
    const [looking, plainly] = [
      new DeviationDetector({ ...context, series: rows }),
      new PlainDetector(context),
    ]
    const [rich, plain] = [looking, plainly].map(one => new Ensemble([one], ENSEMBLE_DEFAULTS, context))
    const scoring: Scoring = new TieredScoring({ series, rows, rich, plain, stepMs: STEP_MS })
    const [reopened, ...closed] = [
      vi.spyOn(rich, 'reopen'),
      vi.spyOn(looking, 'close'),
      vi.spyOn(plainly, 'close'),
    ]
    scoring.reopen?.()
    expect(reopened).toHaveBeenCalledTimes(1)
    await scoring.close?.()
    for (const one of closed) expect(one).toHaveBeenCalledTimes(1)
  })

  it('forget a series wholly that is gone when it was about to be heard from its new tier', async () => {
    const { scoring } = tiersOf(tableOf(40), 20)
    const run = new Run(scoring, ALL)
    const plain = () => scoring.detectors.find(({ id }) => id === 'plain@1')?.counts as Record<string, number>
    let t = 0
    while (plain().apprentices === 0) await run.windows(t, ++t, 37, 60)
    // After 300 windows it is heard from the rich tier; that is settled, and done with the next window.
    await run.windows(t, t + 300, 37, 60)
    const { series } = plain()
    scoring.forget(37)
    expect(plain().series).toBe(series - 1)
    expect(plain().apprentices).toBe(0)
  })
})
