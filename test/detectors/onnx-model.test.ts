// Shows what happens on a machine where no runtime can be loaded: one clear error from the model, and a combiner that
// goes on as its profile and says why. The runtimes are there on every machine that runs the tests, so their modules are
// replaced by ones that fail to load, as a missing shared library makes them.
import { expect, it, vi } from 'vitest'
import { featureBatch, scoreBatch } from '../../src/core/batch.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { COMBINER_FOLDER } from '../../src/detectors/combiner.ts'
import { openModel } from '../../src/detectors/model-open.ts'
import { loadPackage } from '../../src/detectors/model-package.ts'
import { OnnxCombiner } from '../../src/detectors/onnx-combiner.ts'
import { testSeries } from './contract.ts'

vi.mock('onnxruntime-node', () => {
  throw new Error('libonnxruntime.so.1: cannot open shared object file')
})
vi.mock('onnxruntime-web', () => {
  throw new Error('WebAssembly is switched off')
})

it('says that the runtime cannot be loaded', async () => {
  const loaded = await loadPackage(COMBINER_FOLDER)
  await expect(openModel(loaded)).rejects.toThrow(expect.objectContaining({ code: 'FS_MODEL_RUNTIME' }))
})

it('leaves the profile at work, warns once and names the problem', async () => {
  const series = new SeriesTable(1)
  series.intern(testSeries('s'))
  const warnings: string[] = []
  const stepMs = 1_800_000
  const detector = new OnnxCombiner(
    { series, stepMs },
    { profile: 'tiny', folder: COMBINER_FOLDER, onFailure: error => warnings.push(error.code) },
  )
  expect(detector.problem).toBeUndefined()
  const batch = featureBatch(1, 0)
  const out = scoreBatch(1)
  batch.length = 1
  let loud = 0
  for (let t = 0; t < 240; t++) {
    batch.windowEndMs[0] = (t + 1) * stepMs
    batch.observed[0] = t % 30 === 29 ? 50 : 10 + (t % 3)
    await detector.score(batch, out)
    detector.learn(batch, Float32Array.of(1))
    if (out.point[0] > 1) loud++
  }
  expect(loud).toBeGreaterThan(1)
  expect(warnings).toEqual(['FS_MODEL_RUNTIME'])
  expect(detector.problem).toMatch(/^FS_MODEL_RUNTIME: onnxruntime-web cannot be loaded here/)
  await detector.close()
})
