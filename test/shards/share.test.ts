// Shows that workers together hold what was configured and no more, whatever does not divide evenly, and each at least one of
// what there is less of than workers; one worker alone has all.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseConfig } from '../../src/config.ts'
import { shardShare } from '../../src/shards/share.ts'

const limitsOf = ({ features, detection }: ReturnType<typeof parseConfig>) => ({
  historyBudget: features.historyBudget,
  richSeries: detection.richSeries,
  memory: detection.memory,
  poolSize: detection.pool.size,
  poolBudget: detection.pool.budget,
  multivariate: detection.multivariate.budget,
  models: detection.models.size,
})

it('divides every limit so that the shares are all of it', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 16 }), fc.nat(100), fc.nat(5000), (shards, pool, rich) => {
      const config = parseConfig({ detection: { pool: { size: pool }, richSeries: rich + 1 } })
      const shares = Array.from({ length: shards }, (_, s) => limitsOf(shardShare(config, s, shards)))
      for (const [name, limit] of Object.entries(limitsOf(config))) {
        const all = shares.map(share => share[name as keyof typeof share])
        const sum = all.reduce((total, one) => total + one, 0)
        expect(sum).toBe(limit === 0 ? 0 : Math.max(limit, shards))
        expect(Math.max(...all) - Math.min(...all)).toBeLessThanOrEqual(1)
      }
      const time = shares.length * shardShare(config, 0, shards).detection.pool.time
      expect(time).toBeCloseTo(config.detection.pool.time, 9)
    }),
    { numRuns: 100, seed: 3 },
  )
})

it('leaves one worker what was configured', () => {
  const config = parseConfig({})
  expect(shardShare(config, 0, 1)).toBe(config)
})
