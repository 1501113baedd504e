// Shows that a model package is checked before it runs: the shipped one loads, says its golden outputs and takes what
// odd input there is; and each way a package can be wrong is refused with one error that names the file. Broken
// packages are made from the shipped one; foreign models are written as protobuf by hand.
import { createHash } from 'node:crypto'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { ForeshockError } from '../../src/core/errors.ts'
import { COMBINER_FOLDER } from '../../src/detectors/combiner.ts'
import { COMBINER_VIEWS } from '../../src/detectors/combiner-views.ts'
import { openModel } from '../../src/detectors/model-open.ts'
import { loadPackage } from '../../src/detectors/model-package.ts'
import { onnxNeeds } from '../../src/detectors/onnx-file.ts'

const base = mkdtempSync(join(tmpdir(), 'foreshock-model-'))
afterAll(() => rmSync(base, { recursive: true }))
let copies = 0

/** A copy of the shipped package, for spoiling. */
function copy(): string {
  const folder = join(base, String(copies++))
  cpSync(COMBINER_FOLDER, folder, { recursive: true })
  return folder
}

function editJson(folder: string, file: string, edit: (json: Record<string, never>) => unknown): string {
  const path = join(folder, file)
  writeFileSync(path, JSON.stringify(edit(JSON.parse(readFileSync(path, 'utf8')))))
  return folder
}

/** A package with another model whose digest the card knows. */
function withModel(bytes: Uint8Array): string {
  const folder = copy()
  writeFileSync(join(folder, 'model.onnx'), bytes)
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  return editJson(folder, 'card.json', card => ({ ...card, digest }))
}

/** A protobuf field with a length: text or a message. */
function part(field: number, content: string | readonly number[]): number[] {
  const bytes = typeof content === 'string' ? [...new TextEncoder().encode(content)] : content
  return [...varint(field * 8 + 2), ...varint(bytes.length), ...bytes]
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))]
}

const opset = (domain: string, version: number) => part(8, [...part(1, domain), 16, ...varint(version)])
const node = (domain: string, operator: string) => part(1, [...part(4, operator), ...part(7, domain)])

const refused = (reason: RegExp) =>
  expect.objectContaining({ code: 'FS_MODEL_INVALID', message: expect.stringMatching(reason) })

describe('the shipped combiner', () => {
  it('loads, is small, and answers as training saw', async () => {
    const loaded = await loadPackage(COMBINER_FOLDER)
    expect(loaded.model.length).toBeLessThan(300_000)
    expect(loaded.card.input.features).toEqual(COMBINER_VIEWS)
    const { engine: model } = await openModel(loaded)
    const { golden } = loaded
    expect(golden.rows).toBeGreaterThan(50)
    const found = await model.run(golden.inputs, golden.rows)
    for (const [i, value] of found.entries()) expect(Math.abs(value - golden.outputs[i])).toBeLessThan(1e-5)
    await model.close()
  })

  it('says the same of a row alone and among thousands, whatever is in it', async () => {
    const { engine: model } = await openModel(await loadPackage(COMBINER_FOLDER))
    const width = COMBINER_VIEWS.length
    const rows = 2500
    const odd = [NaN, Infinity, -Infinity, 0, 3e38, -1, 1.5]
    const input = Float32Array.from({ length: rows * width }, (_, i) => odd[(i * 7 + (i >> 5)) % odd.length])
    const all = await model.run(input, rows)
    for (const row of [0, 1023, 1024, 2499]) {
      const one = await model.run(input.subarray(row * width, (row + 1) * width), 1)
      expect(one[0]).toBe(all[row])
      expect(Number.isFinite(one[0])).toBe(true)
    }
    await model.close()
  })
})

