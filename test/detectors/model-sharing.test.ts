// Shows that pipelines of one process share the sessions of models: each version is opened once however many ask, ends with
// its last user and not before, and an opening that failed is tried anew by whoever comes next.
import { expect, it } from 'vitest'
import type { ModelSession } from '../../src/detectors/model-runtime.ts'
import { SharedSessions } from '../../src/detectors/model-sharing.ts'

it('opens once, ends with the last user, tries anew after a failure', async () => {
  let [opened, closed, failures] = [0, 0, 0]
  const shared = new SharedSessions(async (_model, version) => {
    await Promise.resolve()
    if (version === 2 && failures++ === 0) throw new Error('away')
    opened++
    return {
      card: { version } as ModelSession['card'],
      runtime: 'tfjs',
      run: async (input, rows) => input.map(value => value + rows + version),
      close: async () => void closed++,
    }
  })
  const [a, b] = await Promise.all([shared.take('m', 1, 'd'), shared.take('m', 1, 'd')])
  expect(opened).toBe(1)
  expect([...(await a.run(Float32Array.of(1), 1))]).toEqual([3])
  await a.close()
  await a.close()
  expect(closed).toBe(0)
  expect([...(await b.run(Float32Array.of(2), 1))]).toEqual([4])
  await b.close()
  expect(closed).toBe(1)
  await (await shared.take('m', 1, 'd')).close()
  expect([opened, closed]).toEqual([2, 2])
  const both = await Promise.allSettled([shared.take('m', 2, 'd'), shared.take('m', 2, 'd')])
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect((await shared.take('m', 2, 'd')).card.version).toBe(2)
  // Another package under the same number is another session.
  await shared.take('m', 2, 'other')
  expect(opened).toBe(4)
})
