// Shows that a clock that was set back is told of, once. And that what the multivariate detector covers, and what its budget leaves out, stands in the service's own metrics,
// on the assembled pipeline with a budget for one of three entities; and that an entity with golden signals is the one.
import { expect, it } from 'vitest'
import { assemble } from '../src/assembly.ts'
import { Inbox } from '../src/bus/inbox.ts'
import { MemoryJournal } from '../src/bus/memory-journal.ts'
import { parseConfig } from '../src/config.ts'
import { Rejects } from '../src/core/rejects.ts'
import { Telemetry } from '../src/core/telemetry.ts'
import { Pipeline } from '../src/pipeline.ts'
import { ClockWatch, readGauges } from '../src/upkeep.ts'
import { jsonLines } from './envelopes.ts'

const METRICS: Readonly<Record<string, readonly string[]>> = {
  cache: ['memory_bytes', 'cpu_usage'],
  shop: ['latency_seconds', 'cpu_usage'],
  batch: ['memory_bytes', 'cpu_usage', 'disk_bytes'],
  alone: ['latency_seconds'],
}

it('tells what the multivariate detector covers and what waits for room', async () => {
  const config = parseConfig({
    features: { step: '1m', lateness: '1ms' },
    detection: { multivariate: { profile: 'auto', budget: '13 kB' } },
  })
  const parts = assemble(config, new Rejects())
  const telemetry = new Telemetry()
  const pipeline = new Pipeline(parts, async () => {}, telemetry)
  const inbox = new Inbox(new MemoryJournal(), (position, envelope) => pipeline.process(position, envelope), {
    maxQueuedBytes: 1e6,
  })
  for (let t = 0; t < 5; t++) {
    const time = 1_700_006_400 + 60 * t
    const lines = Object.entries(METRICS).flatMap(([service, metrics]) =>
      metrics.map(metric => ({ time, metric, labels: { service }, value: 10 + t, type: 'gauge' })),
    )
    await inbox.submit(jsonLines(lines, time * 1000))
  }
  readGauges(telemetry, parts, inbox)
  const text = await telemetry.text()
  const coverage = Object.fromEntries(
    [...text.matchAll(/foreshock_detector_coverage\{detector="ridge@1",what="([^"]+)"\} (\d+)/g)].map(m => [
      m[1],
      m[2],
    ]),
  )
  expect(coverage).toEqual({ entities: '1', series: '2', 'entities-waiting': '2', 'series-waiting': '5' })
  expect(parts.scoring.detectors.some(({ id }) => id === 'ridge@1')).toBe(true)
  expect(text).toContain('foreshock_tier_unscored{tier="ridge@1",why="no-room"} 5')
  // What a detector counted goes with it.
  Object.defineProperty(parts.scoring, 'detectors', { value: [] })
  readGauges(telemetry, parts, inbox)
  expect(await telemetry.text()).not.toMatch(/ridge@1/)
})

it('tells once that samples are late because the clock was set back, and when that is over', () => {
  const told: unknown[][] = []
  const logger = {
    warn: (...words: unknown[]) => told.push(words),
    info: (...words: unknown[]) => told.push(words),
  }
  const watch = new ClockWatch(logger)
  const start = Date.UTC(2026, 10, 21)
  watch.look(Number.NaN, start)
  watch.look(start - 10_000, start)
  // Two hours ahead, and back.
  const watermark = start + 7_200_000
  watch.look(watermark - 10_000, watermark)
  expect(told).toEqual([])
  for (let i = 0; i < 3; i++) watch.look(watermark, start + i)
  expect(told).toHaveLength(1)
  expect(told[0]).toMatchObject([
    { watermark: '2026-11-21T02:00:00.000Z', aheadSeconds: 7200 },
    expect.stringContaining('set back'),
  ])
  for (const nowMs of [watermark, watermark + 1]) watch.look(watermark, nowMs)
  expect(told).toHaveLength(2)
})
