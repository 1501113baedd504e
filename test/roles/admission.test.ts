// Shows that a tenant's quota holds at a gateway: samples beyond its rate are sent back with a time to come again, series
// beyond its number are refused one by one, `*` stands for who is not named, and nobody pays for another.
import { expect, it } from 'vitest'
import { parseConfig } from '../../src/config.ts'
import { admission } from '../../src/roles/admission.ts'
import { MemoryQuota } from '../../src/store/memory-quota.ts'

const NONE = new BigUint64Array(0)

it('lets tenants send what they may', async () => {
  let nowMs = 1_000_000
  const { tenants } = parseConfig({
    tenants: {
      acme: { quota: { samplesPerSecond: 100, series: 3 } },
      '*': { quota: { series: 1 } },
      free: {},
    },
  })
  const admit = admission(tenants, new MemoryQuota({ clock: () => nowMs }))
  let passed = 0
  let sentBack = 0
  for (let i = 0; i < 1000; i++, nowMs += 100) {
    const { retryAfterMs } = await admit('acme', 50, NONE)
    if (retryAfterMs === 0) passed += 50
    else sentBack++
  }
  expect(passed).toBeGreaterThanOrEqual(10_000)
  expect(passed).toBeLessThanOrEqual(11_500)
  expect(sentBack).toBeGreaterThan(50)
  nowMs += 60_000
  expect((await admit('acme', 1, BigUint64Array.of(1n, 2n))).refused).toEqual([])
  expect((await admit('acme', 1, BigUint64Array.of(2n, 3n, 4n, 5n))).refused).toEqual([2, 3])
  expect((await admit('other', 1e9, BigUint64Array.of(1n, 2n))).refused).toEqual([1])
  expect(await admit('free', 1e9, BigUint64Array.of(1n, 2n, 3n))).toEqual({ retryAfterMs: 0, refused: [] })
})

it('takes no quota that means nothing', () => {
  for (const quota of [{ samplesPerSecond: 0 }, { series: -1 }, { samples: 5 }])
    expect(() => parseConfig({ tenants: { acme: { quota } } })).toThrow('tenants')
  expect(() => parseConfig({ tenants: { 'a/b': {} } })).toThrow()
})
