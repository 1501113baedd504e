// Shows that learning from history is as good as having been there: a real Prometheus is given three days of a small
// shop's metrics (a gauge, a counter, a classic histogram, and one series that retired), and a pipeline warms up from
// it, once through range queries and once through remote read. Its state is compared with a pipeline that lived
// through the same three days over remote write: same series with the same units and kinds, and in the first live hour
// the same expectations within half a percent, with the daily shape. What was strange in the past is told to nobody, and
// what retired is not missed. A server that is not there keeps nothing from starting.
import { describe, expect, it } from 'vitest'
import { type Assembled, assemble, intakeOptions } from '../src/assembly.ts'
import type { Config } from '../src/config/schema.ts'
import { parseConfig } from '../src/config.ts'
import { historyColumns } from '../src/core/history.ts'
import { createLogger } from '../src/core/logger.ts'
import { Rejects } from '../src/core/rejects.ts'
import { Telemetry } from '../src/core/telemetry.ts'
import { mulberry32 } from '../src/math/mulberry32.ts'
import { type Outcome, Pipeline } from '../src/pipeline.ts'
import { WarmUp, WarmUpMemory } from '../src/warm-up.ts'
import { labelList, remoteWrite1 } from './ingest/wire.ts'
import { prometheus } from './peers/peers.ts'

const STEP_MS = 60_000
const START_MS = Date.UTC(2024, 2, 4)
const DAY = 1440
const PAST = 3 * DAY
const HOUR = 60
/** Windows of an outage in the past. */
const OUTAGE = 12
const OUTAGE_AT = PAST - DAY / 2
const LABELS = { service: 'shop', job: 'shop' }
const BOUNDS = ['0.1', '0.25', '0.5', '1', '+Inf']

interface Point {
  readonly metric: string
  readonly labels: Record<string, string>
  readonly value: number
}

/** What is scraped at each step. */
function shop(): Point[][] {
  const random = mulberry32(11)
  let requests = 0
  const buckets = BOUNDS.map(() => 0)
  let sum = 0
  return Array.from({ length: PAST + HOUR }, (_, t) => {
    const day = Math.sin((2 * Math.PI * t) / DAY)
    const outage = t >= OUTAGE_AT && t < OUTAGE_AT + OUTAGE
    requests += Math.round((300 + 200 * day + 20 * random()) * (outage ? 0.1 : 1))
    const served = Math.round(100 + 50 * day + 10 * random())
    const shares = outage ? [0.1, 0.2, 0.4, 0.7, 1] : [0.4, 0.7, 0.9, 0.98, 1]
    for (let i = 0; i < buckets.length; i++) buckets[i] += Math.round(served * shares[i])
    sum += served * 0.2
    const latency = (0.2 + 0.1 * day + 0.01 * random()) * (outage ? 8 : 1)
    const points: Point[] = [
      { metric: 'checkout_latency_seconds', labels: LABELS, value: Number(latency.toFixed(6)) },
      { metric: 'http_requests_total', labels: LABELS, value: requests },
      ...BOUNDS.map((le, i) => ({
        metric: 'rpc_duration_seconds_bucket',
        labels: { ...LABELS, le },
        value: buckets[i],
      })),
      { metric: 'rpc_duration_seconds_sum', labels: LABELS, value: Number(sum.toFixed(3)) },
      { metric: 'rpc_duration_seconds_count', labels: LABELS, value: buckets[buckets.length - 1] },
    ]
    if (t < PAST) {
      const retired = { service: 'retired', job: 'retired' }
      points.push({ metric: 'load_ratio', labels: retired, value: Number((0.5 + 0.1 * random()).toFixed(6)) })
    }
    return points
  })
}

const TYPES: Readonly<Record<string, string>> = {
  checkout_latency_seconds: 'gauge',
  http_requests: 'counter',
  rpc_duration_seconds: 'histogram',
  load_ratio: 'gauge',
}
const familyOf = (metric: string) => metric.replace(/_(total|bucket|sum|count)$/, '')

/** OpenMetrics text, one family after the other. */
function openMetrics(steps: readonly Point[][]): string {
  const families = new Map<string, string[]>()
  const lines = new Map<string, string[]>()
  for (const [t, points] of steps.entries()) {
    for (const { metric, labels, value } of points) {
      const inner = Object.entries(labels).map(([name, text]) => `${name}="${text}"`)
      const key = `${metric}{${inner.join(',')}}`
      const own = lines.get(key) ?? []
      if (own.length === 0) {
        lines.set(key, own)
        families.set(familyOf(metric), [...(families.get(familyOf(metric)) ?? []), key])
      }
      own.push(`${key} ${value} ${(START_MS + t * STEP_MS) / 1000}`)
    }
  }
  const text = [...families].flatMap(([family, keys]) => [
    `# TYPE ${family} ${TYPES[family]}`,
    ...keys.flatMap(key => lines.get(key) ?? []),
  ])
  return `${text.join('\n')}\n# EOF\n`
}

/** The pipeline under test with everything it told. */
class World {
  readonly config: Config
  readonly parts: Assembled
  readonly pipeline: Pipeline
  readonly memory = new WarmUpMemory()
  readonly rejects = new Rejects()
  readonly told: Outcome[] = []
  readonly warmUp: WarmUp

