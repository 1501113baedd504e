// Shows that plain series have the policy that rich ones have: a budget is one account for both tiers and its threshold moves for
// both, an entity with series in both has one alert, rules and calendar count and hold for both, and a restart changes nothing.
import { describe, expect, it } from 'vitest'
import { featureBatch, opinionBatch } from '../../src/core/batch.ts'
import { SeriesTable } from '../../src/core/series.ts'
import type { Snapshot } from '../../src/core/snapshot.ts'
import { AlertPolicy, type PolicyOptions } from '../../src/detectors/alert-policy.ts'
import { DeviationDetector } from '../../src/detectors/deviation.ts'
import { Ensemble } from '../../src/detectors/ensemble.ts'
import { ENSEMBLE_DEFAULTS } from '../../src/detectors/ensemble-options.ts'
import { PlainAbsence } from '../../src/detectors/plain-absence.ts'
import { PlainDetector } from '../../src/detectors/plain-detector.ts'
import { SubTable } from '../../src/detectors/sub-table.ts'
import { TieredScoring } from '../../src/detectors/tiered-scoring.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { gaussian } from './contract.ts'
import { metaOf, NO_POLICY, START_MS } from './policy-world.ts'

const STEP_MS = 60_000
const ENTITIES = 20
/** Of each entity one series is rich and one plain: golden kinds come first. */
const metas = Array.from({ length: 2 * ENTITIES }, (_, i) =>
  metaOf(i < ENTITIES ? 'latency' : 'cpu', `svc${i % ENTITIES}`, {
    kind: i < ENTITIES ? 'latency' : 'cpu',
    bad: 'up',
  }),
)

class World {
  readonly told: string[] = []
  readonly scoring: TieredScoring
  readonly rows: SubTable
  readonly #batch = featureBatch(metas.length, 0)
  readonly #out = opinionBatch(metas.length)

  constructor(configured: Partial<PolicyOptions>) {
    const series = new SeriesTable()
    for (const meta of metas) series.intern(meta)
    // Nine tenths of the places are for those that come first, of them seven tenths for whatever kind.
    this.rows = new SubTable(series, Math.ceil(ENTITIES / 0.9))
    const options = { ...NO_POLICY, ...configured }
    const own = { series: this.rows, stepMs: STEP_MS }
    const elder = new AlertPolicy(options, ENSEMBLE_DEFAULTS, own)
    const rich = new Ensemble([new DeviationDetector(own)], ENSEMBLE_DEFAULTS, own, { policy: elder })
    const all = { series, stepMs: STEP_MS }
    const policy = new AlertPolicy(options, ENSEMBLE_DEFAULTS, all, elder)
    const shape = new PlainDetector(all)
    const silence = new PlainAbsence(all, shape)
    const plain = new Ensemble([shape], ENSEMBLE_DEFAULTS, all, { policy, silence })
    this.scoring = new TieredScoring({ series, rows: this.rows, rich, plain, stepMs: STEP_MS })
  }

