// Shows what the running pipeline makes of the bad input of issue 3, as senders send it: series that are NaN for ever,
// a sampling interval that changes, times that go back, a series that begins mid-incident, a silent year, negative
// counters, and ±1e300 in gauges, counters and histograms, beside healthy neighbours. Every opinion that is one is a
// number in its range, expectations are finite wherever there is an opinion, everything said in words is free of NaN,
// what is still strange a day later is no longer told, and neighbours are never drawn in.
import { describe, expect, it } from 'vitest'
import type { FeatureBatch, OpinionBatch } from '../src/core/batch.ts'
import { mulberry32 } from '../src/math/mulberry32.ts'
import { type Line, PipelineWorld } from './pipeline-world.ts'

const MINUTE_MS = 60_000
const DAY = 1440
const START_MS = Date.UTC(2026, 2, 2)
const HEALTHY = ['cart', 'mail', 'stock'] as const

/** What is wrong with an opinion on row `i`; '' when nothing is. */
function wrongOf(batch: FeatureBatch, out: OpinionBatch, i: number): string {
  const { point, incident, surprise, score, evidence, lower, expected, upper } = out
  for (const opinion of [point[i], incident[i], surprise[i]])
    if (!Number.isNaN(opinion) && !(opinion >= 0 && opinion <= 12)) return `opinion ${opinion}`
  if (Number.isNaN(surprise[i]) !== Number.isNaN(score[i]) || score[i] < 0 || score[i] > 100)
    return `surprise ${surprise[i]} with score ${score[i]}`
  if (!(evidence[i] >= 0 && evidence[i] <= 8)) return `evidence ${evidence[i]}`
  // Silence has an opinion without an expectation.
  if (Number.isNaN(surprise[i]) || Number.isNaN(batch.observed[i])) return ''
  const isBand = lower[i] <= expected[i] && expected[i] <= upper[i]
  const hasEnds = Number.isFinite(lower[i]) && Number.isFinite(upper[i])
  return isBand && hasEnds ? '' : `band ${lower[i]} ${expected[i]} ${upper[i]}`
}

class World extends PipelineWorld {
  readonly #random = mulberry32(7)
  readonly #stepMs: number
  /** What was wrong with opinions, a few of them, and how many there were that are none of the neighbours'. */
  readonly #wrong: string[]
  readonly #count: { odd: number }

  constructor(stepMs = MINUTE_MS) {
    const wrong: string[] = []
    const count = { odd: 0 }
    super({ features: { step: `${stepMs}ms` } }, (batch, out) => {
      for (let i = 0; i < out.length; i++) {
        const why = wrongOf(batch, out, i)
        if (why !== '' && wrong.length < 10) wrong.push(`series ${batch.series[i]}: ${why}`)
        if (batch.series[i] >= 2 * HEALTHY.length && !Number.isNaN(out.surprise[i])) count.odd++
      }
    })
    this.#wrong = wrong
    this.#count = count
    this.#stepMs = stepMs
  }

  noise(): number {
    return this.#random() + this.#random() + this.#random() - 1.5
  }

  neighbours(): Line[] {
    return HEALTHY.flatMap(service => [
      { metric: 'request_latency_seconds', labels: { service }, value: 0.2 + 0.01 * this.noise() },
      { metric: 'requests_per_second', labels: { service }, value: 50 + 2 * this.noise() },
    ])
  }

