// Shows that this very machine's figures come out as series: counters as rates, levels as they are, all finite.
import { describe, expect, it } from 'vitest'
import { hostSamples } from '../../src/ingest/host.ts'
import { Bench } from './wire.ts'

const T = 1_700_000_000_000

describe('host source', () => {
  for (const proc of ['/proc', '/nowhere']) {
    it(`tells CPU, memory and load (figures from ${proc})`, async () => {
      const bench = new Bench()
      for (const i of [0, 1, 2]) {
        const receipt = bench.send('json-lines', await hostSamples(T + i * 1000, { hostname: 'box', proc }))
        expect(receipt).toMatchObject({ rejected: 0, reasons: [] })
        expect(receipt.samples).toBeGreaterThan(5)
      }
      expect(bench.values('host_cpu_seconds_total:rate{service="box"}')).toHaveLength(2)
      const used = bench.values('host_memory_used_ratio{service="box"}')
      expect(used.every(ratio => ratio > 0 && ratio < 1)).toBe(true)
      expect(bench.seen.every(({ value }) => Number.isFinite(value))).toBe(true)
      expect(bench.meta('host_cpu_seconds_total:rate{service="box"}')).toMatchObject({
        entity: 'box',
        kind: 'cpu',
      })
      if (proc === '/proc' && process.platform === 'linux') {
        expect(bench.values('host_processes{service="box"}')[0]).toBeGreaterThan(1)
        expect(bench.keys().some(key => key.startsWith('host_network_receive_bytes_total:rate'))).toBe(true)
      }
    })
  }
})
