// The one contract that every detector passes. Each case runs the detector over the same seeded windows of
// eight series (noisy, daily, stepped, constant, sparse, late, wild, signed) and compares runs bit by bit.
import { describe, expect, it } from 'vitest'
import { type FeatureBatch, featureBatch, type ScoreBatch, scoreBatch } from '../../src/core/batch.ts'
import type { Detector, DetectorContext } from '../../src/core/detector.ts'
import type { MetricKind } from '../../src/core/metric-kind.ts'
import { type SeriesMeta, SeriesTable } from '../../src/core/series.ts'
import type { Snapshot } from '../../src/core/snapshot.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'

export interface ContractSettings {
  /** Window step, ms; the default makes a day 48 windows. */
  readonly stepMs?: number
  /** Windows per run; by default three times the warm-up, at least 240. */
  readonly windows?: number
  /** The detector judges the series of an entity together: what holds of a row alone holds of an entity alone. */
  readonly together?: boolean
}

const COLUMNS = ['score', 'point', 'incident', 'expected', 'lower', 'upper'] as const
const START_MS = Date.UTC(2026, 0, 5)

export function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

/** Meta of a test series named after its shape. */
export function testSeries(name: string, kind: MetricKind = 'other', unit = ''): SeriesMeta {
  const bad = kind === 'latency' || kind === 'error' || kind === 'cpu' ? 'up' : 'both'
  return { key: name, tenant: 'default', metric: name, labels: {}, entity: 'test', unit, kind, bad }
}

/** What a detector is told, with a table that series can still join. */
interface World extends DetectorContext {
  readonly series: SeriesTable
}

/** Values per window and series name; a series that is not in a window has no row in it. */
type Windows = ReadonlyMap<string, number>[]

const SHAPES: Readonly<Record<string, (t: number, random: () => number) => number | undefined>> = {
  noisy: (_, random) => 10 + gaussian(random),
  daily: (t, random) => 50 + 20 * Math.sin((2 * Math.PI * t) / 48) + gaussian(random),
  stepped: (t, random) => (t < 150 ? 5 : 9) + 0.3 * gaussian(random),
  constant: () => 7,
  sparse: (_, random) => (random() < 0.3 ? 3 + random() : Number.NaN),
  late: (t, random) => (t < 40 ? undefined : 100 + 5 * gaussian(random)),
  wild: (t, random) =>
    [1e300, -1e300, 5e-324, -0, 1e-30, Number.MAX_VALUE, -5e-324, 1][(t + Math.floor(8 * random())) & 7],
  signed: (_, random) => -3 + 0.5 * gaussian(random),
}

/** Two entities: all series of a detector that judges series together should not be of one. */
function shapeSeries(name: string): SeriesMeta {
  return {
    ...testSeries(name),
    entity: ['noisy', 'daily', 'constant', 'wild'].includes(name) ? 'one' : 'other',
  }
}

function windowsOf(count: number, seed = 7): Windows {
  const random = mulberry32(seed)
  return Array.from({ length: count }, (_, t) => {
    const values = new Map<string, number>()
    for (const [name, shape] of Object.entries(SHAPES)) {
      const value = shape(t, random)
      if (value !== undefined) values.set(name, value)
    }
    return values
  })
}

function fill(table: SeriesTable, width: number, t: number, stepMs: number, values: Windows[number]) {
  const batch = featureBatch(16, width)
  const rows = [...values.keys()].map(name => [table.intern(shapeSeries(name)), name] as const)
  rows.sort((a, b) => a[0] - b[0])
  for (const [row, name] of rows) {
    const at = batch.length++
    const value = values.get(name)!
    batch.series[at] = row
    batch.windowEndMs[at] = START_MS + (t + 1) * stepMs
    batch.observed[at] = value
    batch.coverage[at] = Number.isNaN(value) ? 0 : 1
    for (let f = 0; f < width; f++) {
      batch.features[at * width + f] = Number.isNaN(value) ? 0 : Math.tanh((value % 100) / (20 + f))
    }
  }
  return batch
}

/** Some rows of a batch, as a batch. */
function part(batch: FeatureBatch, places: readonly number[]): FeatureBatch {
  const some = featureBatch(places.length, batch.width)
  some.length = places.length
  for (const [to, at] of places.entries()) {
    some.series[to] = batch.series[at]
    some.windowEndMs[to] = batch.windowEndMs[at]
    some.observed[to] = batch.observed[at]
    some.coverage[to] = batch.coverage[at]
    some.features.set(batch.features.subarray(at * batch.width, (at + 1) * batch.width), to * batch.width)
  }
  return some
}