  constructor(warmup: unknown = {}) {
    this.config = parseConfig({
      features: { step: '1m' },
      ingest: { entityLabels: ['service'] },
      warmup,
      log: { level: 'silent' },
    })
    this.parts = assemble(this.config, this.rejects)
    const telemetry = new Telemetry()
    const effect = async (_: number, outcome: Outcome) => void this.told.push(outcome)
    this.pipeline = new Pipeline(this.parts, effect, telemetry)
    this.warmUp = new WarmUp({
      config: this.config,
      pipeline: this.pipeline,
      memory: this.memory,
      intakeOptions: intakeOptions(this.config),
      rejects: this.rejects,
      telemetry,
      logger: createLogger('silent'),
      clock: () => START_MS,
    })
  }

  /** One scrape, as a Prometheus with an external label writes it on. */
  async scrape(points: readonly Point[], timeMs: number): Promise<void> {
    const timeseries = points.map(({ metric, labels, value }) => ({
      labels: labelList(metric, { ...labels, region: 'north' }),
      samples: [{ value, timestamp: timeMs }],
    }))
    const bytes = remoteWrite1({ timeseries })
    await this.pipeline.process(1, {
      kind: 'remote-write-1',
      encoding: 'snappy',
      arrivalMs: timeMs,
      tenant: 'default',
      bytes,
    })
  }

  metas(): string[] {
    return [...this.parts.series.metas()]
      .map(([, { key, entity, unit, kind, bad }]) => [key, entity, unit, kind, bad].join(' '))
      .sort()
  }

  /** Expected value of the last windows of a series, oldest first; NaN where another detector than the first spoke. */
  expected(key: string, windows: number): number[] {
    const out = historyColumns(windows)
    expect(this.parts.history.read(this.parts.series.row(key), out), key).toBe(windows)
    expect([...out.expected].every(Number.isFinite), key).toBe(true)
    return [...out.expected].map((value, i) => (out.surprise[i] < 2 ? value : Number.NaN))
  }
}

const steps = shop()
const LATENCY = 'checkout_latency_seconds{job="shop",region="north",service="shop"}'
const RATE = 'http_requests_total:rate{job="shop",region="north",service="shop"}'
const P95 = 'rpc_duration_seconds:p95{job="shop",region="north",service="shop"}'
const untilMs = START_MS + PAST * STEP_MS

async function liveThrough(): Promise<World> {
  const world = new World()
  for (let t = 0; t < PAST; t++) await world.scrape(steps[t], START_MS + t * STEP_MS)
  return world
}

describe('learning from the history of a Prometheus', () => {
  it.for(['remote-read', 'query-range'] as const)(
    'is as good as having been there, %s',
    { timeout: 900_000 },
    async (api, context) => {
      const peer = await prometheus(context, {
        scrape: {},
        past: openMetrics(steps.slice(0, PAST)),
        intervalS: 60,
        globalMore: ["external_labels: { region: 'north' }"],
      })
      const world = new World({
        prometheus: { url: peer.url, api, queries: ['{service=~"shop|retired"}'], lookback: '3d' },
      })
      expect(world.warmUp.pending).toBe(true)
      await world.warmUp.run(untilMs)

      expect(world.memory.mark).toMatchObject({ done: true, fromMs: START_MS, toMs: untilMs })
      expect(world.memory.mark.samples).toBe(steps.slice(0, PAST).flat().length)
      expect(world.warmUp.pending).toBe(false)
      expect(world.rejects.counts()).toEqual({})
      // The outage was seen, and told to nobody.
      expect(world.told).toEqual([])
      expect(world.parts.scoring.anomalies()).toEqual([])
      expect(world.parts.disruptions.board()).toEqual([])

      const witness = await liveThrough()
      expect(witness.told.flatMap(({ anomalies }) => anomalies).length).toBeGreaterThan(0)
      expect(world.metas()).toEqual(witness.metas())

      for (let t = PAST; t < PAST + HOUR; t++) {
        await world.scrape(steps[t], START_MS + t * STEP_MS)
        await witness.scrape(steps[t], START_MS + t * STEP_MS)
      }
      // The last two windows are still open, and the first has no rates: no count of the past is a baseline.
      const judged = HOUR - 3
      for (const key of [LATENCY, RATE, P95]) {
        const own = world.expected(key, judged)
        const theirs = witness.expected(key, judged)
        const ratios = own.map((value, i) => value / theirs[i]).filter(ratio => !Number.isNaN(ratio))
        expect(ratios.length).toBeGreaterThan(0.9 * judged)
        for (const [i, ratio] of ratios.entries()) expect(ratio, `${key} ${i}`).toBeCloseTo(1, 2)
      }
      // It is the shape of the day, not yesterday's mean: latency rises by a quarter of its swing in this hour.
      const truth = Array.from(
        { length: judged },
        (_, i) => 0.205 + 0.1 * Math.sin((2 * Math.PI * (PAST + 1 + i)) / DAY),
      )
      const found = world.expected(LATENCY, judged)
      for (const [i, value] of found.entries())
        if (!Number.isNaN(value)) expect(Math.abs(value - truth[i]), `${i}`).toBeLessThan(0.02)
      // A healthy hour, and the retired service is not missed in it.
      expect(world.told).toEqual([])
    },
  )

  it('starts without a server that is not there, and asks again the next time', async () => {
    const world = new World({ prometheus: { url: 'http://127.0.0.1:9', lookback: '1h' }, limit: '1500ms' })
    await world.warmUp.run(untilMs)
    expect(world.memory.mark.done).toBe(false)
    expect(world.warmUp.running).toBe(false)
    await world.scrape(steps[0], untilMs)
    expect(world.parts.series.size).toBeGreaterThan(0)
  })
})
