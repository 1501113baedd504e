// Shows that TF.js models run from disk through the same host: a layers model, a graph model, and one with an operator
// that only the slow backend has; and that each way such a package can be wrong is refused with the file and the reason.
import { mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { ForeshockError } from '../../src/core/errors.ts'
import { openHost } from '../../src/detectors/model-host.ts'
import { openModel } from '../../src/detectors/model-open.ts'
import { loadPackage } from '../../src/detectors/model-package.ts'
import { tfjsNeeds } from '../../src/detectors/tfjs-file.ts'
import { type PackageParts, writePackage } from './model-packages.ts'
import { denseLayers, einsum, graphModel, matMul, type TfjsFiles } from './tfjs-builder.ts'

const base = mkdtempSync(join(tmpdir(), 'foreshock-tfjs-'))
const host = openHost()
afterAll(async () => {
  await host.close()
  rmSync(base, { recursive: true })
})

let made = 0
const WEIGHTS = [1, -1, 2, 0.5]
/** Golden rows of y = x · [[1, −1], [2, 0.5]]. */
const GOLDEN = {
  inputs: [
    [1, 2],
    [-3, 0.25],
  ],
  outputs: [
    [5, 0],
    [-2.5, 3.125],
  ],
}
function write(files: TfjsFiles, card: PackageParts['card'] = {}): string {
  return writePackage(join(base, String(made++)), { files, ...GOLDEN, card })
}

const layers = () => denseLayers(2, 2, WEIGHTS)
const asGraph = { format: 'tfjs-graph' } as const
const weight = { shape: [2, 2], values: WEIGHTS }

describe('a TF.js model', () => {
  const kinds: readonly (readonly [string, () => string])[] = [
    ['of layers', () => write(layers())],
    ['as a graph', () => write(graphModel(2, [matMul], weight), asGraph)],
    ['with an operator that WebAssembly lacks', () => write(graphModel(2, [einsum], weight), asGraph)],
  ]
  for (const [kind, make] of kinds) {
    it(`answers: ${kind}`, async () => {
      const session = await host.open(make())
      expect(session.runtime).toBe('tfjs')
      const rows = 700
      const input = Float32Array.from({ length: 2 * rows }, (_, i) => (i % 13) - 6)
      const found = await session.run(input, rows)
      expect(found.length).toBe(2 * rows)
      for (const row of [0, 255, 256, 699]) {
        const [a, b] = [input[2 * row], input[2 * row + 1]]
        expect(found[2 * row]).toBeCloseTo(a + 2 * b, 5)
        expect(found[2 * row + 1]).toBeCloseTo(-a + 0.5 * b, 5)
      }
      await session.close()
    })
  }
})

describe('a TF.js package that is not right', () => {
  const edited = (files: TfjsFiles, edit: (model: string) => string): TfjsFiles => ({
    ...files,
    'model.json': edit(files['model.json'] as string),
  })
  const broken: readonly (readonly [string, RegExp, () => string])[] = [
    [
      'weights above the folder',
      /weight file '\.\.\/secret' is no plain name/,
      () => write(edited(layers(), text => text.replace('weights.bin', '../secret'))),
    ],
    [
      'weights of the system',
      /weight file '\/etc\/passwd' is no plain name/,
      () => write(edited(layers(), text => text.replace('weights.bin', '/etc/passwd'))),
    ],
    [
      'weights of a network',
      /weight file 'http:.*' is no plain name/,
      () => write(edited(layers(), text => text.replace('weights.bin', 'http://127.0.0.1/w'))),
    ],
    [
      'weights that are a link',
      /weights\.bin is no plain file/,
      () => {
        const folder = write(layers())
        unlinkSync(join(folder, 'weights.bin'))
        symlinkSync('/etc/passwd', join(folder, 'weights.bin'))
        return folder
      },
    ],
    [
      'other weights',
      /weight files is sha256:.*the card says/,
      () => {
        const folder = write(layers())
        writeFileSync(join(folder, 'weights.bin'), new Uint8Array(16))
        return folder
      },
    ],
    [
      'too few weights',
      /make 16 bytes, the files hold 12/,
      () => write({ ...layers(), 'weights.bin': new Uint8Array(12) }),
    ],
    [
      'sizes that are no sizes',
      /weightsManifest\.0\.weights\.0\.shape/,
      () => write(edited(layers(), text => text.replace('"shape":[2,2]', '"shape":[-2,2]'))),
    ],
    ['another format', /is a layers-model, the card says tfjs-graph/, () => write(layers(), asGraph)],
    [
      'no graph',
      /holds no graph/,
      () =>
        write(
          edited(graphModel(2, [matMul], weight), text => text.replace('"node"', '"nodes"')),
          asGraph,
        ),
    ],
    ['loops', /has loops: While/, () => write(graphModel(2, [{ ...matMul, op: 'While' }], weight), asGraph)],
    ['text for a model', /model\.json is no JSON/, () => write({ ...layers(), 'model.json': 'layers' })],
  ]
  for (const [what, reason, make] of broken) {
    it(`is refused before it runs: ${what}`, async () => {
      await expect(loadPackage(make())).rejects.toThrow(
        expect.objectContaining({ code: 'FS_MODEL_INVALID', message: expect.stringMatching(reason) }),
      )
    })
  }

  const refused: readonly (readonly [string, RegExp, () => string])[] = [
    [
      'a layer of its own',
      /model\.json: the runtime refuses it: .*Evil/s,
      () => write(denseLayers(2, 2, WEIGHTS, 'Evil')),
    ],
    [
      'an operator of its own',
      /model\.json: the runtime refuses it: .*Evil/s,
      () => write(graphModel(2, [{ ...matMul, op: 'Evil' }], weight), asGraph),
    ],
    ['another width', /input is \[batch, 4\], not \[batch, 2\]/, () => write(denseLayers(4, 1, WEIGHTS))],
    [
      'other golden outputs',
      /golden\.json: output 0 is 2 in tfjs, training saw 5/,
      () => write(denseLayers(2, 2, [2, 0, 0, 2])),
    ],
    ['NaN', /golden\.json: output 0 is NaN/, () => write(denseLayers(2, 2, [NaN, 0, 0, 2]))],
  ]
  for (const [what, reason, make] of refused) {
    it(`is refused by the runtime: ${what}`, async () => {
      await expect(loadPackage(make()).then(loaded => openModel(loaded))).rejects.toThrow(
        expect.objectContaining({ code: 'FS_MODEL_INVALID', message: expect.stringMatching(reason) }),
      )
    })
  }

  it('never does anything but answer or refuse, whatever the JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (model, manifest) => {
        for (const json of [model, { modelTopology: { node: model }, weightsManifest: manifest }]) {
          try {
            tfjsNeeds('f', json, 'tfjs-graph')
          } catch (error) {
            expect(error).toBeInstanceOf(ForeshockError)
          }
        }
      }),
      { numRuns: 300 },
    )
  })
})