describe('a package that is not right', () => {
  const broken: readonly (readonly [string, RegExp, () => string])[] = [
    ['not there', /card\.json is missing/, () => join(base, 'nowhere')],
    [
      'without its model',
      /model\.onnx is missing/,
      () => {
        const folder = copy()
        unlinkSync(join(folder, 'model.onnx'))
        return folder
      },
    ],
    [
      'a link to elsewhere',
      /model\.onnx is no plain file/,
      () => {
        const folder = copy()
        unlinkSync(join(folder, 'model.onnx'))
        symlinkSync(join(COMBINER_FOLDER, 'model.onnx'), join(folder, 'model.onnx'))
        return folder
      },
    ],
    [
      'of another digest',
      /model\.onnx is sha256:/,
      () => {
        const folder = copy()
        const path = join(folder, 'model.onnx')
        const bytes = readFileSync(path)
        bytes[bytes.length >> 1] ^= 1
        writeFileSync(path, bytes)
        return folder
      },
    ],
    [
      'a card that is no JSON',
      /card\.json is no JSON/,
      () => {
        const folder = copy()
        writeFileSync(join(folder, 'card.json'), '{')
        return folder
      },
    ],
    [
      'a card without a licence',
      /card\.json: licence/,
      () => editJson(copy(), 'card.json', ({ licence: _, ...card }) => card),
    ],
    [
      'a card of another opset',
      /the card says 9/,
      () => editJson(copy(), 'card.json', card => ({ ...card, opsets: { 'ai.onnx': 17, 'ai.onnx.ml': 9 } })),
    ],
    [
      'golden rows of another width',
      /golden\.json: inputs 0 has 1 columns/,
      () => editJson(copy(), 'golden.json', () => ({ inputs: [[1]], outputs: [[1]] })),
    ],
    [
      'a model that is text',
      /no ONNX file|no graph/,
      () => withModel(new TextEncoder().encode('not a model')),
    ],
    [
      'operators of its own',
      /'evil\.corp'|evil\.corp\.Run/,
      () => withModel(Uint8Array.from([...part(7, node('evil.corp', 'Run')), ...opset('', 17)])),
    ],
    [
      'tensors in another file',
      /keeps tensors in another file/,
      () => withModel(Uint8Array.from([...part(7, part(5, part(13, part(1, 'location'))))])),
    ],
    [
      'a newer opset than the runtime',
      /the runtime knows/,
      () => withModel(Uint8Array.from([...part(7, node('', 'Add')), ...opset('', 99)])),
    ],
  ]
  for (const [what, reason, make] of broken) {
    it(`is refused: ${what}`, async () => {
      await expect(loadPackage(make())).rejects.toThrow(refused(reason))
    })
  }

  it('is refused by the runtime when its golden outputs do not come back', async () => {
    const folder = editJson(copy(), 'golden.json', json => {
      const outputs = (json.outputs as unknown as number[][]).map(([value]) => [value + 2e-5])
      return { ...json, outputs }
    })
    const loaded = await loadPackage(folder)
    await expect(openModel(loaded)).rejects.toThrow(refused(/golden\.json: output 0/))
  })

  it('is refused by the runtime when it has no such input, or graphs that make no sense', async () => {
    const renamed = editJson(copy(), 'card.json', (card: { input?: object }) => ({
      ...card,
      input: { ...card.input, name: 'x' },
    }))
    await expect(openModel(await loadPackage(renamed))).rejects.toThrow(refused(/no input 'x'/))
    const empty = withModel(Uint8Array.from([8, 8, ...part(7, node('', 'Nonsense')), ...opset('', 17)]))
    editJson(empty, 'card.json', card => ({ ...card, opsets: { 'ai.onnx': 17 } }))
    await expect(openModel(await loadPackage(empty))).rejects.toThrow(refused(/the runtime refuses it/))
  })
})

describe('reading what a model asks for', () => {
  it('never does anything but answer or refuse, whatever the bytes', () => {
    const model = readFileSync(join(COMBINER_FOLDER, 'model.onnx'))
    const spoilt = fc
      .record({ at: fc.nat(model.length - 1), byte: fc.nat(255), cut: fc.nat(model.length) })
      .map(({ at, byte, cut }) => {
        const bytes = Uint8Array.from(model.subarray(0, cut))
        if (at < cut) bytes[at] = byte
        return bytes
      })
    fc.assert(
      fc.property(fc.oneof(spoilt, fc.uint8Array({ maxLength: 200 })), bytes => {
        try {
          onnxNeeds(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(ForeshockError)
        }
      }),
      { numRuns: 300 },
    )
  })
})
