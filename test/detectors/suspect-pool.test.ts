// Shows the pool for suspects in a real ensemble with a real history: who comes in and who goes is decided by rows, the
// cap holds, what has no room is counted, an admitted series has an opinion of the costly detectors in the very next
// window, a snapshot brings it all back, and without a pool the ensemble says what it always said.
import { describe, expect, it } from 'vitest'
import { featureBatch, opinionBatch, scoreBatch } from '../../src/core/batch.ts'
import type { DetectorContext } from '../../src/core/detector.ts'
import type { MetricKind } from '../../src/core/metric-kind.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { DeviationDetector } from '../../src/detectors/deviation.ts'
import { Ensemble } from '../../src/detectors/ensemble.ts'
import { ENSEMBLE_DEFAULTS } from '../../src/detectors/ensemble-options.ts'
import { type PooledDetector, SuspectPool } from '../../src/detectors/suspect-pool.ts'
import { WindowHistory } from '../../src/features/history.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { gaussian, testSeries } from './contract.ts'

const STEP_MS = 10_000
const START_MS = Date.UTC(2026, 0, 5)
const HISTORY = 200

interface World {
  readonly series: SeriesTable
  readonly pool: SuspectPool
  readonly ensemble: Ensemble
  readonly history: WindowHistory
}

function world(
  size: number,
  detectors: readonly PooledDetector[],
  kinds: readonly MetricKind[],
  entities: readonly string[] = [],
  rules: Pick<DetectorContext, 'direction'> = {},
): World {
  const series = new SeriesTable(100)
  const context = { series, stepMs: STEP_MS, ...rules }
  for (const [i, kind] of kinds.entries())
    series.intern({ ...testSeries(`s${i}`, kind), entity: entities[i] ?? 'test' })
  const history = new WindowHistory({ stepMs: STEP_MS, depth: HISTORY }, context)
  const pool = new SuspectPool({ size, detectors }, context, history)
  const ensemble = new Ensemble([new DeviationDetector(context)], ENSEMBLE_DEFAULTS, context, { pool })
  return { series, pool, ensemble, history }
}

/** One window through score, judge, record and learn, as the pipeline does it, and the pool settled; returns the opinions. */
async function step({ ensemble, history, pool }: World, t: number, values: readonly number[]) {
  const batch = featureBatch(values.length, 0)
  const opinions = opinionBatch(values.length)
  batch.length = values.length
  for (const [i, value] of values.entries()) {
    batch.series[i] = i
    batch.windowEndMs[i] = START_MS + (t + 1) * STEP_MS
    batch.observed[i] = value
    batch.coverage[i] = 1
  }
  await ensemble.score(batch, opinions)
  const changes = ensemble.judge(batch, opinions)
  history.record(batch, opinions)
  ensemble.learn(batch, opinions, new Float32Array(values.length).fill(1))
  pool.settle()
  return { opinions, changes, batch }
}

const OTHERS: readonly MetricKind[] = ['other', 'other', 'other', 'other', 'other', 'other']

function quiet(seed: number, count: number) {
  const random = mulberry32(seed)
  return () => Array.from({ length: count }, (_, i) => 50 + 10 * i + gaussian(random))
}

