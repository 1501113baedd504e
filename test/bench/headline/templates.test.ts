// Shows that the bodies of the headline run are what they say: snappy blocks that the npm decoder inflates to remote-write
// 1.0 requests, whose samples the service's own intake takes without a reject, with the labels, values and times that were
// patched in; and that compressed in place they are no larger than what a compressor makes of the same bytes.
import { compress, uncompress } from 'snappyjs'
import { describe, expect, it } from 'vitest'
import {
  faultsOf,
  fleetOf,
  METRICS,
  podAddress,
  podSuffix,
  serviceOf,
} from '../../../bench/headline/fleet.ts'
import { SnappyWriter } from '../../../bench/headline/snappy-writer.ts'
import { FACTORS, patchPod, patchTime, replacePod, templateOf } from '../../../bench/headline/templates.ts'
import type { SampleBatch } from '../../../src/core/batch.ts'
import { Rejects } from '../../../src/core/rejects.ts'
import { SeriesTable } from '../../../src/core/series.ts'
import { IngestIntake } from '../../../src/ingest/intake.ts'

const T0 = 1_790_000_000_000
const STEP_S = 15

class Reader {
  readonly series = new SeriesTable()
  readonly rejects = new Rejects()
  readonly intake = new IngestIntake({}, { series: this.series, rejects: this.rejects })

  /** Values by series key. */
  read(bytes: Uint8Array): Map<string, { value: number; timeMs: number }> {
    const found = new Map<string, { value: number; timeMs: number }>()
    const envelope = { kind: 'remote-write-1', encoding: 'snappy', arrivalMs: T0 + 600_000 } as const
    this.intake.decode({ ...envelope, tenant: 'default', bytes }, (batch: SampleBatch) => {
      for (let i = 0; i < batch.length; i++) {
        const { key } = this.series.meta(batch.series[i])
        found.set(key, { value: batch.value[i], timeMs: batch.timeMs[i] })
      }
    })
    return found
  }
}

describe('bodies of the headline run', () => {
  const fleet = fleetOf(2000)
  const template = templateOf(3, 10, fleet)
  const step = (t: number) => {
    patchTime(template, T0 + t * 15_000)
    for (let p = 0; p < template.pods; p++) patchPod(template, p, t, STEP_S, FACTORS.well)
  }

  it('are read by the service, sample by sample', () => {
    const reader = new Reader()
    step(0)
    reader.read(template.block)
    step(1)
    const found = reader.read(template.block)
    expect(reader.rejects.counts()).toEqual({})
    expect(found.size).toBe(10 * METRICS.length)
    for (const [key, { timeMs }] of found) {
      expect(timeMs).toBe(T0 + 15_000)
      expect(key).toContain('cluster="eu-west-1"')
      expect(key).toMatch(/instance="10\.\d{3}\.\d{3}\.\d{3}:9090"/)
    }
    const entities = new Set([...found.keys()].map(key => reader.series.meta(reader.series.row(key)!).entity))
    expect(entities.size).toBe(new Set(Array.from({ length: 10 }, (_, p) => serviceOf(3 + p, fleet))).size)
    const rate = [...found].find(([key]) => key.includes('code="200"') && key.includes('GET'))!
    expect(rate[1].value).toBeGreaterThan(10)
    expect(rate[1].value).toBeLessThan(100)
    const latency = [...found].find(([key]) => key.startsWith('http_request_latency_seconds'))!
    expect(latency[1].value).toBeGreaterThan(0.005)
    expect(latency[1].value).toBeLessThan(0.06)
  })

  it('show a faulty service, and a pod that was replaced as another one', () => {
    const reader = new Reader()
    step(2)
    const before = reader.read(template.block)
    patchTime(template, T0 + 3 * 15_000)
    for (let p = 0; p < template.pods; p++) patchPod(template, p, 3, STEP_S, FACTORS.slow)
    replacePod(template, 4, 1)
    const after = reader.read(template.block)
    expect(reader.rejects.counts()).toEqual({})
    const gone = [...before.keys()].filter(key => !after.has(key))
    const came = [...after.keys()].filter(key => !before.has(key))
    expect(gone.length).toBe(METRICS.filter(({ counter }) => !counter).length)
    expect(gone.every(key => key.includes(podSuffix(7, 0)) && key.includes(podAddress(7, 0)))).toBe(true)
    expect(came.some(key => key.includes(podSuffix(7, 1)) && key.includes(podAddress(7, 1)))).toBe(true)
    const key = [...before.keys()].find(
      one => one.startsWith('http_request_latency_seconds') && after.has(one),
    )!
    expect(after.get(key)!.value).toBeGreaterThan(3 * before.get(key)!.value)
  })

  it('are blocks that any decoder inflates, as small as a compressor makes them', () => {
    const pods = 40
    const large = templateOf(20, pods, fleetOf(100_000))
    for (let p = 0; p < pods; p++) patchPod(large, p, 4, STEP_S, FACTORS.well)
    const plain = uncompress(large.block)
    expect(plain.length).toBeGreaterThan(200 * pods * METRICS.length)
    expect(large.block.length).toBeLessThan(1.1 * compress(plain).length)
  })
})

describe('the fleet', () => {
  it('gives no two pods of a service one name, over many replacements', () => {
    const names = new Set<string>()
    for (let generation = 0; generation < 50; generation++)
      for (let pod = 100; pod < 120; pod++) names.add(podSuffix(pod, generation))
    expect(names.size).toBe(1000)
  })

  it('has whole pods, services that follow each other, and faults in some of them', () => {
    for (const series of [100, 2000, 100_000, 10_000_000]) {
      const fleet = fleetOf(series)
      expect(fleet.series).toBeGreaterThanOrEqual(series)
      expect(fleet.series - series).toBeLessThan(METRICS.length)
      expect(serviceOf(fleet.pods - 1, fleet)).toBe(fleet.services - 1)
      const faults = faultsOf(fleet, 40)
      expect(new Set(faults.map(({ service }) => service)).size).toBe(faults.length)
      expect(faults.every(({ service, from, to }) => service < fleet.services && from < to && to <= 40)).toBe(
        true,
      )
    }
    expect(faultsOf(fleetOf(10_000_000), 40)).toHaveLength(20)
  })
})

describe('SnappyWriter', () => {
  it('writes literals and copies of all lengths and distances', () => {
    const writer = new SnappyWriter(200_000)
    const plain: number[] = []
    const literal = (length: number) => {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 31 + plain.length) & 255)
      plain.push(...bytes)
      writer.literal(bytes)
    }
    const copy = (distance: number, length: number) => {
      const from = plain.length - distance
      for (let i = 0; i < length; i++) plain.push(plain[from + i])
      writer.copy(from, length)
    }
    let marked = -1
    for (const length of [1, 59, 60, 61, 255, 256, 257, 3000]) {
      literal(length)
      for (const copied of [1, 3, 4, 11, 12, 63, 64, 65, 66, 67, 68, 200]) {
        copy(Math.min(plain.length, 1 + copied), Math.min(copied, plain.length))
        literal(2)
      }
    }
    literal(60_000)
    copy(60_001, 70)
    writer.mark(at => {
      marked = at
    })
    literal(1)
    copy(2047, 8)
    copy(2048, 8)
    const block = writer.finish()
    expect(Array.from(uncompress(block))).toEqual(plain)
    expect(block[marked]).toBe(plain[plain.length - 17])
  })
})
