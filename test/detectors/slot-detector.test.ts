// Shows that both memory profiles of the phase-slot detector keep the detector contract, that their state is as
// small as stated, and that they find a spike, a missing daily rise and a level shift in a made series.
import { describe, expect, it } from 'vitest'
import { featureBatch } from '../../src/core/batch.ts'
import { CHUNK_ROWS } from '../../src/core/columns.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { SlotDetector } from '../../src/detectors/slot-detector.ts'
import { COMPACT_PROFILE, type SlotProfile, TINY_PROFILE } from '../../src/detectors/slot-profile.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { detectorContract, gaussian, testSeries } from './contract.ts'
import { runLone } from './lone-run.ts'

for (const profile of [TINY_PROFILE, COMPACT_PROFILE])
  detectorContract(profile.id, context => new SlotDetector(context, profile))

const STEP_MS = 300_000
const DAY = 288

const run = (profile: SlotProfile, values: readonly number[]) =>
  runLone(context => new SlotDetector(context, profile), STEP_MS, values)

function daily(days: number): number[] {
  const random = mulberry32(3)
  return Array.from(
    { length: days * DAY },
    (_, t) => 100 + 30 * Math.sin((2 * Math.PI * t) / DAY) + gaussian(random),
  )
}

describe('the phase-slot detector', () => {
  it.each([
    [TINY_PROFILE, 400],
    [COMPACT_PROFILE, 4096],
  ] as const)('$id keeps at most %i bytes a series', (profile, most) => {
    const series = new SeriesTable(1)
    series.intern(testSeries('s'))
    const detector = new SlotDetector({ series, stepMs: STEP_MS }, profile)
    const batch = featureBatch(1, 0)
    batch.length = 1
    detector.learn(batch, Float32Array.of(1))
    expect(detector.bytes() / CHUNK_ROWS).toBeLessThanOrEqual(most)
  })

  it.each([TINY_PROFILE, COMPACT_PROFILE])('$id knows the daily shape after some days', profile => {
    const values = daily(8)
    const opinions = run(profile, values)
    const errors = opinions.slice(6 * DAY).map((o, t) => Math.abs(o.expected - values[6 * DAY + t]))
    expect(errors.sort((a, b) => a - b)[errors.length >> 1]).toBeLessThan(2)
  })

  it.each([TINY_PROFILE, COMPACT_PROFILE])(
    '$id points at a spike that is ordinary at another hour',
    profile => {
      const values = daily(8)
      const at = 7 * DAY + 216
      values[at] = 125
      const opinions = run(profile, values)
      const before = Math.max(...opinions.slice(6 * DAY, at).map(o => o.point))
      expect(opinions[at].point).toBeGreaterThan(2.6)
      expect(opinions[at].point).toBeGreaterThan(2 * before)
    },
  )

  it.each([TINY_PROFILE, COMPACT_PROFILE])('$id calls a level shift an incident', profile => {
    const values = daily(10).map((value, t) => (t >= 8 * DAY ? value + 15 : value))
    const opinions = run(profile, values)
    const before = Math.max(...opinions.slice(6 * DAY, 8 * DAY).map(o => o.incident))
    const after = Math.max(...opinions.slice(8 * DAY, 8 * DAY + 40).map(o => o.incident))
    expect(before).toBeLessThan(5)
    expect(after).toBeGreaterThan(2 * before)
  })
})