describe('the pool for suspects', () => {
  it('takes golden signals while there is room, suspects before them, and never more than its size', async () => {
    const w = world(3, ['flatline'], ['latency', 'error', 'other', 'traffic', 'availability', 'other'])
    const next = quiet(1, 6)
    for (let t = 0; t < 120; t++) await step(w, t, next())
    expect(w.pool.counts().held).toBe(3)
    const golden = [0, 1, 3, 4].filter(series => w.pool.slots.slotOf(series) >= 0)
    expect(golden.length).toBe(3 - [2, 5].filter(series => w.pool.slots.slotOf(series) >= 0).length)
    // Series 2 jumps: a suspect takes the place of what was no suspect, or not lately.
    for (let t = 120; t < 124; t++) {
      const values = next()
      values[2] += 40
      await step(w, t, values)
    }
    expect(w.pool.slots.slotOf(2)).toBeGreaterThanOrEqual(0)
    expect(w.pool.counts().held).toBe(3)
    expect(w.pool.counts().admitted).toBe(3 + w.pool.counts().evicted)
  })

  it('keeps half of its places for golden signals of entities that matter, the most important first', async () => {
    const kinds: readonly MetricKind[] = [
      'other',
      'other',
      'other',
      'other',
      'latency',
      'error',
      'traffic',
      'cpu',
    ]
    const entities = ['a', 'a', 'a', 'a', 'door', 'door', 'cart', 'cart']
    const w = world(4, ['flatline'], kinds, entities)
    const next = quiet(7, 8)
    const held = () => kinds.flatMap((_, series) => (w.pool.slots.slotOf(series) >= 0 ? [series] : []))
    const endMs = (t: number) => START_MS + (t + 1) * STEP_MS
    const strange = async (from: number, to: number, important: readonly (readonly [string, number])[]) => {
      for (let t = from; t < to; t++) {
        await step(
          w,
          t,
          next().map((value, i) => (i < 4 ? value + (t % 2 === 0 ? 90 : -90) : value)),
        )
        w.ensemble.review(endMs(t), () => new Map(important))
      }
    }
    for (let t = 0; t < 60; t++) await step(w, t, next())
    // Four suspects, and nobody that matters: golden signals without a surprise have no claim.
    await strange(60, 70, [])
    expect(held()).toEqual([0, 1, 2, 3])
    // A review lets in those who matter, however suspicious the others are.
    await strange(70, 135, [['default/door', 0.5]])
    expect(held()).toContain(4)
    expect(held()).toContain(5)
    // Suspects do not drive them out, and what matters more does; cpu is no golden signal.
    await strange(135, 210, [
      ['default/door', 0.5],
      ['default/cart', 1],
    ])
    expect(held()).toContain(6)
    expect(held()).not.toContain(7)
    expect(held().filter(series => series >= 4)).toHaveLength(2)
    const again = world(4, ['flatline'], kinds, entities)
    again.ensemble.restore(w.ensemble.snapshot().map(part => structuredClone(part)))
    expect(again.ensemble.snapshot().find(({ id }) => id === 'pool')).toEqual(
      w.ensemble.snapshot().find(({ id }) => id === 'pool'),
    )
  })

  it('refuses and counts suspects when all in it still are', async () => {
    const w = world(2, ['flatline'], OTHERS)
    const next = quiet(2, 6)
    for (let t = 0; t < 100; t++) await step(w, t, next())
    for (let t = 100; t < 108; t++)
      await step(
        w,
        t,
        next().map((value, i) => (i < 5 ? value + 60 : value)),
      )
    expect(w.pool.counts().held).toBe(2)
    expect(w.pool.counts().refused).toBeGreaterThan(0)
    // The first five are alike in surprise only by chance; whoever is in stays while it is a suspect.
    const held = [0, 1, 2, 3, 4, 5].filter(series => w.pool.slots.slotOf(series) >= 0)
    expect(held).toHaveLength(2)
    w.ensemble.forget(held[0])
    expect(w.pool.slots.slotOf(held[0])).toBe(-1)
    expect(w.pool.counts().held).toBe(1)
  })

  it('gives an admitted series the opinion of every detector in the next window, from its past', async () => {
    const detectors: PooledDetector[] = ['rcf', 'sr', 'shapes', 'flatline']
    const w = world(2, detectors, ['other', 'other'])
    const next = quiet(3, 2)
    for (let t = 0; t < 180; t++) await step(w, t, next())
    const before = w.pool.slots.slotOf(1)
    for (let t = 180; t < 184; t++) {
      const [a, b] = next()
      await step(w, t, [a, b + 30])
    }
    const slot = w.pool.slots.slotOf(1)
    expect(slot).toBeGreaterThanOrEqual(0)
    expect(w.pool.counts().cold).toBe(0)
    expect(before).toBe(-1)
    const { batch } = await step(w, 184, next())
    for (const member of w.pool.members) {
      const out = scoreBatch(2)
      await member.score(batch, out)
      expect(out.point[0]).toBeNaN()
      expect(out.point[1]).toBeGreaterThanOrEqual(0)
      expect(out.incident[1]).toBeGreaterThanOrEqual(0)
      // The level came with the past.
      expect(Math.abs(out.expected[1] - 60)).toBeLessThan(15)
    }
    // One that comes in without a past must be observed first.
    const cold = world(2, ['rcf'], ['latency', 'other'])
    await cold.ensemble.score(batch, opinionBatch(2))
    cold.ensemble.learn(batch, opinionBatch(2), new Float32Array(2))
    cold.pool.settle()
    expect(cold.pool.counts()).toMatchObject({ admitted: 1, cold: 1 })
    const out = scoreBatch(2)
    await cold.pool.members[0].score(batch, out)
    expect(out.point[0]).toBeNaN()
  })

  it('hears which way rules say is bad of a series, whichever place it has', async () => {
    const ruled = { direction: (row: number) => (row === 1 ? 'both' : undefined) } as const
    const points: number[] = []
    for (const rules of [{}, ruled]) {
      // Series 1 has the only place.
      const w = world(1, ['shapes'], ['other', 'latency'], [], rules)
      const next = quiet(5, 2)
      for (let t = 0; t < 130; t++) await step(w, t, next())
      const { batch } = await step(w, 130, [50, 20])
      const out = scoreBatch(2)
      await w.pool.members[0].score(batch, out)
      points.push(out.point[1])
    }
    expect(points[1]).toBeGreaterThan(2 * points[0])
  })

  it('says nothing of series that are not in it', async () => {
    const w = world(2, ['rcf', 'shapes'], OTHERS)
    const bare = world(2, ['rcf'], OTHERS)
    const plain = new Ensemble(
      [new DeviationDetector({ series: bare.series, stepMs: STEP_MS })],
      ENSEMBLE_DEFAULTS,
      {
        series: bare.series,
        stepMs: STEP_MS,
      },
    )
    const [a, b] = [quiet(4, 6), quiet(4, 6)]
    let compared = 0
    for (let t = 0; t < 150; t++) {
      // Decided by the windows before: what comes in now is heard from the next window on.
      const held = [0, 1, 2, 3, 4, 5].filter(series => w.pool.slots.slotOf(series) >= 0)
      const pooled = await step(w, t, a())
      const other = await step({ ...bare, ensemble: plain }, t, b())
      for (let i = 0; i < 6; i++) {
        if (held.includes(i)) continue
        expect(pooled.opinions.surprise[i]).toBe(other.opinions.surprise[i])
        compared++
      }
    }
    expect(compared).toBeGreaterThan(300)
    expect(plain.pool()).toEqual({})
  })

  it('goes on after a restart as if it had never stopped', async () => {
    const values = () => {
      const next = quiet(5, 6)
      return (t: number) =>
        next().map((value, i) => (t % 40 > 34 && i === Math.floor(t / 40) ? value + 90 : value))
    }
    const whole = world(2, ['rcf', 'hst', 'sr', 'shapes', 'flatline'], OTHERS)
    const stopped = world(2, ['rcf', 'hst', 'sr', 'shapes', 'flatline'], OTHERS)
    const [a, b] = [values(), values()]
    for (let t = 0; t < 130; t++) {
      await step(whole, t, a(t))
      await step(stopped, t, b(t))
    }
    expect(stopped.pool.counts().admitted).toBeGreaterThan(1)
    const again = world(2, ['rcf', 'hst', 'sr', 'shapes', 'flatline'], OTHERS)
    again.ensemble.restore(stopped.ensemble.snapshot().map(part => structuredClone(part)))
    again.history.restore([structuredClone(stopped.history.snapshot())])
    expect(again.pool.counts()).toEqual(stopped.pool.counts())
    for (let t = 130; t < 220; t++) {
      const [one, two] = [await step(whole, t, a(t)), await step(again, t, b(t))]
      for (const column of ['surprise', 'point', 'incident', 'expected'] as const)
        expect(two.opinions[column]).toEqual(one.opinions[column])
    }
    expect(again.pool.counts()).toEqual(whole.pool.counts())
  })
})
