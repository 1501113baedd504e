// The contract of the QuotaKeeper and RateCounter ports: tenants get their rate and their burst and not more, whatever the
// number of gateways; series count once wherever they are seen; requests are counted over all. Every adapter runs it.
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { QuotaKeeper, RateCounter } from '../../src/core/ports.ts'
import { BURST_SECONDS } from '../../src/store/token-bucket.ts'

const fingerprints = (from: number, count: number) =>
  BigUint64Array.from(
    { length: count },
    (_, i) => (BigInt(from + i) * 0x9e3779b97f4a7c15n) & (2n ** 64n - 1n),
  )

/** `make` gives two gateways' views of one count of quotas. */
export function quotaContract(name: string, make: () => [QuotaKeeper, QuotaKeeper]): void {
  describe(`quota contract: ${name}`, () => {
    it('lets a burst pass and then the rate, over all gateways together', async () => {
      const gateways = make()
      const rate = 1000
      const startMs = performance.now()
      let passed = 0
      let refused = 0
      for (let i = 0; performance.now() - startMs < 700; i++) {
        const waitMs = await gateways[i % 2].takeSamples('busy', 50, rate)
        if (waitMs === 0) passed += 50
        else {
          expect(waitMs).toBeGreaterThan(0)
          refused++
          await wait(5)
        }
      }
      const mayPass = rate * (BURST_SECONDS + (performance.now() - startMs) / 1000)
      expect(refused).toBeGreaterThan(3)
      expect(passed).toBeGreaterThan(0.9 * mayPass)
      expect(passed).toBeLessThan(1.1 * mayPass)
    })

    it('lets a body pass that is larger than the burst, and then waits until it is paid for', async () => {
      const [a, b] = make()
      expect(await a.takeSamples('large', 10 * 20_000, 10_000)).toBe(0)
      for (const gateway of [a, b]) {
        const waitMs = await gateway.takeSamples('large', 1, 10_000)
        expect(waitMs).toBeGreaterThan(9000)
        expect(waitMs).toBeLessThanOrEqual(10_000)
      }
    })

    it('tenants do not touch each other', async () => {
      const [a, b] = make()
      expect(await a.takeSamples('one', 1_000_000, 10)).toBe(0)
      expect(await b.takeSamples('two', 1, 10)).toBe(0)
      expect(await a.takeSamples('one', 1, 10)).toBeGreaterThan(0)
      expect(await a.countSeries('one', fingerprints(0, 5), 5)).toEqual([])
      expect(await b.countSeries('two', fingerprints(5, 5), 5)).toEqual([])
    })

    it('counts a series once, wherever it is seen, and refuses those beyond the quota', async () => {
      const [a, b] = make()
      expect(await a.countSeries('t', fingerprints(0, 60), 100)).toEqual([])
      expect(await b.countSeries('t', fingerprints(40, 50), 100)).toEqual([]) // 90 by now
      expect(await a.countSeries('t', fingerprints(80, 25), 100)).toEqual([20, 21, 22, 23, 24])
      expect(await b.countSeries('t', fingerprints(0, 100), 100)).toEqual([]) // those it has stay
      expect(await b.countSeries('t', fingerprints(101, 2), 100)).toEqual([0, 1])
      expect(await b.countSeries('t', fingerprints(101, 2), 101)).toEqual([1]) // the quota was raised
      expect(await a.countSeries('t', new BigUint64Array(0), 1)).toEqual([])
    })

    it('counts many at once exactly', async () => {
      const [a, b] = make()
      const refused = await Promise.all([
        a.countSeries('many', fingerprints(0, 6000), 7000),
        b.countSeries('many', fingerprints(3000, 6000), 7000),
      ])
      expect(refused.flat()).toHaveLength(2000)
    })
  })
}

/** `make` gives two gateways' views of one counter. */
export function rateContract(name: string, make: () => [RateCounter, RateCounter]): void {
  describe(`rate contract: ${name}`, () => {
    it('counts over all gateways by key, in windows that begin with the first', async () => {
      const [a, b] = make()
      expect(await a.count('10.0.0.1', 300)).toMatchObject({ count: 1 })
      expect(await b.count('10.0.0.1', 300)).toMatchObject({ count: 2 })
      expect(await b.count('10.0.0.2', 300)).toMatchObject({ count: 1 })
      const { count, leftMs } = await a.count('10.0.0.1', 300)
      expect(count).toBe(3)
      expect(leftMs).toBeGreaterThan(0)
      expect(leftMs).toBeLessThanOrEqual(300)
      await wait(320)
      expect(await b.count('10.0.0.1', 300)).toMatchObject({ count: 1 })
    })
  })
}