  /** Noise; `strange` says how many times as large a row is. Suspects stay where they are: `review` is not called. */
  async windows(from: number, to: number, strange: (row: number, t: number) => number = () => 1) {
    const batch = this.#batch
    for (let t = from; t < to; t++) {
      batch.length = metas.length
      const random = mulberry32(t + 1)
      for (let row = 0; row < metas.length; row++) {
        batch.series[row] = row
        batch.windowEndMs[row] = START_MS + (t + 1) * STEP_MS
        batch.observed[row] = (10 + 0.3 * gaussian(random)) * strange(row, t)
        batch.coverage[row] = 1
      }
      await this.scoring.score(batch, this.#out)
      for (const { event, anomaly } of this.scoring.judge(batch))
        if (event !== 'updated') this.told.push(`${t} ${anomaly.metric} ${anomaly.entity} ${event}`)
      this.scoring.learn(batch, this.#out, new Float32Array(batch.length).fill(1))
    }
  }

  get budget() {
    return this.scoring.alerting()?.budgets[0]
  }
}

const opened = (world: World, metric: string) =>
  world.told.filter(line => line.includes(` ${metric} `) && line.endsWith('opened'))

describe('policy of two tiers', () => {
  it('is one budget: alerts of plain series are paid from it, and raise the threshold of all', async () => {
    const world = new World({ budgets: [{ name: 'all', alertsPerWeek: 50 }] })
    await world.windows(0, 60)
    expect(world.rows.size).toBe(ENTITIES)
    expect(world.budget).toMatchObject({ name: 'all', series: 2 * ENTITIES, pools: 1, promisedPerWeek: 50 })
    const before = world.budget?.openSurpriseLeast ?? 0
    const alertsBefore = world.told.filter(line => line.endsWith('opened')).length
    const strange = (row: number, t: number) => (row >= ENTITIES && row < ENTITIES + 4 && t < 66 ? 3 : 1)
    await world.windows(60, 90, strange)
    expect(opened(world, 'cpu').length).toBeGreaterThanOrEqual(4)
    const alerts = world.told.filter(line => line.endsWith('opened')).length - alertsBefore
    // A quarter of an order of magnitude for each alert, less what time takes back.
    expect(world.budget?.openSurpriseLeast).toBeGreaterThan(before + 0.25 * alerts - 0.1)
  })

  it('sets the threshold of plain series by it', async () => {
    // A move that a generous budget alerts of, and a stingy one does not.
    const slight = (row: number, t: number) => (row === ENTITIES + 3 && t >= 100 && t < 104 ? 1.35 : 1)
    const counts: number[] = []
    for (const alertsPerWeek of [5000, 0.001]) {
      const world = new World({ budgets: [{ name: 'all', alertsPerWeek }] })
      await world.windows(0, 110, slight)
      counts.push(opened(world, 'cpu').filter(line => line.includes('svc3 ')).length)
    }
    expect(counts).toEqual([1, 0])
  })

  it('counts one alert of an entity with series in both', async () => {
    const world = new World({ budget: 7 })
    await world.windows(0, 60)
    const before = world.budget?.achievedPerWeek ?? 0
    // First the plain series, and while it is open the rich one.
    await world.windows(60, 75, (row, t) => (row === ENTITIES + 5 || (row === 5 && t > 64) ? 4 : 1))
    expect(
      [...opened(world, 'cpu'), ...opened(world, 'latency')].filter(l => l.includes('svc5 ')),
    ).toHaveLength(2)
    expect((world.budget?.achievedPerWeek ?? 0) - before).toBe(1)
  })

  it('counts series of rules and calendar in both, and keeps both from alerting', async () => {
    const times = { zone: 'UTC', startMs: START_MS, nominalMs: 86_400_000, exactMs: 0 }
    const calendar = [{ name: 'all day', times, effect: 'suppress' as const }]
    const world = new World({ rules: [{ openSurprise: 3 }], calendar })
    await world.windows(0, 70, (row, t) => (row % ENTITIES < 4 && t > 60 ? 4 : 1))
    expect(world.told).toEqual([])
    const report = world.scoring.alerting()
    expect(report?.rules.map(({ series }) => series)).toEqual([2 * ENTITIES])
    expect(report?.calendar).toMatchObject([{ series: 2 * ENTITIES, windows: 70 * 2 * ENTITIES }])
  })

  it('is the same after a restart', async () => {
    const strange = (row: number, t: number) => (row % ENTITIES < 3 && t >= 60 && t < 70 ? 3 : 1)
    const make = () => new World({ budget: 7 })
    const whole = make()
    await whole.windows(0, 100, strange)
    for (const at of [61, 66, 80]) {
      const first = make()
      await first.windows(0, at, strange)
      const second = make()
      second.scoring.restore(structuredClone(first.scoring.snapshot()) as Snapshot[])
      await second.windows(at, 100, strange)
      expect([...first.told, ...second.told], `restart at ${at}`).toEqual(whole.told)
      expect(second.scoring.alerting()).toEqual(whole.scoring.alerting())
    }
  })
})
