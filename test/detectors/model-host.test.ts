// Shows that models run in threads of their own: that they answer as golden rows say, in both ONNX runtimes; that a call
// which takes too long is given up, the stuck thread replaced and the session good again; that opening and closing
// fifty times leaves no memory behind. Models are real ONNX files written by the test.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { openHost } from '../../src/detectors/model-host.ts'
import { writePackage } from './model-packages.ts'
import { linearModel, loopModel } from './onnx-builder.ts'

const base = mkdtempSync(join(tmpdir(), 'foreshock-host-'))
const hosts: ReturnType<typeof openHost>[] = []
afterAll(async () => {
  await Promise.all(hosts.map(host => host.close()))
  rmSync(base, { recursive: true })
})

function host(options?: Parameters<typeof openHost>[0]) {
  const made = openHost(options)
  hosts.push(made)
  return made
}

/** y = sum of x and twice the last. */
const linear = writePackage(join(base, 'linear'), {
  files: { 'model.onnx': linearModel(3, 1, [1, 1, 3]) },
  inputs: [
    [1, 2, 3],
    [0, 0, -1],
  ],
  outputs: [[12], [-3]],
})
/** y = x, for rows without anything positive; on others it never ends. */
const loop = writePackage(join(base, 'loop'), {
  files: { 'model.onnx': loopModel(2) },
  inputs: [[-1, -2]],
  outputs: [[-1, -2]],
})

const runtimeError = (reason: RegExp) =>
  expect.objectContaining({ code: 'FS_MODEL_RUNTIME', message: expect.stringMatching(reason) })

describe('a session', () => {
  for (const runtime of ['onnxruntime-node', 'onnxruntime-web'] as const) {
    it(`answers in ${runtime}, calls in turn, each row as alone`, async () => {
      const session = await host({ runtimes: [runtime] }).open(linear)
      expect(session.runtime).toBe(runtime)
      const input = Float32Array.from({ length: 3 * 3000 }, (_, i) => (i % 17) - 8)
      const wanted = (row: number) => input[row * 3] + input[row * 3 + 1] + 3 * input[row * 3 + 2]
      const [all, few, none] = await Promise.all([
        session.run(input, 3000),
        session.run(input, 2),
        session.run(input, 0),
      ])
      expect([all.length, few.length, none.length]).toEqual([3000, 2, 0])
      for (const row of [0, 1, 1023, 1024, 2999]) expect(all[row]).toBe(wanted(row))
      expect([...few]).toEqual([wanted(0), wanted(1)])
      // The caller's numbers are its own again as soon as the call is made.
      const lent = Float32Array.from([1, 1, 1])
      const asked = session.run(lent, 1)
      lent.fill(100)
      expect([...(await asked)]).toEqual([5])
      await session.close()
      await expect(session.run(input, 1)).rejects.toThrow(runtimeError(/it is closed/))
    })
  }

  it('mixes up nothing, whatever the sizes of the calls on their way', async () => {
    const session = await host().open(linear)
    let first = 0
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(2200), { minLength: 1, maxLength: 30 }), async sizes => {
        const asked = sizes.map(rows => {
          const from = ++first
          const input = Float32Array.from({ length: 3 * rows }, (_, i) => from + i)
          return session.run(input, rows).then(output => ({ from, rows, output }))
        })
        for (const { from, rows, output } of await Promise.all(asked)) {
          expect(output.length).toBe(rows)
          const isRight = output.every((value, row) => value === 5 * (from + 3 * row) + 7)
          expect(isRight).toBe(true)
        }
      }),
      { numRuns: 30 },
    )
    await session.close()
  })

  it('refuses what makes no sense and goes on', async () => {
    const session = await host().open(linear)
    await expect(session.run(new Float32Array(3), 2)).rejects.toThrow(runtimeError(/3 numbers are no 2 rows/))
    await expect(session.run(new Float32Array(3), -1)).rejects.toThrow(runtimeError(/not -1/))
    await expect(session.run(new Float32Array(3), 0.5)).rejects.toThrow(runtimeError(/not 0\.5/))
    const crowd = Array.from({ length: 200 }, () => session.run(new Float32Array(3), 1))
    const outcomes = await Promise.allSettled(crowd)
    const refused = outcomes.filter(one => one.status === 'rejected')
    expect(refused.length).toBeGreaterThan(100)
    for (const { reason } of refused) expect(reason).toEqual(runtimeError(/calls wait already/))
    expect([...(await session.run(Float32Array.of(0, 0, 1), 1))]).toEqual([3])
  })

  it('gives up a call that never ends, refuses while it is stuck, and is opened again', async () => {
    const session = await host().open(loop)
    // Loops run where they can be stopped.
    expect(session.runtime).toBe('onnxruntime-web')
    const good = Float32Array.of(-3, -4)
    expect([...(await session.run(good, 1))]).toEqual([-3, -4])
    const from = performance.now()
    const endless = session.run(Float32Array.of(1, 1), 1, 150)
    const behind = session.run(good, 1, 5000)
    await expect(endless).rejects.toThrow(runtimeError(/took longer than 150 ms/))
    await expect(behind).rejects.toThrow(runtimeError(/stuck/))
    await expect(session.run(good, 1)).rejects.toThrow(runtimeError(/stuck/))
    expect(performance.now() - from).toBeLessThan(1500)
    const again = async (): Promise<Float32Array> => {
      try {
        return await session.run(good, 1)
      } catch {
        await new Promise(resolve => setTimeout(resolve, 100))
        return again()
      }
    }
    expect([...(await again())]).toEqual([-3, -4])
    await session.close()
  })
})

describe('a host', () => {
  it('leaves no memory behind after fifty swaps', async () => {
    // As built where it is: threads start five times as fast without a loader.
    const built = join(import.meta.dirname, '../../dist/detectors/model-host.js')
    const open = existsSync(built) ? ((await import(built)).openHost as typeof openHost) : openHost
    const own = open()
    hosts.push(own)
    const sizes: number[] = []
    let session = await own.open(linear)
    for (let swap = 0; swap <= 50; swap++) {
      const next = await own.open(linear)
      await next.run(new Float32Array(3 * 256), 256)
      await session.close()
      session = next
      if (swap % 10 === 0) sizes.push(process.memoryUsage.rss())
    }
    expect(sizes).toHaveLength(6)
    expect(Math.max(...sizes.slice(1)) / sizes[0]).toBeLessThanOrEqual(1.2)
  }, 120_000)

  it('opens no more after it was closed, and ends what was open', async () => {
    const own = openHost()
    const session = await own.open(linear)
    await own.close()
    await expect(session.run(new Float32Array(3), 1)).rejects.toThrow(runtimeError(/closed/))
    await expect(own.open(linear)).rejects.toThrow(runtimeError(/not opened any more/))
  })
})
