// Shows that a package scores recorded series as `--detector model:FOLDER` says: windows asked one by one, as `score`
// does, and many at once, as `evaluate` does, give the same numbers; a fault is found; what is no model of the kind
// asked for is refused with the reason. The model is a real ONNX file.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { AheadOfTime, EntityModelRun, modelChoice, modelLooksAt } from '../../src/commands/model-detector.ts'
import { SeriesRun } from '../../src/commands/series-run.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { gaussian } from '../detectors/contract.ts'
import { temporaryFolder } from '../e2e/service.ts'
import { writeShare } from '../model-world.ts'

describe('a package as a detector', () => {
  const root = temporaryFolder()
  writeShare(root, 'probe', 1, 0.3)
  const folder = join(root, 'probe', '1')
  afterAll(() => rmSync(root, { recursive: true, force: true }))

  it('says the same asked one by one and many at once, and finds a spike', async () => {
    const random = mulberry32(4)
    const values = Array.from({ length: 300 }, (_, t) => 10 + gaussian(random) + (t === 280 ? 40 : 0))
    const one = new SeriesRun(modelChoice(folder), 60_000)
    const ahead = new AheadOfTime(folder)
    const listening = new SeriesRun(modelChoice(folder, ahead.listening), 60_000)
    const answering = new SeriesRun(modelChoice(folder, ahead.answering), 60_000)
    for (const [t, value] of values.entries()) await listening.next(t * 60_000, value)
    await ahead.infer()
    let loud = 0
    for (const [t, value] of values.entries()) {
      await one.next(t * 60_000, value)
      await answering.next(t * 60_000, value)
      for (const column of ['score', 'point', 'incident'] as const) {
        const [a, b] = [one.out[column][0], answering.out[column][0]]
        if (Number.isNaN(a)) expect(b).toBeNaN()
        else expect(Math.abs(a - b)).toBeLessThan(1e-4)
      }
      if (t === 280) loud = one.out.point[0]
    }
    expect(loud).toBeGreaterThan(3.3)
    await one.detector.close()
    await answering.detector.close()
  })

  it('is refused where it looks at something else, or at nothing', () => {
    expect(modelLooksAt(folder)).toBe('series')
    expect(() => new EntityModelRun(folder, ['a', 'b'], 60_000)).toThrow('looks at single series')
    expect(() => modelLooksAt('models/kpi-combiner/1')).toThrow('scores nothing')
    expect(() => modelChoice(join(root, 'nowhere'))).toThrow('card.json')
  })
})
