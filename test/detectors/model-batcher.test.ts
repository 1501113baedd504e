// Shows that requests of many callers are joined into few runs of a real model in its thread, each getting its own rows
// back, whatever their sizes; that callers take turns, that waiting is bounded in rows and in time, and that a failing
// model fails those who asked it and nobody after. Runs are counted by a session that passes all on to the real one.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BATCHER_DEFAULTS, ModelBatcher } from '../../src/detectors/model-batcher.ts'
import { openHost } from '../../src/detectors/model-host.ts'
import type { ModelSession } from '../../src/detectors/model-runtime.ts'
import { writePackage } from './model-packages.ts'
import { linearModel } from './onnx-builder.ts'

const base = mkdtempSync(join(tmpdir(), 'foreshock-batcher-'))
const host = openHost()
let session: ModelSession
beforeAll(async () => {
  // y = (a + b, a − b)
  const folder = writePackage(join(base, 'm'), {
    files: { 'model.onnx': linearModel(2, 2, [1, 1, 1, -1]) },
    inputs: [[1, 2]],
    outputs: [[3, -1]],
  })
  session = await host.open(folder)
})
afterAll(async () => {
  await host.close()
  rmSync(base, { recursive: true })
})

/** The real session with its runs counted; `hold` keeps answers back until it settles. */
function counted(hold: () => Promise<void> = async () => {}): ModelSession & { readonly runs: number[] } {
  const runs: number[] = []
  return {
    card: session.card,
    runtime: session.runtime,
    runs,
    async run(input, rows, timeoutMs) {
      runs.push(rows)
      await hold()
      return session.run(input, rows, timeoutMs)
    },
    close: async () => {},
  }
}

const rowsOf = (first: number, rows: number) => Float32Array.from({ length: 2 * rows }, (_, i) => first + i)

function isRight(output: Float32Array, first: number, rows: number): boolean {
  if (output.length !== 2 * rows) return false
  for (let row = 0; row < rows; row++) {
    const [a, b] = [first + 2 * row, first + 2 * row + 1]
    if (output[2 * row] !== a + b || output[2 * row + 1] !== a - b) return false
  }
  return true
}

describe('a batcher', () => {
  it('joins what comes together into one run', async () => {
    const own = counted()
    // Long enough for a hundred calls of this thread, however busy the machine is.
    const batcher = new ModelBatcher(own, { ...BATCHER_DEFAULTS, waitMs: 500 })
    const outputs = await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        batcher.run(`c${i % 7}`, rowsOf(i * 10, 1 + (i % 3)), 1 + (i % 3), 5000),
      ),
    )
    for (const [i, output] of outputs.entries()) expect(isRight(output, i * 10, 1 + (i % 3))).toBe(true)
    expect(own.runs).toEqual([199])
    expect(batcher.queuedRows).toBe(0)
  })

  it('gives each its own rows, whatever the sizes and the callers', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(3), fc.nat(200)), { maxLength: 40 }),
        fc.integer({ min: 1, max: 64 }),
        async (requests, rowsMax) => {
          const own = counted()
          const batcher = new ModelBatcher(own, { ...BATCHER_DEFAULTS, waitMs: 1, rowsMax })
          const outputs = await Promise.all(
            requests.map(([caller, rows], i) =>
              batcher.run(`c${caller}`, rowsOf(i * 1000, rows), rows, 20_000),
            ),
          )
          for (const [i, output] of outputs.entries())
            expect(isRight(output, i * 1000, requests[i][1])).toBe(true)
          expect(Math.max(0, ...own.runs)).toBeLessThanOrEqual(rowsMax)
          expect(own.runs.reduce((a, b) => a + b, 0)).toBe(requests.reduce((a, [, rows]) => a + rows, 0))
        },
      ),
      { numRuns: 20 },
    )
  })

  it('waits no longer than it says, and not at all for a full batch', async () => {
    const batcher = new ModelBatcher(session, { waitMs: 400, rowsMax: 64, queueRowsMax: 1000 })
    const from = performance.now()
    await batcher.run('a', rowsOf(0, 1), 1, 5000)
    const alone = performance.now() - from
    expect(alone).toBeGreaterThanOrEqual(399)
    await batcher.run('a', rowsOf(0, 64), 64, 5000)
    expect(performance.now() - from - alone).toBeLessThan(399)
  })

  it('lets callers take turns: who asks little is not behind who asks much', async () => {
    const own = counted()
    const batcher = new ModelBatcher(own, { waitMs: 1, rowsMax: 100, queueRowsMax: 10_000 })
    const order: string[] = []
    const large = Array.from({ length: 5 }, () =>
      batcher.run('large', rowsOf(0, 1000), 1000, 20_000).then(() => order.push('large')),
    )
    const small = batcher.run('small', rowsOf(7, 3), 3, 20_000).then(() => order.push('small'))
    await Promise.all([...large, small])
    expect(order[0]).toBe('small')
  })

  it('refuses what would wait too long: too many rows, or no answer in time', async () => {
    let release = () => {}
    const held = new Promise<void>(resolve => {
      release = resolve
    })
    const own = counted(() => held)
    const batcher = new ModelBatcher(own, { waitMs: 1, rowsMax: 10, queueRowsMax: 20 })
    const first = batcher.run('a', rowsOf(0, 10), 10, 20_000)
    const late = batcher.run('a', rowsOf(0, 15), 15, 50)
    await expect(batcher.run('b', rowsOf(0, 10), 10, 50)).rejects.toThrow(
      expect.objectContaining({ code: 'FS_OVERLOADED' }),
    )
    await expect(late).rejects.toThrow(
      expect.objectContaining({
        code: 'FS_MODEL_RUNTIME',
        message: expect.stringMatching(/no answer within 50 ms/),
      }),
    )
    // Its rows do not count any more.
    const next = batcher.run('b', rowsOf(4, 20), 20, 20_000)
    release()
    expect(isRight(await first, 0, 10)).toBe(true)
    expect(isRight(await next, 4, 20)).toBe(true)
    expect(own.runs).toEqual([10, 10, 10])
    await expect(batcher.run('a', rowsOf(0, 1), 2, 50)).rejects.toThrow(/2 numbers are no 2 rows of 2/)
  })

  it('fails those whose batch failed, and goes on', async () => {
    let failures = 1
    const own = counted(async () => {
      if (failures-- > 0) throw new Error('broken')
    })
    const batcher = new ModelBatcher(own)
    const both = await Promise.allSettled([
      batcher.run('a', rowsOf(0, 1), 1, 5000),
      batcher.run('b', rowsOf(0, 1), 1, 5000),
    ])
    expect(both.map(one => one.status)).toEqual(['rejected', 'rejected'])
    expect(isRight(await batcher.run('a', rowsOf(3, 2), 2, 5000), 3, 2)).toBe(true)
    const waiting = batcher.run('a', rowsOf(0, 1), 1, 5000)
    batcher.close()
    await expect(waiting).rejects.toThrow(/it is closed/)
  })
})
