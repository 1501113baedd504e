// Shows that columnar messages read by the kernel are what the plain reader makes of them, to the bit: samples in their order, receipts,
// rejects and all state that is kept, over sequences of messages with everything in them that may be, changed and cut, while a cut is
// being written, and beyond what one batch holds.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Cut } from '../../src/core/cut.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { KernelColumns } from '../../src/ingest/kernel-columns.ts'
import { Splitter } from '../../src/ingest/splitter.ts'
import { WireMemory } from '../../src/ingest/wire-memory.ts'
import { Bench, labelList, remoteWrite1 } from './wire.ts'

const T = 1_700_000_000_000
const NAMES = ['up', 'requests_total', 'lat_bucket', 'rpc_sum', 'rpc_count', 'temp']

const sample = fc.record({
  value: fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 0, max: 50 }) },
    { weight: 1, arbitrary: fc.double() },
    { weight: 1, arbitrary: fc.constantFrom(0, -0, Number.NaN, Number.POSITIVE_INFINITY, 1e308) },
  ),
  timestamp: fc.oneof(
    { weight: 6, arbitrary: fc.constant(T) },
    { weight: 3, arbitrary: fc.integer({ min: 0, max: 40 }).map(i => T + i * 1000) },
    { weight: 1, arbitrary: fc.constantFrom(0, -1, 1, T + 3_600_000, 2 ** 49, -(2 ** 49)) },
  ),
})
const series: fc.Arbitrary<Series> = fc.record({
  name: fc.constantFrom(...NAMES),
  job: fc.constantFrom('a', 'b', 'c', 'd'),
  le: fc.constantFrom('', '', '0.1', '+Inf'),
  samples: fc.oneof(
    { weight: 8, arbitrary: fc.array(sample, { minLength: 1, maxLength: 1 }) },
    { weight: 1, arbitrary: fc.array(sample, { maxLength: 3 }) },
  ),
})
interface Series {
  readonly name: string
  readonly job: string
  readonly le: string
  readonly samples: readonly { readonly value: number; readonly timestamp: number }[]
}

/** Bodies at one moment, as scrapes are, and at any. */
const body = fc.tuple(fc.array(series, { maxLength: 15 }), fc.option(fc.nat(60))).map(([all, moment]) =>
  moment === null
    ? all
    : all.map(one => ({
        ...one,
        samples: one.samples.map(({ value }) => ({ value, timestamp: T + moment * 1000 })),
      })),
)

const fate = fc.record({
  what: fc.constantFrom('none', 'none', 'none', 'lost', 'byte', 'cut'),
  at: fc.nat(),
  byte: fc.nat(255),
})
type Fate = typeof fate extends fc.Arbitrary<infer F> ? F : never

/** One splitter for a test: what it defined once it does not define again. */
function messages(): (all: readonly Series[]) => Uint8Array[] {
  const splitter = new Splitter({}, { rejects: new Rejects(), partitions: 1, place: () => 0 })
  return all => {
    const timeseries = all.map(({ name, job, le, samples }) => ({
      labels: labelList(name, { job, ...(le === '' ? {} : { le }) }),
      samples,
    }))
    const bytes = remoteWrite1({ timeseries })
    const envelope = {
      kind: 'remote-write-1',
      encoding: 'snappy',
      arrivalMs: T,
      tenant: 'default',
      bytes,
    } as const
    const parts = splitter.split(envelope).parts.map(part => part.bytes)
    splitter.keep()
    return parts
  }
}

function sent(bytes: Uint8Array, { what, at, byte }: Fate): Uint8Array | undefined {
  if (what === 'lost') return undefined
  if (what === 'cut') return bytes.slice(0, at % (bytes.length + 1))
  const out = Uint8Array.from(bytes)
  if (what === 'byte') out[at % out.length] = byte
  return out
}

/** What a cut still needs is as it was when it was made, however the kernel goes on. */
function wiresCut({ intake }: Bench): { expected: Buffer; whole(): Buffer } {
  const cut = new Cut()
  const [{ columns }] = intake.snapshot()
  const { buffer, byteOffset, byteLength } = columns.wires
  const { wires } = intake.cut(cut)[0].columns
  return {
    expected: Buffer.from(buffer.slice(byteOffset, byteOffset + byteLength)),
    whole: () => {
      const bytes = Buffer.alloc(byteLength)
      for (let piece = cut.next(65_536); piece; piece = cut.next(65_536))
        if (piece.column === wires) bytes.set(piece.bytes, piece.at)
      cut.close()
      return bytes
    },
  }
}

function expectAlike(fast: Bench, plain: Bench): void {
  expect(fast.seen).toEqual(plain.seen)
  expect(fast.rejects.recent()).toEqual(plain.rejects.recent())
  expect(fast.rejects.counts()).toEqual(plain.rejects.counts())
  expect(fast.intake.snapshot()).toEqual(plain.intake.snapshot())
  expect(fast.series.snapshot()).toEqual(plain.series.snapshot())
}

it('runs here: what follows compares two ways', () => {
  expect(KernelColumns.over(new WireMemory())).toBeDefined()
})

describe('columnar messages', () => {
  it('are taken, refused and remembered the same', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(body, fate), { minLength: 1, maxLength: 8 }),
        fc.boolean(),
        (told, small) => {
          const options = { futureMsMax: 60_000, ...(small ? { wiresMax: 6 } : {}) }
          const fast = new Bench(options)
          const plain = new Bench({ ...options, plain: true })
          const split = messages()
          for (const [one, how] of told) {
            for (const part of split(one)) {
              const bytes = sent(part, how)
              if (bytes === undefined) continue
              const envelope = { arrivalMs: T + 50_000 }
              expect(fast.send('columns', bytes, envelope)).toEqual(plain.send('columns', bytes, envelope))
            }
          }
          expectAlike(fast, plain)
        },
      ),
      { numRuns: 150 },
    )
  })

  it('are taken the same beyond what one batch holds, at one moment and at many, and while a cut is written', () => {
    const fast = new Bench()
    const plain = new Bench({ plain: true })
    const split = messages()
    for (let t = 0; t < 4; t++) {
      const all = Array.from({ length: 4500 }, (_, i) => ({
        name: ['up', 'requests_total', 'temp'][i % 3],
        job: `j${i}`,
        le: '',
        samples: [{ value: (i * t) % 97, timestamp: T + t * 1000 + (t % 2 === 0 ? 0 : i % 7) }],
      }))
      const written = t === 3 ? wiresCut(fast) : undefined
      for (const bytes of split(all))
        expect(fast.send('columns', bytes)).toEqual(plain.send('columns', bytes))
      if (written) expect(written.whole()).toEqual(written.expected)
    }
    expectAlike(fast, plain)
    expect(fast.seen.length).toBeGreaterThan(16_000)
  })
})
