// Shows that a bad model of each kind is refused with one error that names the file and the reason, while the model that
// runs goes on: corrupt, of another shape, answering NaN, taking gigabytes, never ending, reaching out of its folder, not
// what its card or golden rows say, too slow, too large. Each is a real package; each that must be run to be known is
// tried in a process of its own, whose end is shown too.
import { mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openHost } from '../../src/detectors/model-host.ts'
import { openModel } from '../../src/detectors/model-open.ts'
import { loadPackage } from '../../src/detectors/model-package.ts'
import type { ModelSession } from '../../src/detectors/model-runtime.ts'
import { type PackageParts, writePackage } from './model-packages.ts'
import { cellModel, hugeModel, linearModel, loopModel } from './onnx-builder.ts'

const base = mkdtempSync(join(tmpdir(), 'foreshock-bad-'))
// Less than the service allows, so that the test is over soon; a good model takes a third of it.
const host = openHost({ limits: { wallMs: 20_000, megabytes: 600 } })
/** For what never ends; a good model takes a fifth of it on a machine that is busy otherwise. */
const hasty = openHost({ limits: { wallMs: 6000, megabytes: 600 } })
let champion: ModelSession
beforeAll(async () => {
  champion = await host.open(good())
})
afterAll(async () => {
  await Promise.all([host.close(), hasty.close()])
  rmSync(base, { recursive: true })
})

let made = 0
const folder = () => join(base, String(made++))
const write = (bytes: Uint8Array, parts: Partial<PackageParts> = {}): string =>
  writePackage(folder(), {
    files: { 'model.onnx': bytes },
    inputs: [
      [1, 2],
      [-3, 4],
    ],
    outputs: [[3], [1]],
    ...parts,
  })
const sum = linearModel(2, 1, [1, 1])
const good = () => write(sum)
const same = {
  outputs: [
    [1, 2],
    [-3, 4],
  ],
}

function spoilt(edit: (path: (file: string) => string) => void): string {
  const made = good()
  edit(file => join(made, file))
  return made
}

const NEVER_ENDS = 'a loop that never ends'
const BAD: readonly (readonly [string, RegExp, () => string])[] = [
  [
    'a file cut short',
    /model\.onnx is cut short or no ONNX file/,
    () => write(sum.subarray(0, sum.length - 9)),
  ],
  [
    'a file of other bytes',
    /model\.onnx is sha256:\w+, the card says/,
    () => spoilt(path => writeFileSync(path('model.onnx'), linearModel(2, 1, [1, 1.1]))),
  ],
  ['a folder that is not there', /card\.json is missing/, () => join(base, 'nowhere')],
  [
    'a link out of its folder',
    /model\.onnx is no plain file/,
    () =>
      spoilt(path => {
        unlinkSync(path('model.onnx'))
        symlinkSync('/etc/passwd', path('model.onnx'))
      }),
  ],
  [
    'another input width',
    /model\.onnx: input 'x' is \[batch, 3\], not \[batch, 2\]/,
    () => write(linearModel(3, 1, [1, 1, 1])),
  ],
  [
    'another output width',
    /model\.onnx: output 'y' is \[batch, 2\], not \[batch, 1\]/,
    () => write(linearModel(2, 2, [1, 1, 1, 1])),
  ],
  [
    'an operator that does not exist',
    /model\.onnx: the runtime refuses it: .*Telepathy/s,
    () => write(cellModel('Telepathy', 2), same),
  ],
  [
    'NaN for its own golden rows',
    /golden\.json: output 2 is NaN, training saw 4/,
    () =>
      write(cellModel('Sqrt', 2), {
        outputs: [
          [1, Math.SQRT2],
          [4, 2],
        ],
      }),
  ],
  [
    'other answers than in training',
    /golden\.json: output 1 is 1 in onnxruntime-node, training saw 1\.0001/,
    () => write(sum, { outputs: [[3], [1.0001]] }),
  ],
  [
    'golden outputs that are no numbers',
    /golden\.json: outputs\.0\.0/,
    () => write(sum, { outputs: [[null], [1]] }),
  ],
  [
    'a tensor of 2 GB',
    /it took \d+ MB, more than 600, and was stopped/,
    () => write(hugeModel(2, 2 ** 29), same),
  ],
  [
    'more memory than its budget',
    /budget\.megabytes is 8, it takes \d+ besides onnxruntime-node/,
    () => write(hugeModel(2, 2 ** 25), { ...same, card: { budget: { msPer256Rows: 1000, megabytes: 8 } } }),
  ],
  [NEVER_ENDS, /it is not ready after 6000 ms and was stopped/, () => write(loopModel(2), same)],
  [
    'more time than its budget',
    /budget\.msPer256Rows is 0\.00001, onnxruntime-node takes/,
    () => write(sum, { card: { budget: { msPer256Rows: 1e-5, megabytes: 64 } } }),
  ],
]

