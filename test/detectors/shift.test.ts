// Shows the level-shift detector: the contract, a lasting shift signalled once and then accepted, a single wild
// window not mistaken for one.
import { describe, expect, it } from 'vitest'
import { featureBatch, scoreBatch } from '../../src/core/batch.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { ShiftDetector } from '../../src/detectors/shift.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { detectorContract, gaussian, testSeries } from './contract.ts'

detectorContract('shift@1', context => new ShiftDetector(context))

async function run(values: readonly number[]): Promise<number[]> {
  const series = new SeriesTable()
  series.intern(testSeries('only', 'saturation', ''))
  const detector = new ShiftDetector({ series, stepMs: 1000 })
  const batch = featureBatch(1, 0)
  const out = scoreBatch(1)
  batch.length = 1
  const incident: number[] = []
  for (const [t, value] of values.entries()) {
    batch.windowEndMs[0] = t * 1000
    batch.observed[0] = value
    await detector.score(batch, out)
    incident.push(out.incident[0])
    detector.learn(batch, Float32Array.of(1))
  }
  return incident
}

describe('a shift of the level', () => {
  const random = mulberry32(11)
  const noise = (level: number, count: number) =>
    Array.from({ length: count }, () => level + gaussian(random))

  it('is signalled within six windows, then accepted as the new level', async () => {
    const incident = await run([...noise(20, 100), ...noise(26, 100)])
    expect(Math.max(...incident.slice(20, 100))).toBeLessThan(9)
    expect(Math.max(...incident.slice(100, 106))).toBeGreaterThan(9)
    expect(Math.max(...incident.slice(150))).toBeLessThan(9)
  })

  it('is not seen in one wild window', async () => {
    const values = noise(20, 200)
    values[120] = 500
    expect(Math.max(...(await run(values)).slice(20))).toBeLessThan(9)
  })
})
