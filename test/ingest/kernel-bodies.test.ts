// Shows that remote write read by the kernel is what the plain readers make of it, to the bit: samples in their order, receipts,
// rejects and all state that is kept, over sequences of bodies of both versions with everything in them that may be, and of such bodies
// changed, cut and doubled, before and after compression; in a converter and in a gateway's splitter.
import fc from 'fast-check'
import { compress } from 'snappyjs'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Envelope } from '../../src/core/envelope.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { KernelBodies, Room } from '../../src/ingest/kernel-bodies.ts'
import { Splitter } from '../../src/ingest/splitter.ts'
import { WireMemory } from '../../src/ingest/wire-memory.ts'
import { Bench, encode, type Json, labelList, remoteWrite1 } from './wire.ts'

const T = 1_700_000_000_000
const NAMES = ['up', 'requests_total', 'lat_bucket', 'rpc_sum', 'rpc_count', 'temp', 'a'.repeat(200)]

const histogram = (i: number, count: number): Json => ({
  count_int: count,
  sum: i,
  schema: 1,
  zero_count_int: 0,
  positive_spans: [{ offset: 1, length: 1 }],
  positive_deltas: [count],
  timestamp: T + i * 1000,
})

const sample = fc.record({
  value: fc.oneof(
    fc.integer({ min: 0, max: 50 }),
    fc.double(),
    fc.constantFrom(0, -0, Number.NaN, Number.POSITIVE_INFINITY, 1e308),
  ),
  timestamp: fc.oneof(
    fc.integer({ min: 0, max: 40 }).map(i => T + i * 1000),
    fc.constantFrom(0, -1, 1, T + 3_600_000, 2 ** 53 - 1),
  ),
})

/** One series as both versions can say it. */
const series = fc.record({
  name: fc.constantFrom(...NAMES),
  job: fc.constantFrom('a', 'b', 'c', '', 'x'.repeat(150)),
  le: fc.constantFrom('', '0.1', '+Inf', 'none'),
  samples: fc.oneof(
    { weight: 4, arbitrary: fc.array(sample, { minLength: 1, maxLength: 1 }) },
    { weight: 1, arbitrary: fc.array(sample, { maxLength: 4 }) },
  ),
  histograms: fc.oneof(
    { weight: 8, arbitrary: fc.constant<Json[]>([]) },
    { weight: 1, arbitrary: fc.nat(30).map(i => [histogram(i, i + 1)]) },
  ),
  exemplars: fc.oneof(
    { weight: 8, arbitrary: fc.constant<Json[]>([]) },
    { weight: 1, arbitrary: fc.constant<Json[]>([{ labels: [], value: 1, timestamp: T }]) },
  ),
  type: fc.nat(9),
})

interface Told {
  readonly kind: 'remote-write-1' | 'remote-write-2'
  readonly plain: Uint8Array
}

type Series = typeof series extends fc.Arbitrary<infer S> ? S : never

function labelsOf({ name, job, le }: Series): Json[] {
  return labelList(name, { ...(job === '' ? {} : { job }), ...(le === '' ? {} : { le }) })
}

function version1(all: Series[], metadata: Json[]): Uint8Array {
  const timeseries = all.map(one => ({
    labels: labelsOf(one),
    samples: one.samples,
    exemplars: one.exemplars,
    histograms: one.histograms,
  }))
  return encode('WriteRequest', { timeseries, metadata })
}

function version2(all: Series[]): Uint8Array {
  const symbols = ['']
  const ref = (text: string): number => {
    const known = symbols.indexOf(text)
    return known >= 0 ? known : symbols.push(text) - 1
  }
  const timeseries = all.map(one => ({
    labels_refs: labelsOf(one).flatMap(({ name, value }) => [ref(String(name)), ref(String(value))]),
    samples: one.samples,
    histograms: one.histograms,
    exemplars: one.exemplars.map(() => ({ labels_refs: [], value: 1, timestamp: T })),
    ...(one.type < 8 ? { metadata: { type: one.type, unit_ref: 0 } } : {}),
    ...(one.type % 2 === 1 ? { created_timestamp: T - 1000 } : {}),
  }))
  return encode('Request', { symbols, timeseries })
}

