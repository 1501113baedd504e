// Shows that confidence says how much was learned, through the whole pipeline: the same fault is told at the same speed
// after minutes, after hours and after a day, but ever more surely, as are the anomalies
// behind it; a new series of a service known for long is not taken for one known for long.
import { expect, it } from 'vitest'
import { mulberry32 } from '../src/math/mulberry32.ts'
import { type Line, PipelineWorld } from './pipeline-world.ts'

const MINUTE_MS = 60_000
const START_MS = Date.UTC(2026, 2, 2)

const line = (service: string, metric: string, value: number): Line => ({
  metric,
  labels: { service },
  value,
})

/** Life until a fault of `cart` at window `at`; `newFrom`: when the series that shows it begins. */
async function play(at: number, newFrom = 0) {
  const random = mulberry32(3)
  const world = new PipelineWorld({ features: { step: '1m' } })
  for (let t = 0; t < at + 6; t++) {
    const isBad = t >= at
    const lines = ['cart', 'mail'].map(service => line(service, 'requests_per_second', 50 + random()))
    if (t >= newFrom) lines.push(line('cart', 'request_latency_seconds', (isBad ? 2 : 0.2) + 0.02 * random()))
    await world.send(START_MS + t * MINUTE_MS, lines)
  }
  await world.finish()
  const [disruption] = world.opened()
  const anomaly = world.told
    .flatMap(({ anomalies }) => anomalies)
    .find(one => one.event === 'opened' && one.anomaly.metric === 'request_latency_seconds')?.anomaly
  return {
    confidence: disruption.confidence,
    ofSeries: anomaly?.confidence ?? Number.NaN,
    delay: (Date.parse(disruption.detectedAt) - START_MS) / MINUTE_MS - at,
  }
}

it('grows with what was learned, and slows nothing down', async () => {
  const [minutes, quarter, day] = [await play(25), await play(150), await play(1440)]
  expect(minutes.delay).toBeLessThanOrEqual(3)
  expect(quarter.delay).toBeLessThanOrEqual(3)
  expect(day.delay).toBeLessThanOrEqual(3)
  expect(minutes.confidence).toBeGreaterThan(0)
  expect(minutes.confidence).toBeLessThan(0.4)
  expect(quarter.confidence).toBeGreaterThan(1.5 * minutes.confidence)
  expect(day.confidence).toBeGreaterThan(1.2 * quarter.confidence)
  expect(day.confidence).toBeGreaterThan(0.5)
  // n / (n + 60) windows.
  expect(minutes.ofSeries).toBeCloseTo(26 / 86, 1)
  expect(day.ofSeries).toBeCloseTo(0.96, 2)
})

it('is that of the series, not of its service', async () => {
  const [young, old] = [await play(1440, 1415), await play(1440)]
  expect(young.ofSeries).toBeLessThan(0.4)
  expect(young.confidence).toBeLessThan(0.5 * old.confidence)
})