/** The rows that must be scored together: each alone, or those of each entity. */
function units(batch: FeatureBatch, table: SeriesTable, together: boolean): number[][] {
  const found = new Map<string, number[]>()
  for (let i = 0; i < batch.length; i++) {
    const key = together ? table.meta(batch.series[i]).entity : String(i)
    found.set(key, [...(found.get(key) ?? []), i])
  }
  return [...found.values()]
}

interface Line {
  readonly name: string
  readonly t: number
  readonly values: readonly number[]
}

type Visit = (detector: Detector, batch: FeatureBatch, out: ScoreBatch) => Promise<void>

const ONES = new Float32Array(16).fill(1)

/** Scores, then learns, each window; returns one line per row with every output. */
async function drive(
  detector: Detector,
  context: World,
  windows: Windows,
  from = 0,
  visit: Visit = (d, batch, out) => d.score(batch, out),
): Promise<Line[]> {
  const lines: Line[] = []
  const out = scoreBatch(16)
  for (let t = from; t < windows.length; t++) {
    const batch = fill(context.series, detector.width, t, context.stepMs, windows[t])
    await visit(detector, batch, out)
    for (let i = 0; i < batch.length; i++) {
      const values = COLUMNS.map(column => out[column][i])
      lines.push({ name: context.series.meta(batch.series[i]).metric, t, values })
    }
    detector.learn(batch, ONES)
  }
  return lines.sort((a, b) => a.t - b.t || (a.name < b.name ? -1 : 1))
}

/** As a store would keep it: columns copied, meta through JSON. */
function stored(snapshot: Snapshot): Snapshot {
  const columns = Object.fromEntries(Object.entries(snapshot.columns).map(([k, v]) => [k, v.slice()]))
  return {
    ...snapshot,
    keys: [...snapshot.keys],
    columns,
    meta: JSON.parse(JSON.stringify(snapshot.meta)),
  }
}

/**
 * Runs the contract. `factory` makes a fresh detector; options that shorten its warm-up (season length, ring
 * size) are the caller's to set, so that `windows` covers at least twice the warm-up.
 */
