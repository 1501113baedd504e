// NVIDIA's own Triton client, from PyPI, against the inference routes: what its users call answers as Triton would. The
// models are real ONNX in threads of their own.
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sha256 } from '../../src/core/identity.ts'
import { finished, pythonWith } from '../notebooks/python.ts'
import { type ModelWorld, sumWorld } from '../serve/model-world.ts'
import { listen, type Running, world } from '../serve/world.ts'

/** Installing takes most of it, once. */
const LIMIT_MS = 300_000
const KEYS = [{ id: 'scientist', hash: `sha256:${sha256('m')}`, scopes: ['read', 'models'] as const }]

let models: ModelWorld
let server: Running
beforeAll(async () => {
  models = await sumWorld()
  server = await listen({ ...world().deps, models: models.desk, openModel: models.open }, { keys: KEYS })
})
afterAll(async () => {
  await server.close()
  await models.close()
})

describe('tritonclient', () => {
  it('gets what it asks for', { timeout: LIMIT_MS }, async context => {
    const requirements = join(import.meta.dirname, 'tritonclient-requirements.txt')
    const python = await pythonWith(context, {
      what: 'tritonclient',
      requirements,
      shown: 'test/peers/tritonclient-requirements.txt',
      variable: 'FORESHOCK_TRITON_PYTHON',
    })
    const asks = join(import.meta.dirname, 'tritonclient-asks.py')
    const { code, out } = await finished(python, [asks, server.url.replace('http://', ''), 'm'])
    expect(code, out).toBe(0)
    const seen = JSON.parse(out.trim().split('\n').at(-1) as string)
    const twice = [[6], [-0.5]]
    expect(seen).toMatchObject({
      live: true,
      ready: true,
      server: { name: 'foreshock', extensions: ['binary_tensor_data', 'model_repository'] },
      model_ready: [true, true, false],
      model: {
        name: 'sum',
        versions: ['2', '1'],
        inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 3] }],
        outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }],
      },
      binary: twice,
      binary_response: { model_name: 'sum', model_version: '1', id: '7' },
      json_in: twice,
      json_out: twice,
      json_both: twice,
      binary_asked: twice,
      gzip: twice,
      deflate: twice,
      version: '2',
      FP64: [[7]],
      INT32: [[7]],
      INT64: [[7]],
      UINT8: [[7]],
      FP16: [[7]],
      nan: [true],
      many: Array.from({ length: 40 }, (_, i) => 3 * i),
      loaded: twice,
      unloaded: false,
    })
    expect(seen.index).toContainEqual({ name: 'sum', version: '1', state: 'READY', reason: '' })
    expect(seen.index).toContainEqual({
      name: 'other',
      version: '1',
      state: 'UNAVAILABLE',
      reason: 'not loaded',
    })
    expect(seen.errors).toEqual({
      unknown: ['404', expect.stringContaining('no model none')],
      'not loaded': ['409', expect.stringContaining('not ready')],
      shape: ['400', expect.stringContaining('[rows, 3]')],
      lossy: ['400', expect.stringContaining('without loss')],
      text: ['400', expect.stringContaining('datatype')],
      'no key': ['401', expect.stringContaining('API key')],
      'no such model to load': ['404', expect.stringContaining('no model none')],
    })
  })
})