const METADATA: Json[][] = [
  [],
  [],
  [
    { type: 1, metric_family_name: 'up', unit: '' },
    { type: 3, metric_family_name: 'lat' },
  ],
]
const body: fc.Arbitrary<Told> = fc.oneof(
  fc
    .tuple(fc.array(series, { maxLength: 12 }), fc.nat(2))
    .map(([all, m]) => ({ kind: 'remote-write-1' as const, plain: version1(all, METADATA[m]) })),
  fc.array(series, { maxLength: 12 }).map(all => ({ kind: 'remote-write-2' as const, plain: version2(all) })),
)

/** What happens to a body on its way: nothing, a byte changed, cut, doubled, before or after compression. */
const fate = fc.record({
  what: fc.constantFrom('none', 'none', 'byte', 'byte', 'cut', 'double', 'squeezed'),
  at: fc.nat(),
  byte: fc.nat(255),
})
type Fate = typeof fate extends fc.Arbitrary<infer F> ? F : never

function changed(bytes: Uint8Array, { at, byte }: Fate): Uint8Array {
  const out = Uint8Array.from(bytes)
  if (out.length > 0) out[at % out.length] = byte
  return out
}

function sent({ plain }: Told, how: Fate): Uint8Array {
  if (how.what === 'byte') return compress(changed(plain, how))
  if (how.what === 'cut') return compress(plain.slice(0, how.at % (plain.length + 1)))
  if (how.what === 'double') return compress(Buffer.concat([plain, plain]))
  return how.what === 'squeezed' ? changed(compress(plain), how) : compress(plain)
}

const told = fc.array(fc.tuple(body, fate), { minLength: 1, maxLength: 6 })

it('runs here: what follows compares two ways', () => {
  expect(KernelBodies.over(new WireMemory())).toBeDefined()
})

/** Of WebAssembly memory. */
const PAGE_BYTES = 65_536