  /** Windows from..to with the neighbours and what `more` adds. */
  async live(from: number, to: number, more: (t: number) => readonly Line[] = () => []): Promise<void> {
    for (let t = from; t < to; t++)
      await this.send(START_MS + t * this.#stepMs, [...this.neighbours(), ...more(t)])
  }

  /** Nothing is open any more, nothing was said of the neighbours, and no words or numbers are amiss. */
  expectCalm(): void {
    expect(this.#wrong).toEqual([])
    expect(this.#count.odd).toBeGreaterThan(0)
    expect(this.parts.scoring.anomalies().map(({ key }) => key)).toEqual([])
    expect(this.parts.disruptions.board().filter(({ status }) => status === 'open')).toEqual([])
    for (const { anomalies, events } of this.told) {
      for (const { anomaly } of anomalies) {
        expect(HEALTHY).not.toContain(anomaly.entity)
        expect(anomaly.why.join()).not.toMatch(/NaN|Infinity|undefined/)
        expect([anomaly.surprise, anomaly.score, anomaly.confidence]).toSatisfy((all: number[]) =>
          all.every(Number.isFinite),
        )
      }
      for (const { disruption } of events) {
        expect(JSON.stringify([disruption.title, disruption.why])).not.toMatch(/NaN|Infinity|undefined/)
        expect([disruption.score, disruption.confidence]).toSatisfy((all: number[]) =>
          all.every(Number.isFinite),
        )
        expect(disruption.entities.filter(name => HEALTHY.includes(name as never))).toEqual([])
      }
    }
  }
}

const gauge = (metric: string, value: number, service = 'odd'): Line => ({
  metric,
  labels: { service },
  value,
})
const counter = (metric: string, value: number, service = 'odd'): Line => ({
  ...gauge(metric, value, service),
  type: 'counter',
})

describe('the pipeline', () => {
  it('has no opinion of a series that is NaN for ever, and none that fails of one that becomes NaN', async () => {
    const world = new World()
    await world.live(0, 2 * DAY, t => [
      gauge('never', Number.NaN),
      gauge('once', t < 200 ? 5 + world.noise() : Number.NaN),
    ])
    world.expectCalm()
  })

  it('takes a change of the sampling interval for what it is', async () => {
    const world = new World(10_000)
    const at = async (s: number) =>
      world.send(START_MS + 1000 * s, [...world.neighbours(), gauge('level', 5 + world.noise())])
    for (let s = 0; s < 3600; s += 10) await at(s)
    for (let s = 3600; s < 4 * 3600; s += 60) await at(s)
    for (let s = 4 * 3600; s < 6 * 3600; s += 10) await at(s)
    expect(world.parts.scoring.anomalies()).toEqual([])
    // Nothing was strange but the pace: whatever was said of missing windows is over, and it was said of all alike.
    expect(world.parts.disruptions.board().filter(({ status }) => status === 'open')).toEqual([])
  })

  it('refuses times that go back, and goes on', async () => {
    const world = new World()
    const level = () => [gauge('level', 5 + world.noise())]
    await world.live(0, 300, level)
    for (let back = 0; back < 60; back++)
      await world.send(START_MS + (290 - 4 * back) * MINUTE_MS, level(), START_MS + 300 * MINUTE_MS)
    await world.live(300, 600, level)
    expect(Object.values(world.rejects.counts()).reduce((sum, n) => sum + n, 0)).toBeGreaterThan(40)
    expect(world.opened()).toEqual([])
    world.expectCalm()
  })

  it('believes a series that begins in the middle of an incident, and its recovery', async () => {
    const world = new World()
    await world.live(0, 3 * DAY, t =>
      t < 60 ? [] : [gauge('request_latency_seconds', (t < 120 ? 4 : 0.2) + 0.01 * world.noise())],
    )
    world.expectCalm()
    // And then an incident is seen as one.
    await world.live(3 * DAY, 3 * DAY + 20, () => [
      gauge('request_latency_seconds', 4 + 0.01 * world.noise()),
    ])
    expect(world.opened().length).toBeGreaterThan(0)
  })

  /** Ten-minute windows, so that a year is not too many. */
  const TEN_MS = 600_000
  const YEAR_DAYS = 366
  const isQuietAfter = (world: World) => {
    expect(world.parts.scoring.anomalies()).toEqual([])
    expect(world.parts.disruptions.board().filter(({ status }) => status === 'open')).toEqual([])
  }

  it('resumes after a silent year', async () => {
    const world = new World(TEN_MS)
    const level = () => [gauge('level', 5 + world.noise())]
    await world.live(0, 288, level)
    for (let day = 2; day < YEAR_DAYS; day++) await world.tick(START_MS + 144 * day * TEN_MS)
    await world.live(144 * YEAR_DAYS, 144 * (YEAR_DAYS + 2), level)
    isQuietAfter(world)
  })

  it('resumes after a silent year of one series of many', async () => {
    const world = new World(TEN_MS)
    const level = () => [gauge('level', 5 + world.noise())]
    await world.live(0, 288, level)
    for (let t = 288; t < 144 * YEAR_DAYS; t += 36)
      await world.send(START_MS + t * TEN_MS, world.neighbours())
    await world.live(144 * YEAR_DAYS, 144 * (YEAR_DAYS + 2), level)
    isQuietAfter(world)
  })

  const counters: Readonly<Record<string, (t: number) => number>> = {
    negative: t => -1000 + 3 * t,
    falling: t => -3 * t,
    'huge steps': t => (t < 200 ? 10 * t : t % 2 === 0 ? 1e300 : 0),
    'one huge step': t => (t < 200 ? 10 * t : 1e300 + t),
    'below zero by far': t => (t < 200 ? 10 * t : -1e300),
    'the largest number': t => (t < 200 ? 10 * t : Number.MAX_VALUE),
    both: t => (t < 200 ? 10 * t : t % 3 === 0 ? -1e300 : 1e300),
  }
  it('reads counters that do what counters cannot', async () => {
    const world = new World()
    const all = Object.entries(counters)
    await world.live(0, 3 * DAY, t => all.map(([kind, of]) => counter('jobs_total', of(t), kind)))
    world.expectCalm()
  })

  const gauges: Readonly<Record<string, (t: number) => number>> = {
    'now and then huge': t => (t % 50 === 49 ? 1e300 : 5),
    'huge for an hour': t => (t >= 300 && t < 360 ? -1e300 : 5),
    'huge and tiny': t => (t % 2 === 0 ? 1e300 : -1e300),
    subnormal: t => (t % 7) * 5e-324,
    'huge once it has a daily shape': t => (t > 2 * DAY && t < 2 * DAY + 5 ? 1e300 : 5 + Math.sin(t / 229)),
  }
  it('reads gauges of absurd size', async () => {
    const world = new World()
    const all = Object.entries(gauges)
    await world.live(0, 3.5 * DAY, t => all.map(([kind, of]) => gauge('level', of(t), kind)))
    world.expectCalm()
  })

  it('reads histograms of absurd sums, bounds and counts', async () => {
    const world = new World()
    const point = (t: number) => {
      const odd = t >= 200 && t % 3 === 0
      return {
        timeUnixNano: `${START_MS + t * MINUTE_MS}000000`,
        startTimeUnixNano: `${START_MS - MINUTE_MS}000000`,
        count: String(10 * (t + 1)),
        sum: odd ? (t % 2 === 0 ? 1e300 : -1e300) : 2 * t,
        bucketCounts: [4, 3, 3].map(n => String(n * (t + 1))),
        explicitBounds: odd ? [-1e300, 1e300] : [0.1, 1],
      }
    }
    for (let t = 0; t < 3 * DAY; t++) {
      const histogram = { aggregationTemporality: 2, dataPoints: [point(t)] }
      const body = {
        resourceMetrics: [
          {
            resource: { attributes: [{ key: 'service.name', value: { stringValue: 'odd' } }] },
            scopeMetrics: [{ metrics: [{ name: 'sizes', unit: 'By', histogram }] }],
          },
        ],
      }
      await world.sendOtlp(START_MS + t * MINUTE_MS + 500, body)
      await world.live(t, t + 1)
    }
    expect(world.parts.series.size).toBeGreaterThan(6)
    world.expectCalm()
  })
})
