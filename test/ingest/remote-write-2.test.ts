// Shows that remote write 2.0 bodies (symbols, metadata, native histograms) made by protobufjs and snappyjs come
// out as the samples that went in, with the counts for the sender's answer, and that one bad series costs itself.
import { describe, expect, it } from 'vitest'
import { Bench, type Json, remoteWrite2 } from './wire.ts'

const T = 1_700_000_000_000

/** Builds the symbol table while series are added. */
class Body {
  readonly symbols: string[] = ['']
  readonly timeseries: Json[] = []

  symbol(text: string): number {
    const known = this.symbols.indexOf(text)
    return known >= 0 ? known : this.symbols.push(text) - 1
  }

  add(metric: string, labels: Record<string, string>, more: Json, type = 0, unit = ''): this {
    const labels_refs = Object.entries({ __name__: metric, ...labels }).flatMap(([name, value]) => [
      this.symbol(name),
      this.symbol(value),
    ])
    this.timeseries.push({ labels_refs, metadata: { type, unit_ref: this.symbol(unit) }, ...more })
    return this
  }

  bytes(): Uint8Array {
    return remoteWrite2({ symbols: this.symbols, timeseries: this.timeseries })
  }
}

const samples = (ms: number, value: number): Json => ({ samples: [{ value, timestamp: ms }] })

describe('remote write 2.0', () => {
  it('takes samples, types and units, and counts what it took', () => {
    const bench = new Bench()
    for (const i of [0, 1]) {
      const ms = T + i * 1000
      const body = new Body()
        .add('temp', { job: 'a' }, samples(ms, 20 + i), 2, 'celsius')
        .add(
          'sent',
          { job: 'a' },
          { ...samples(ms, i * 5), exemplars: [{ value: 1, timestamp: ms }] },
          1,
          'bytes',
        )
      expect(bench.send('remote-write-2', body.bytes())).toMatchObject({
        samples: 2,
        exemplars: 1,
        rejected: 0,
      })
    }
    expect(bench.values('temp{job="a"}')).toEqual([20, 21])
    expect(bench.values('sent:rate{job="a"}')).toEqual([5])
    expect(bench.meta('sent:rate{job="a"}')).toMatchObject({ unit: 'By/s', kind: 'network', entity: 'a' })
  })

  it('turns native histograms, integer and float, into quantiles and a rate', () => {
    const integer = (ms: number, counts: number[]): Json => ({
      histograms: [
        {
          count_int: counts.reduce((a, b) => a + b, 0),
          sum: 1,
          schema: 0,
          zero_threshold: 1e-9,
          zero_count_int: 0,
          // Buckets 1, 2 and 4: (1, 2], (2, 4] and (8, 16].
          positive_spans: [
            { offset: 1, length: 2 },
            { offset: 1, length: 1 },
          ],
          positive_deltas: counts.map((count, i) => count - (i > 0 ? counts[i - 1] : 0)),
          timestamp: ms,
        },
      ],
    })
    const float = (ms: number, counts: number[]): Json => {
      const [histogram] = integer(ms, counts).histograms as Json[]
      const { count_int, zero_count_int, positive_deltas, ...rest } = histogram
      return {
        histograms: [{ ...rest, count_float: count_int, zero_count_float: 0, positive_counts: counts }],
      }
    }
    for (const make of [integer, float]) {
      const bench = new Bench()
      bench.send('remote-write-2', new Body().add('lat', {}, make(T, [100, 0, 0]), 3, 'seconds').bytes())
      const body = new Body().add('lat', {}, make(T + 10_000, [100, 10, 90]), 3, 'seconds')
      expect(bench.send('remote-write-2', body.bytes())).toMatchObject({ histograms: 1, rejected: 0 })
      // 10 of 100 new observations in (2, 4], 90 in (8, 16]: the median is 40/90 of the way, geometrically.
      expect(bench.values('lat:p50')[0]).toBeCloseTo(8 * 2 ** (40 / 90), 9)
      expect(bench.values('lat:count')).toEqual([10])
      expect(bench.meta('lat:p50').unit).toBe('s')
    }
  })

  it('refuses custom buckets by reason and keeps the rest', () => {
    const bench = new Bench()
    const custom = {
      count_int: 1,
      sum: 1,
      schema: -53,
      timestamp: T,
      custom_values: [1, 2],
      positive_deltas: [1],
    }
    const body = new Body().add('a', {}, { histograms: [custom] }).add('b', {}, samples(T, 1))
    expect(bench.send('remote-write-2', body.bytes())).toMatchObject({
      samples: 1,
      histograms: 0,
      rejected: 1,
    })
    expect(bench.rejects.counts()).toEqual({ 'custom-buckets': 1 })
  })

  it('refuses references beyond the symbols, and odd ones', () => {
    const bench = new Bench()
    const body = new Body().add('good', {}, samples(T, 1))
    body.timeseries.push({ labels_refs: [1, 99], ...samples(T, 1) }, { labels_refs: [1], ...samples(T, 1) })
    expect(bench.send('remote-write-2', body.bytes())).toMatchObject({ samples: 1, rejected: 2 })
    expect(bench.keys()).toEqual(['good'])
  })
})