describe('a converter', () => {
  it('takes, refuses and remembers the same', () => {
    fc.assert(
      fc.property(told, fc.boolean(), (bodies, small) => {
        const options = { futureMsMax: 60_000, ...(small ? { wiresMax: 6 } : {}) }
        const fast = new Bench(options)
        const plain = new Bench({ ...options, plain: true })
        for (const [one, how] of bodies) {
          const bytes = sent(one, how)
          const envelope = { arrivalMs: T + 50_000 }
          expect(fast.send(one.kind, bytes, envelope)).toEqual(plain.send(one.kind, bytes, envelope))
        }
        expect(fast.seen).toEqual(plain.seen)
        expect(fast.rejects.recent()).toEqual(plain.rejects.recent())
        expect(fast.rejects.counts()).toEqual(plain.rejects.counts())
        expect(fast.intake.snapshot()).toEqual(plain.intake.snapshot())
        expect(fast.series.snapshot()).toEqual(plain.series.snapshot())
      }),
      { numRuns: 300 },
    )
  })

  it('keeps one NaN, whichever was sent', () => {
    const sample = { timestamp: T, value: 1.5 }
    const bucket = { name: 'lat_bucket', job: '', le: '0.1' as const, samples: [sample] }
    const bytes = version1([{ ...bucket, histograms: [], exemplars: [], type: 0 }], [])
    const at = Buffer.from(bytes).indexOf(Buffer.from(new Float64Array([1.5]).buffer))
    // A signalling one.
    bytes.set([1, 0, 0, 0, 0, 0, 0xf0, 0x7f], at)
    for (const plain of [false, true]) {
      const bench = new Bench({ plain })
      expect(bench.send('remote-write-1', compress(bytes), { arrivalMs: T }).samples).toBe(1)
      const { sides } = bench.intake.snapshot()[0].columns
      expect([...(sides as Int32Array)].slice(0, 2)).toEqual([0, 0x7ff80000])
    }
  })

  it('takes the same of bodies of many batches, first seen and seen again', () => {
    const whole = (t: number): Uint8Array =>
      remoteWrite1({
        timeseries: Array.from({ length: 9001 }, (_, i) => ({
          labels: labelList(NAMES[i % 3], { pod: `p${i}`, ...(i % 3 === 2 ? { le: '1' } : {}) }),
          samples: [{ timestamp: T + t * 1000, value: i * t }],
        })),
      })
    const fast = new Bench()
    const plain = new Bench({ plain: true })
    for (let t = 0; t < 4; t++) {
      const bytes = whole(t)
      expect(fast.send('remote-write-1', bytes)).toEqual(plain.send('remote-write-1', bytes))
    }
    expect(fast.seen).toEqual(plain.seen)
    expect(fast.seen.length).toBeGreaterThan(30_000)
  })

  it('reads plain bodies too, and refuses what is too large alike', () => {
    const small = { bodyBytesMax: 400, inflatedBytesMax: 300 }
    const fast = new Bench(small)
    const plain = new Bench({ ...small, plain: true })
    const of = (n: number) => version1(fc.sample(series, { numRuns: n, seed: 7 }), [])
    for (const n of [0, 1, 2, 3, 20]) {
      for (const [encoding, bytes] of [
        ['identity', of(n)],
        ['snappy', compress(of(n))],
      ] as const) {
        const envelope = { encoding, arrivalMs: T }
        expect(fast.send('remote-write-1', bytes, envelope)).toEqual(
          plain.send('remote-write-1', bytes, envelope),
        )
      }
    }
    expect(fast.rejects.counts()['too-large']).toBeGreaterThan(1)
  })
})

describe('a splitter', () => {
  let fast: Splitter
  let plain: Splitter
  let rejects: Rejects[]
  beforeEach(() => {
    rejects = [new Rejects(), new Rejects()]
    const context = { partitions: 3, place: (_: string, entity: string) => entity.length % 3 }
    fast = new Splitter({ futureMsMax: 60_000 }, { ...context, rejects: rejects[0] })
    plain = new Splitter({ futureMsMax: 60_000, plain: true }, { ...context, rejects: rejects[1] })
  })

  it('writes the same messages and receipts', () => {
    fc.assert(
      fc.property(told, bodies => {
        for (const [{ kind, plain: inner }, how] of bodies) {
          const bytes = sent({ kind, plain: inner }, how)
          const envelope: Envelope = {
            kind,
            encoding: 'snappy',
            arrivalMs: T + 50_000,
            tenant: 'default',
            bytes,
          }
          const { parts, receipt, fresh } = fast.split(envelope)
          const other = plain.split(envelope)
          expect(receipt).toEqual(other.receipt)
          expect(fresh).toEqual(other.fresh)
          expect(parts.map(({ partition }) => partition)).toEqual(
            other.parts.map(({ partition }) => partition),
          )
          for (const [i, part] of parts.entries())
            expect(Buffer.compare(part.bytes, other.parts[i].bytes)).toBe(0)
        }
        fast.keep()
        plain.keep()
        expect(rejects[0].counts()).toEqual(rejects[1].counts())
      }),
      { numRuns: 150 },
    )
  })
})

describe('a room', () => {
  it('grows with bodies each a little larger than the last, and keeps no more than a few times the largest', () => {
    const memory = new WireMemory()
    const room = new Room()
    const largest = 200
    for (let pages = 1; pages <= largest; pages += 1) expect(room.fit(memory, pages * PAGE_BYTES)).toBe(true)
    expect(memory.memory.buffer.byteLength).toBeLessThan(5 * largest * PAGE_BYTES)
  })
})
