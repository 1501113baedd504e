// Shows the absence detector: silence of a regular series and a stuck value are strange; the same in a series that
// was always sparse, always constant or always late is not.
import { describe, expect, it } from 'vitest'
import { featureBatch, scoreBatch } from '../../src/core/batch.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { AbsenceDetector } from '../../src/detectors/absence.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { detectorContract, gaussian, testSeries } from './contract.ts'

detectorContract('absence@1', context => new AbsenceDetector(context))

async function run(values: readonly number[]): Promise<number[]> {
  const series = new SeriesTable()
  series.intern(testSeries('only'))
  const detector = new AbsenceDetector({ series, stepMs: 1000 })
  const batch = featureBatch(1, 0)
  const out = scoreBatch(1)
  batch.length = 1
  const scores: number[] = []
  for (const [t, value] of values.entries()) {
    batch.windowEndMs[0] = t * 1000
    batch.observed[0] = value
    batch.coverage[0] = Number.isNaN(value) ? 0 : 1
    await detector.score(batch, out)
    scores.push(out.score[0])
    detector.learn(batch, Float32Array.of(1))
  }
  return scores
}

describe('absence', () => {
  const random = mulberry32(2)
  const noise = (count: number) => Array.from({ length: count }, () => 5 + gaussian(random))
  const silence = (count: number) => Array.from({ length: count }, () => Number.NaN)

  it('rises with every window of silence of a regular series', async () => {
    const scores = (await run([...noise(60), ...silence(6), ...noise(3)])).slice(60)
    expect(scores[3]).toBeGreaterThan(2.5)
    expect(scores[5]).toBeGreaterThan(scores[3])
    expect(scores[6]).toBe(0)
  })

  it('is sooner sure of a series that was regular for longer', async () => {
    const at = async (count: number) => (await run([...noise(count), ...silence(3)]))[count + 2]
    expect(await at(600)).toBeGreaterThan((await at(40)) + 0.5)
  })

  it('finds nothing strange in a series that was always sparse', async () => {
    const sparse = Array.from({ length: 400 }, () => (random() < 0.3 ? 1 + random() : Number.NaN))
    expect(Math.max(...(await run([...sparse, ...silence(8)])).filter(s => !Number.isNaN(s)))).toBeLessThan(
      3.3,
    )
  })

  it('learns the rhythm of a series that reports every fifth window', async () => {
    const rhythm = Array.from({ length: 300 }, (_, t) => (t % 5 === 0 ? random() : Number.NaN))
    const scores = await run(rhythm)
    expect(Math.max(...scores.slice(150))).toBeLessThan(1.5)
  })

  it('calls a value stuck that used to vary, and not one that never did', async () => {
    const stuck = await run([...noise(100), ...Array.from({ length: 14 }, () => 5)])
    expect(stuck[112]).toBeGreaterThan(3.3)
    const constant = await run(Array.from({ length: 200 }, () => 5))
    expect(Math.max(...constant.slice(25))).toBeLessThan(1)
  })
})