export function detectorContract(
  name: string,
  factory: (context: DetectorContext) => Detector,
  settings: ContractSettings = {},
): void {
  const stepMs = settings.stepMs ?? 1_800_000
  const together = settings.together ?? false
  const context = (): World => ({ series: new SeriesTable(64), stepMs })
  const count = settings.windows ?? Math.max(240, 3 * factory(context()).warmUpWindows)
  const windows = windowsOf(count)
  const fresh = () => {
    const c = context()
    return [factory(c), c] as const
  }

  describe(`${name} meets the detector contract`, () => {
    it('names itself and its version', () => {
      const [detector] = fresh()
      expect(detector.id).toMatch(/^[a-z][a-z0-9:-]*@\d+$/)
      expect(detector.warmUpWindows).toBeGreaterThan(0)
    })

    it('gives equal runs for equal input', async () => {
      const [a, ca] = fresh()
      const [b, cb] = fresh()
      expect(await drive(a, ca, windows)).toEqual(await drive(b, cb, windows))
    })

    it('has no opinion before warm-up and some opinion after', async () => {
      const [detector, c] = fresh()
      const seen = new Map<string, number>()
      let opinions = 0
      for (const line of await drive(detector, c, windows)) {
        const before = together ? line.t : (seen.get(line.name) ?? 0)
        seen.set(line.name, before + 1)
        const speaks = line.values.slice(0, 3).some(value => !Number.isNaN(value))
        if (speaks) opinions++
        if (speaks && before < detector.warmUpWindows) {
          expect.fail(`${line.name} has an opinion after ${before} windows`)
        }
      }
      expect(opinions).toBeGreaterThan(count / 2)
    })

    it('leaves its input as it was and fills the length of the output', async () => {
      const [detector, c] = fresh()
      const out = scoreBatch(16)
      for (let t = 0; t < count; t++) {
        const batch = fill(c.series, detector.width, t, stepMs, windows[t])
        const copy = structuredClone(batch)
        const weight = new Float32Array(16).fill(0.5)
        await detector.score(batch, out)
        detector.learn(batch, weight)
        expect(batch).toEqual(copy)
        expect(weight.every(w => w === 0.5)).toBe(true)
        expect(out.length).toBe(batch.length)
      }
    })

    it('changes no learned state by scoring', async () => {
      const [a, ca] = fresh()
      const [b, cb] = fresh()
      const poisoned = async (d: Detector, batch: FeatureBatch, out: ScoreBatch) => {
        const poison = structuredClone(batch)
        for (let i = 0; i < poison.length; i++) poison.observed[i] = poison.observed[i] * -50 + 1e6
        await d.score(poison, out)
        await d.score(batch, scoreBatch(16))
        await d.score(batch, out)
      }
      expect(await drive(b, cb, windows, 0, poisoned)).toEqual(await drive(a, ca, windows))
    })

    it('scores a batch as it scores its rows one by one', async () => {
      const [a, ca] = fresh()
      const [b, cb] = fresh()
      const byRow = async (d: Detector, batch: FeatureBatch, out: ScoreBatch) => {
        const some = scoreBatch(16)
        for (const places of units(batch, cb.series, together)) {
          await d.score(part(batch, places), some)
          for (const [from, i] of places.entries())
            for (const column of COLUMNS) out[column][i] = some[column][from]
        }
        await d.score(batch, scoreBatch(16))
        out.length = batch.length
      }
      expect(await drive(b, cb, windows, 0, byRow)).toEqual(await drive(a, ca, windows))
    })

    it('is causal: what comes later changes nothing', async () => {
      const [a, ca] = fresh()
      const [b, cb] = fresh()
      const cut = Math.floor(count / 2)
      const other = [...windows.slice(0, cut), ...windowsOf(count - cut, 99)]
      const prefix = (lines: Line[]) => lines.filter(line => line.t < cut)
      expect(prefix(await drive(b, cb, other))).toEqual(prefix(await drive(a, ca, windows)))
    })

    it('goes on after a restore as if it had never stopped, on other rows', async () => {
      const [a, ca] = fresh()
      const whole = await drive(a, ca, windows)
      for (const cut of [3, Math.floor(count / 3), Math.floor((2 * count) / 3)]) {
        const [b, cb] = fresh()
        await drive(b, cb, windows.slice(0, cut))
        const saved = stored(b.snapshot())
        const [d, cd] = fresh()
        for (const shape of Object.keys(SHAPES).reverse()) cd.series.intern(shapeSeries(shape))
        d.restore(saved)
        const rest = await drive(d, cd, windows, cut)
        expect(rest).toEqual(whole.filter(line => line.t >= cut))
      }
    })

    it('refuses a snapshot of another part', () => {
      const [detector] = fresh()
      const foreign: Snapshot = { id: 'something@9', version: 1, keys: [], columns: {}, meta: null }
      expect(() => detector.restore(foreign)).toThrow(
        expect.objectContaining({ code: 'FS_SNAPSHOT_INVALID' }),
      )
    })

    it('forgets a series wholly: its row starts again as new', async () => {
      const [detector, c] = fresh()
      await drive(detector, c, windows)
      for (let row = 0; row < c.series.capacity; row++) detector.forget(row)
      const [b, cb] = fresh()
      expect(await drive(detector, c, windows)).toEqual(await drive(b, cb, windows))
    })

    it('keeps every number finite or NaN, whatever the values', async () => {
      const [detector, c] = fresh()
      for (const line of await drive(detector, c, windows)) {
        for (const value of line.values) {
          if (Math.abs(value) === Number.POSITIVE_INFINITY)
            expect.fail(`${line.name} ${line.t}: ${line.values}`)
        }
      }
    })

    it('is not poisoned by gaps', async () => {
      const gapFrom = Math.floor((count * 4) / 10)
      const gapped = windows.map((values, t) =>
        t >= gapFrom && t < gapFrom + 3
          ? new Map([...values.keys()].map(key => [key, Number.NaN] as const))
          : values,
      )
      const [detector, c] = fresh()
      const lines = await drive(detector, c, gapped)
      const last = lines.filter(line => line.t === count - 1 && line.name === 'noisy')
      expect(last).toHaveLength(1)
      expect(last[0].values.slice(0, 3).some(value => Number.isFinite(value))).toBe(true)
    })

    it('stays quiet on a constant series', async () => {
      const [detector, c] = fresh()
      const lines = await drive(detector, c, windows)
      for (let column = 0; column < 3; column++) {
        const of = (series: string) =>
          lines.filter(line => line.name === series && !Number.isNaN(line.values[column]))
        const noisy = of('noisy')
          .map(line => line.values[column])
          .sort((a, b) => a - b)
        const usual = noisy[noisy.length >> 1] ?? 0
        for (const line of of('constant')) expect(line.values[column]).toBeLessThanOrEqual(usual)
      }
    })

    it('accounts for its bytes and closes', async () => {
      const [detector, c] = fresh()
      await drive(detector, c, windows.slice(0, 2))
      expect(detector.bytes()).toBeGreaterThan(0)
      await detector.close()
    })
  })
}
