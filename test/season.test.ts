// Shows that the service knows the time of day: five days of one-minute metrics, in which a job at six o'clock loads a
// database and slows what calls it for half an hour, through the whole pipeline. Where the daily shape is learned the
// job opens disruptions on its first day only; an outage at ten past six on the fifth day opens as fast as where it
// is not, and what the job does twice as hard is told.
import { describe, expect, it } from 'vitest'
import type { Disruption } from '../src/core/disruption.ts'
import { mulberry32 } from '../src/math/mulberry32.ts'
import { type Line, PipelineWorld } from './pipeline-world.ts'

const MINUTE_MS = 60_000
const HOUR = 60
const DAY = 24 * HOUR
const START_MS = Date.UTC(2026, 2, 2)
/** The fault of the fifth day, minutes of the recording. */
const FAULT_AT = 4 * DAY + 6 * HOUR + 10

/** What a minute looks like; `fault` is 1 while api fails and crawls. */
function minute(t: number, fault: number, load: number, noise: () => number): Line[] {
  const day = Math.sin((2 * Math.PI * (t - 8 * HOUR)) / DAY)
  const job = t % DAY >= 6 * HOUR && t % DAY < 6.5 * HOUR ? load : 0
  const requests = 100 + 40 * day + 3 * noise()
  const line = (service: string, metric: string, value: number): Line => ({
    metric,
    labels: { service },
    value: Math.max(0, value),
  })
  return [
    line('db', 'cpu_utilization', 0.2 + 0.05 * day + 0.01 * noise() + 0.5 * job),
    line('db', 'query_latency_seconds', 0.02 + 0.002 * day + 0.001 * noise() + 0.05 * job),
    line('db', 'disk_io_bytes_per_second', 1e6 * (3 + 0.1 * noise() + 20 * job)),
    line('api', 'request_latency_seconds', 0.1 + 0.01 * day + 0.004 * noise() + 0.15 * job + 1.5 * fault),
    line('api', 'requests_per_second', requests * (1 - 0.7 * fault)),
    line('api', 'error_ratio', 0.002 + 0.0005 * noise() + 0.4 * fault),
    line('web', 'request_latency_seconds', 0.2 + 0.02 * day + 0.008 * noise() + 0.15 * job + 1.5 * fault),
    line('web', 'requests_per_second', requests + 2 * noise()),
  ]
}

async function play(profile: string, days: number, faultAt: number, loadOf: (day: number) => number) {
  const random = mulberry32(5)
  const noise = () => random() + random() + random() - 1.5
  const world = new PipelineWorld({ features: { step: '1m' }, detection: { profile } })
  for (let t = 0; t < days * DAY; t++) {
    const fault = t >= faultAt && t < faultAt + 30 ? 1 : 0
    await world.send(START_MS + t * MINUTE_MS, minute(t, fault, loadOf(Math.floor(t / DAY)), noise))
  }
  await world.finish()
  return world.opened()
}

const minuteOf = (iso: string) => (Date.parse(iso) - START_MS) / MINUTE_MS
const days = (opened: readonly Disruption[]) =>
  opened.map(({ detectedAt }) => Math.floor(minuteOf(detectedAt) / DAY))

describe('a job at six every morning', async () => {
  const timed = await play('tiny', 5, FAULT_AT, () => 1)
  const timeless = await play('none', 5, FAULT_AT, () => 1)

  it('is told every day where nobody knows the time of day', () => {
    expect([...new Set(days(timeless))]).toEqual([0, 1, 2, 3, 4])
  })

  it('is told on its first day and never again where the daily shape is known', () => {
    expect(days(timed).filter(day => day > 0 && day < 4)).toEqual([])
    expect(days(timed)[0]).toBe(0)
  })

  it('does not hide an outage at ten past six', () => {
    const found = timed.filter(({ detectedAt }) => minuteOf(detectedAt) >= 4 * DAY)
    expect(found.length).toBe(1)
    expect(minuteOf(found[0].detectedAt)).toBeGreaterThanOrEqual(FAULT_AT)
    expect(minuteOf(found[0].detectedAt)).toBeLessThanOrEqual(FAULT_AT + 4)
    expect(found[0].entities).toContain('api')
  })
})

it('a job that is twice as hard on one day is told on that day', async () => {
  const opened = await play('tiny', 4, Infinity, day => (day === 3 ? 2 : 1))
  expect([...new Set(days(opened))]).toEqual([0, 3])
})
