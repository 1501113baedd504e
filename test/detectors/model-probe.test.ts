// Shows that what a model takes is not confused with what the service takes: a small model passes when it is tried by a process
// that holds hundreds of megabytes. One over its budget is in bad-models.test.ts. The model is a real ONNX file.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { probe } from '../../src/detectors/model-probe.ts'
import { writePackage } from './model-packages.ts'
import { linearModel } from './onnx-builder.ts'

const base = mkdtempSync(join(tmpdir(), 'foreshock-probe-'))
afterAll(() => rmSync(base, { recursive: true }))

describe('the memory of a model on trial', () => {
  it('is its own, however much the service holds', async () => {
    const folder = writePackage(join(base, 'linear'), {
      files: { 'model.onnx': linearModel(3, 1, [1, 1, 3]) },
      inputs: [[1, 2, 3]],
      outputs: [[12]],
    })
    const held = new Uint8Array(500 * 2 ** 20).fill(1)
    const { megabytes } = await probe({ folder, isTimed: false })
    expect(megabytes).toBeLessThan(64)
    expect(held.at(-1)).toBe(1)
  })
})
