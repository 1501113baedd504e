// Shows that what a tier does not look at, and why, is a metric of the running pipeline: plain series, suspects without a place
// among the rich and in the pool, series that wait for a detector with a budget of its own; and that the sums are those of all series.
import { describe, expect, it } from 'vitest'
import { assemble } from '../../src/assembly.ts'
import { Inbox } from '../../src/bus/inbox.ts'
import { MemoryJournal } from '../../src/bus/memory-journal.ts'
import { parseConfig } from '../../src/config.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { unscored } from '../../src/core/unscored.ts'
import { Pipeline } from '../../src/pipeline.ts'
import { readGauges } from '../../src/upkeep.ts'
import { jsonLines } from '../envelopes.ts'

const SERVICES = 30

/** Services of one latency each; the last ten are off in the last windows. What the metric says then, by tier and reason. */
async function told(
  detection: Record<string, unknown>,
  services = SERVICES,
): Promise<Record<string, number>> {
  const config = parseConfig({ features: { step: '1m', lateness: '1ms' }, detection })
  const parts = assemble(config, new Rejects())
  const telemetry = new Telemetry()
  const pipeline = new Pipeline(parts, async () => {}, telemetry)
  const inbox = new Inbox(new MemoryJournal(), (position, envelope) => pipeline.process(position, envelope), {
    maxQueuedBytes: 1e6,
  })
  for (let t = 0; t < 50; t++) {
    const time = 1_700_006_400 + 60 * t
    const lines = Array.from({ length: services }, (_, s) => {
      const value =
        (1 + 0.02 * Math.sin(7 * t + 13 * s) + 0.01 * ((t * 31 + s * 17) % 7)) *
        (s >= services - 10 && t > 45 ? 9 : 1)
      return { time, metric: 'latency_seconds', labels: { service: `s${s}` }, value, type: 'gauge' }
    })
    await inbox.submit(jsonLines(lines, time * 1000))
  }
  readGauges(telemetry, parts, inbox)
  const text = await telemetry.text()
  const found = text.matchAll(/^foreshock_tier_unscored\{tier="([^"]+)",why="([^"]+)"\} (\d+)/gm)
  return Object.fromEntries([...found].map(([, tier, why, count]) => [`${tier} ${why}`, Number(count)]))
}

describe('what a tier does not look at', () => {
  it('is nobody where everything looks at all', async () => {
    expect(await told({})).toEqual({})
  })

  it('is told of plain series, of those strange without room, and of the pool', async () => {
    const found = await told({ richSeries: 10, pool: { size: 2, detectors: ['flatline'] } })
    // Nine of ten places go to the first to come, one to a suspect.
    expect(found['rich quiet'] + found['rich no-room'] + found['rich learning']).toBe(SERVICES - 9)
    expect(found['rich no-room']).toBeGreaterThan(0)
    expect(found['rich learning']).toBe(1)
    expect(found['pool plain']).toBe(SERVICES - 10)
    expect(found['pool plain'] + found['pool no-suspect'] + found['pool size'] + 2).toBe(SERVICES)
  })

  it('is told of suspects that bytes or milliseconds leave out', async () => {
    const found = await told({ pool: { size: 64, detectors: ['rcf'], budget: '2 MB' } })
    expect(found['pool bytes']).toBeGreaterThan(0)
    expect(found['pool milliseconds']).toBeUndefined()
    // A forest takes 38 µs: 26 of them in a millisecond.
    const slow = await told({ pool: { size: 64, detectors: ['rcf'], time: '1ms' } }, 60)
    expect(slow['pool milliseconds']).toBeGreaterThan(0)
  })

  it('names the waiting of detectors with a budget of their own', () => {
    const detector = {
      id: 'models@1',
      warmUpWindows: 1,
      bytes: 0,
      counts: { 'ae-series': 3, 'ae-series-waiting': 4, 'ae-failed': 1 },
    }
    const ridge = {
      id: 'ridge@1',
      warmUpWindows: 1,
      bytes: 0,
      counts: { 'entities-waiting': 2, 'series-waiting': 5 },
    }
    expect(unscored({ detectors: [detector, ridge], pool: () => ({}) }, 10)).toEqual([
      { tier: 'models@1:ae', why: 'no-room', series: 4 },
      { tier: 'ridge@1', why: 'no-room', series: 5 },
    ])
  })
})
