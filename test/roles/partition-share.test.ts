// Shows that a tenant's quota has a share in every partition which rests on the configuration alone: room for a tenant whose
// entities all lie in one partition, and an end to what others write into the log past the gateways. Series with rich state
// are divided as well.
import { expect, it } from 'vitest'
import { assemble } from '../../src/assembly.ts'
import { parseConfig } from '../../src/config.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { partitionShare } from '../../src/roles/partition-share.ts'

it('bounds the series of a tenant in a partition', () => {
  const quota = (series: number) => ({ quota: { series, samplesPerSecond: 7 } })
  const config = parseConfig({
    tenants: { small: quota(3), middle: quota(30_000), large: quota(1_000_000), free: {}, '*': quota(100) },
  })
  const { tenants } = partitionShare(config, 64)
  // Never below what a gateway lets pass while it is small: three native histograms are fifteen series.
  expect(tenants.small.quota).toEqual({ series: 15, samplesPerSecond: 7 })
  expect(tenants['*'].quota?.series).toBe(500)
  expect(tenants.middle.quota?.series).toBe(10_000)
  expect(tenants.large.quota?.series).toBe(312_500)
  expect(tenants.free).toEqual({})
  expect(partitionShare(config, 64)).toEqual(partitionShare(config, 64))
  const { series } = assemble(partitionShare(config, 64), new Rejects())
  for (let i = 0; i < 20; i++)
    series.intern({
      key: `small/m${i}`,
      tenant: 'small',
      metric: `m${i}`,
      labels: {},
      entity: 'e',
      unit: '',
      kind: 'other',
      bad: 'up',
    })
  expect(series.heldBy('small')).toBe(15)
  expect(series.refusal('small')).toBe('tenant-series-limit')
  expect(series.refusal('free')).toBeUndefined()
})

it('divides the series that have rich state as it does all series', () => {
  const shared = (config: object) => {
    const { ingest, detection } = partitionShare(parseConfig(config), 64)
    return [ingest.maxSeries, detection.richSeries]
  }
  // By default every series has it.
  expect(shared({})).toEqual([19_532, 19_532])
  expect(shared({ ingest: { maxSeries: 20_000_000 } })).toEqual([390_625, 19_532])
  expect(shared({ detection: { richSeries: 1 } })).toEqual([19_532, 1])
})