describe('a bad model is refused and the one that runs goes on', () => {
  for (const [what, reason, make] of BAD) {
    it(what, async () => {
      const bad = make()
      const by = what === NEVER_ENDS ? hasty : host
      await expect(by.open(bad)).rejects.toThrow(
        expect.objectContaining({
          code: 'FS_MODEL_INVALID',
          message: expect.stringMatching(new RegExp(`^${bad}.*: .*${reason.source}`, reason.flags)),
        }),
      )
      expect([...(await champion.run(Float32Array.of(5, 6), 1, 5000))]).toEqual([11])
    })
  }
})

it('does not hold what was accepted to its time again, and that is no pass for others', async () => {
  const slow = write(sum, { card: { budget: { msPer256Rows: 1e-5, megabytes: 64 } } })
  const session = await host.open(slow, 'accepted')
  expect([...(await session.run(Float32Array.of(1, 2), 1, 5000))]).toEqual([3])
  await session.close()
  await expect(host.open(slow)).rejects.toThrow(/budget\.msPer256Rows/)
  await expect(host.check(slow)).rejects.toThrow(/budget\.msPer256Rows/)
})

it('answers for each of many at once, and tries the same package once', async () => {
  const folder = write(linearModel(2, 1, [1, 2]), { outputs: [[5], [5]] })
  const from = performance.now()
  const first = await host.check(folder)
  const once = performance.now() - from
  const again = performance.now()
  const reports = await Promise.all(Array.from({ length: 20 }, () => host.check(folder)))
  expect(performance.now() - again).toBeLessThan(once / 2)
  for (const report of reports) expect(report).toBe(first)
  expect(first).toMatchObject({ isProven: true, proof: { runtime: 'onnxruntime-node', parity: 0 } })
})

it('holds another runtime to the golden rows less closely, but only when its own has passed', async () => {
  const off = (by: number) => write(sum, { outputs: [[3 + 3 * by], [1]] })
  // Too far for its own runtime, whichever runs in the end.
  const web = openHost({ runtimes: ['onnxruntime-web'] })
  await expect(web.check(off(5e-5))).rejects.toThrow(/in onnxruntime-node, training saw/)
  const opened = async (by: number, isProven: boolean) => {
    const loaded = await loadPackage(off(by))
    const { engine } = await openModel(loaded, { runtimes: ['onnxruntime-web'], isProven })
    await engine.close()
  }
  await opened(5e-5, true)
  await expect(opened(5e-5, false)).rejects.toThrow(/more than 0\.00001 apart/)
  await expect(opened(2e-4, true)).rejects.toThrow(/more than 0\.0001 apart/)
})

it('says when no runtime that is allowed can run it', async () => {
  const none = openHost({ runtimes: ['tfjs'] })
  await expect(none.check(good())).rejects.toThrow(expect.objectContaining({ code: 'FS_MODEL_RUNTIME' }))
})
