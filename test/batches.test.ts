// Shows that nothing depends on where the batches of a window end: every event, every anomaly and every byte of what is learned
// of a series is the same in batches of any size (property), where all series are rich, where some and where all are plain, with
// series that come and go and a day that was seen; and that where rows are judged by each other batches are as large as can be.
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { BatchOptions } from '../src/assembly.ts'
import { parseConfig } from '../src/config.ts'
import type { SliceOptions } from '../src/slices.ts'
import { fleetEnvelopes, settings as fleetSettings, ShardWorld } from './shards/shard-world.ts'
import { expectSame, World } from './window-world.ts'

const MINUTE_MS = 60_000
/** All that looks at several rows: see `seesWhole` of src/assembly.ts. */
const JUDGED_TOGETHER = fleetSettings('20m', 1000)
const WITHOUT_BUDGETS = { richSeries: 30, budget: undefined, budgets: [] }
const FLEET = { services: 12, strange: [2, 7], churn: true }

/** `richSeries` of sixty or more; the pool for suspects and every size of profile are there. */
function config(richSeries: number, stepMinutes: number) {
  return parseConfig({
    ingest: { entityLabels: ['service'], maxSeries: 1000 },
    features: {
      step: `${stepMinutes}m`,
      lateness: '1ms',
      retention: `${20 * stepMinutes}m`,
      historyWindows: 30,
      expressions: [
        { metric: 'error_share', expression: 'rate(errors_total) / rate(requests_total)', unit: 'ratio' },
      ],
    },
    detection: {
      richSeries,
      combiner: true,
      pool: { size: 4, detectors: ['rcf', 'shapes'] },
      profiles: [{ metric: 'latency_seconds', profile: 'compact' }],
      rules: [{ metric: 'cpu_usage', openSurprise: 2 }],
    },
  })
}

type Part = Awaited<ReturnType<World['state']>>[number]

/** What was told; of the anomalies of one window rich series come first, batch by batch. */
function toldOf({ told }: { readonly told: readonly string[] }): string[] {
  return told.map(line => {
    const [at, anomalies, events, changes] = JSON.parse(line)
    const inAnyOrder = anomalies.map((one: unknown) => JSON.stringify(one)).sort()
    return JSON.stringify([at, inAnyOrder, events, changes])
  })
}

/** Profiles give their rows out as series come to them, rich ones batch by batch: what is learned is compared by series. */
function bySeries(part: Part): unknown {
  const [id, version, keys, meta, columns] = part as [
    string,
    number,
    string[],
    { counts?: number[] },
    [string, string][],
  ]
  if (id !== 'profile@1' || meta.counts === undefined) return part
  const rows: [string, string][] = []
  const add = (prefix: string, own: readonly string[]) => {
    for (const [name, bytes] of columns) {
      if (!name.startsWith(prefix)) continue
      const width = bytes.length / own.length
      for (const [i, key] of own.entries())
        rows.push([`${key} ${name}`, bytes.slice(i * width, (i + 1) * width)])
    }
  }
  add('combiner.', keys)
  for (const [tier, from] of [0, meta.counts[0], meta.counts[0] + meta.counts[1]].entries())
    add(['tiny.', 'compact.', 'full.'][tier], keys.slice(from, from + meta.counts[tier]))
  const others = columns.filter(([name]) => !/^(tiny|compact|full|combiner)\./.test(name))
  return [id, version, meta, others, rows.sort(([a], [b]) => (a < b ? -1 : 1))]
}

async function run(
  settings: ReturnType<typeof config>,
  envelopes: ReturnType<typeof fleetEnvelopes>,
  batches?: BatchOptions,
) {
  const world = new World(settings, undefined, batches)
  await world.take(envelopes)
  await world.finish()
  const state = await world.state()
  return { told: toldOf(world), state: state.map(bySeries) }
}

describe('batches', () => {
  for (const [name, richSeries] of [
    ['where all series are rich', 1000],
    ['where some are plain', 30],
    ['where all but one are plain', 1],
  ] as const)
    it(`end anywhere and nothing depends on it, ${name}`, async () => {
      const settings = config(richSeries, 1)
      const envelopes = fleetEnvelopes(FLEET, 0, 90)
      const whole = await run(settings, envelopes)
      expect(whole.told.some(line => line.includes('opened'))).toBe(true)
      const sizes = fc.oneof(fc.constantFrom(1, 7, 64), fc.integer({ min: 2, max: 70 }))
      await fc.assert(
        fc.asyncProperty(sizes, async rows => {
          const parts = await run(settings, envelopes, { batchRows: rows })
          expectSame(parts.told, whole.told)
          for (const [i, part] of whole.state.entries()) expectSame(parts.state[i], part)
        }),
        { numRuns: 2, examples: [[1]] },
      )
    })

  it('end anywhere once days were seen', async () => {
    const settings = config(30, 30)
    const envelopes = fleetEnvelopes({ ...FLEET, stepMs: 30 * MINUTE_MS }, 0, 200)
    const whole = await run(settings, envelopes)
    const parts = await run(settings, envelopes, { batchRows: 7 })
    expectSame(parts.told, whole.told)
    for (const [i, part] of whole.state.entries()) expectSame(parts.state[i], part)
  })

  for (const [name, settings] of [
    ['with budgets', JUDGED_TOGETHER],
    ['with tiers', { ...JUDGED_TOGETHER, detection: { ...JUDGED_TOGETHER.detection, ...WITHOUT_BUDGETS } }],
  ] as const)
    it(`end anywhere where rows are judged by each other, ${name}`, async () => {
      const envelopes = fleetEnvelopes(FLEET, 0, 90)
      const whole = await run(settings, envelopes)
      const apart = await run(settings, envelopes, { batchRows: 7 })
      expect(isDeepStrictEqual(apart.state, whole.state)).toBe(false)
      for (const batchRows of [1, 7]) {
        const parts = await run(settings, envelopes, { batchRows, isWhole: () => true })
        expectSame(parts.told, whole.told)
        for (const [i, part] of whole.state.entries()) expectSame(parts.state[i], part)
      }
    })

  it.each([
    ['one worker', 1, 0, 80],
    ['two workers', 2, 2, 44],
  ])(
    'end anywhere where rows are judged by each other, for %s',
    async (_, workers, others, minutes) => {
      const envelopes = fleetEnvelopes(FLEET, 0, minutes)
      const toldBy = async (count: number, batches?: BatchOptions) => {
        const world = new ShardWorld(JUDGED_TOGETHER, count, batches ? { batches } : {})
        await world.take(envelopes)
        await world.pipeline.finish(envelopes.length + 1)
        await world.close()
        return toldOf(world)
      }
      expectSame(await toldBy(workers, { batchRows: 7, isWhole: () => true }), await toldBy(others))
    },
    120_000,
  )

  it('are all taken before more rows of their window are made ready, beside a worker', async () => {
    const envelopes = fleetEnvelopes(FLEET, 0, 44)
    const batches = { batchRows: 7, windowRows: 28, isWhole: () => true }
    const toldBy = async (count: number, slices?: SliceOptions) => {
      const world = new ShardWorld(JUDGED_TOGETHER, count, { batches, ...(slices ? { slices } : {}) })
      await world.take(envelopes)
      await world.pipeline.finish(envelopes.length + 1)
      await world.close()
      return toldOf(world)
    }
    expectSame(await toldBy(1), await toldBy(0, { above: 0, ms: 0 }))
  }, 120_000)
})
