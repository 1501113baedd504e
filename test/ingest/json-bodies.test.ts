// Shows that JSON lines read by the kernel are what JSON.parse and the plain reader make of them, to the bit: samples in their order,
// receipts, rejects and all state that is kept. Over sequences of bodies of rows and columns in the spellings of many senders, with
// everything in them that may be, changed in single bytes, cut and doubled; and over what exceeds the kernel's rooms.
import fc from 'fast-check'
import { expect, it, vi } from 'vitest'
import { Rejects } from '../../src/core/rejects.ts'
import { JsonBodies } from '../../src/ingest/json-bodies.ts'
import { Splitter } from '../../src/ingest/splitter.ts'
import { Bench } from './wire.ts'

const T = 1_700_000_000_000
const ENCODER = new TextEncoder()

const time = fc.oneof(
  { weight: 6, arbitrary: fc.nat(40).map(i => `${T + i * 1000}`) },
  fc.nat(40).map(i => `${T / 1000 + i}.5`),
  fc.constantFrom(
    '-1',
    '0',
    '1e400',
    'null',
    '"2023-11-14T22:13:20Z"',
    '"soon"',
    '01',
    `${T}e0`,
    '1.7e12',
    '{}',
  ),
)
const value = fc.oneof(
  { weight: 4, arbitrary: fc.double().map(x => JSON.stringify(x)) },
  { weight: 4, arbitrary: fc.nat(99).map(String) },
  fc.constantFrom(
    'null',
    '"NaN"',
    '-0',
    '1e309',
    '1.',
    '[1]',
    'true',
    '"x"',
    '1E5',
    '123456789012345678901234567890',
  ),
)
const text = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('requests', 'lat', 'temp_total', 'a.b') },
  fc.constantFrom('', 'é', '\\u0061', 'q\\"uote', 'tab\t', '\\', '}{', 'time', '"value":1'),
)
const labels = fc.constantFrom(
  '',
  '{}',
  '{"service":"s"}',
  '{ "b" : "2", "a" : "1" }',
  '{"n":1,"t":true}',
  '{"a":{}}',
  '[]',
  '{"x":"]}"}',
)
const space = fc.constantFrom('', '', '', ' ', '\t', ' \r')

/** A line as some program would write it, good or not. */
const line = fc
  .record({
    metric: text,
    labels,
    rest: fc.constantFrom(
      '',
      '',
      '"unit":"ms"',
      '"type":"counter"',
      '"entity":"cart"',
      '"type":"odd"',
      '"id":17',
      '"val\\u0075e":3',
      '"time":5',
    ),
    columns: fc.option(fc.array(fc.tuple(time, value), { maxLength: 4 }), { freq: 3 }),
    row: fc.tuple(time, value),
    uneven: fc.integer({ min: 0, max: 9 }),
    order: fc.integer({ min: 0, max: 5 }),
    space,
  })
  .map(one => {
    const fields = [`"metric":${one.space}"${one.metric}"`]
    if (one.labels !== '') fields.push(`"labels":${one.labels}`)
    if (one.rest !== '') fields.push(one.rest)
    if (one.columns) {
      const times = one.columns.map(([t]) => t)
      const values = one.columns.map(([, v]) => v)
      if (one.uneven === 0) values.push('1')
      fields.push(
        `"times":[${times.join(`${one.space},`)}]`,
        `"values"${one.space}:[${one.space}${values.join(',')}]`,
      )
    } else fields.push(`"time":${one.space}${one.row[0]}`, `"value":${one.row[1]}${one.space}`)
    for (let i = 0; i < one.order; i++) fields.push(fields.shift() as string)
    return `${one.space}{${fields.join(`,${one.space}`)}}${one.space}`
  })
const anyLine = fc.oneof(
  { weight: 12, arbitrary: line },
  fc.constantFrom('', ' ', 'nonsense', '[]', '{}', '{', '\ufeff{}', '"time"'),
)
const fate = fc.record({
  what: fc.constantFrom('as is', 'as is', 'as is', 'byte', 'cut', 'ended'),
  at: fc.nat(10_000),
  byte: fc.constantFrom(0, 10, 32, 34, 44, 45, 48, 57, 92, 93, 125, 200),
})
/** Lines are told again, so that their frames are known, with other numbers and as they were. */
const told = fc.array(fc.tuple(fc.array(anyLine, { minLength: 1, maxLength: 12 }), fate), {
  minLength: 1,
  maxLength: 6,
})

function bytesOf(
  lines: readonly string[],
  { what, at, byte }: { what: string; at: number; byte: number },
): Uint8Array {
  const bytes = ENCODER.encode(lines.join('\n') + (what === 'ended' ? '\n' : ''))
  if (what === 'cut') return bytes.slice(0, at % (bytes.length + 1))
  if (what === 'byte' && bytes.length > 0) bytes[at % bytes.length] = byte
  return bytes
}

/** The numbers of a line, moved on. */
const later = (one: string, by: number): string =>
  one.replace(/(?<=[:[,]\s*)1700000\d{6}(?=[\s,}\]])/g, t => String(Number(t) + 1000 * by))

it('runs here: what follows compares two ways', () => {
  expect(JsonBodies.make()).toBeDefined()
})

it('takes, refuses and remembers the same', () => {
  fc.assert(
    fc.property(told, fc.boolean(), (bodies, small) => {
      const options = { futureMsMax: 60_000, ...(small ? { wiresMax: 3 } : {}) }
      const fast = new Bench(options)
      const plain = new Bench({ ...options, plain: true })
      for (let round = 0; round < 3; round++) {
        for (const [lines, how] of bodies) {
          const bytes = bytesOf(
            lines.map(one => later(one, 50 * round)),
            round === 1 ? { ...how, what: 'as is' } : how,
          )
          const envelope = { arrivalMs: T + 200_000, tenant: round === 2 ? 'other' : 'default' }
          expect(fast.send('json-lines', bytes, envelope)).toEqual(plain.send('json-lines', bytes, envelope))
        }
      }
      expect(fast.seen).toEqual(plain.seen)
      expect(fast.rejects.recent()).toEqual(plain.rejects.recent())
      expect(fast.intake.snapshot()).toEqual(plain.intake.snapshot())
      expect(fast.series.snapshot()).toEqual(plain.series.snapshot())
    }),
    { numRuns: 100 },
  )
})

it('takes the same where bodies, lines, lists and kinds of lines are more than the kernel has room for', () => {
  const fast = new Bench()
  const plain = new Bench({ plain: true })
  const both = (lines: readonly string[]): void => {
    const bytes = ENCODER.encode(lines.join('\n'))
    expect(fast.send('json-lines', bytes)).toEqual(plain.send('json-lines', bytes))
  }
  const row = (i: number, t: number, pad = 0): string =>
    `{"metric":"m","labels":{"pod":"p${i}","pad":"${'x'.repeat(pad)}"},"time":${T + 1000 * t},"value":${i / 7 + t}}`
  const columns = (count: number, t: number): string => {
    const at = Array.from({ length: count }, (_, i) => T + 1000 * (i + t * count))
    return `{"metric":"c","times":[${at.join()}],"values":[${at.map(ms => (ms % 1000_000) / 3).join()}]}`
  }
  for (let t = 0; t < 2; t++) both(Array.from({ length: 9000 }, (_, i) => row(i, t, 100)))
  both([columns(3, 0)])
  both([columns(30_000, 10), row(1, 100), columns(45_000, 20), row(2, 100)])
  both([columns(70_000, 40), row(3, 100), columns(3, 1e6)])
  both([row(4, 100), `${row(5, 100)}${' '.repeat(1_100_000)}`, row(6, 100), '', 'nonsense'])
  expect(fast.seen.length).toBe(plain.seen.length)
  for (const [i, { key, timeMs, value: v }] of fast.seen.entries()) {
    const other = plain.seen[i]
    if (other.key !== key || other.timeMs !== timeMs || !Object.is(other.value, v))
      expect.fail(`sample ${i} of ${key}`)
  }
  expect(fast.rejects.recent()).toEqual(plain.rejects.recent())
})

// A body of 60 MiB held twenty million lines of `{}`, and the service for a minute.
it('passes over what follows a hundred thousand lines that cannot be read', () => {
  const good = (i: number) => `{"metric":"m","labels":{},"time":${T + i},"value":${i}}`
  const lines = [good(1), ...new Array(100_000).fill('{}'), '', good(2)]
  for (const plain of [false, true]) {
    const bench = new Bench({ plain })
    const allowed = bench.send('json-lines', ENCODER.encode(lines.join('\n')))
    expect(allowed).toMatchObject({ samples: 2, rejected: 100_000 })
    expect(allowed.failure).toBe(undefined)
    const receipt = bench.send('json-lines', ENCODER.encode([good(3), ...lines, '{}', good(4)].join('\n')))
    expect(receipt.failure?.detail).toContain('what follows line 100005 was passed over')
    // Quotas count what was taken.
    expect(receipt).toMatchObject({ samples: 3, rejected: 100_002 })
    expect(bench.seen.map(({ value: v }) => v)).toEqual([1, 2, 3, 1, 2])
  }
})

it('parses no line again that differs in its numbers only', () => {
  const fast = new Bench()
  const body = (t: number) =>
    ENCODER.encode(
      `{"metric":"a","labels":{"b":"c"},"time":${T + t},"value":${t / 3}}\n{"metric":"d","times":[${T + t}, ${T + t + 1}],"values":[1,null]}`,
    )
  fast.send('json-lines', body(0))
  const parse = vi.spyOn(JSON, 'parse')
  for (let t = 2; t < 10; t += 2) expect(fast.send('json-lines', body(t)).samples).toBe(3)
  expect(parse).not.toHaveBeenCalled()
  parse.mockRestore()
})

it('knows a series anew that was forgotten in between', () => {
  const fast = new Bench()
  const lines = (t: number) =>
    ENCODER.encode(`{"metric":"a","time":${T + t},"value":${t}}\n{"metric":"b","time":${T + t},"value":1}`)
  fast.send('json-lines', lines(1))
  fast.send('json-lines', lines(2))
  const row = fast.series.row('a')
  fast.intake.forget(row)
  fast.series.evict(row)
  expect(fast.send('json-lines', lines(3))).toMatchObject({ samples: 2, rejected: 0 })
  expect(fast.values('a')).toEqual([1, 2, 3])
})

it('writes the same messages from a splitter', () => {
  const context = { partitions: 3, place: (_: string, entity: string) => entity.length % 3 }
  fc.assert(
    fc.property(told, bodies => {
      const rejects = [new Rejects(), new Rejects()]
      const fast = new Splitter({ futureMsMax: 60_000 }, { ...context, rejects: rejects[0] })
      const plain = new Splitter({ futureMsMax: 60_000, plain: true }, { ...context, rejects: rejects[1] })
      for (let round = 0; round < 2; round++) {
        for (const [lines, how] of bodies) {
          const bytes = bytesOf(lines, how)
          const envelope = {
            kind: 'json-lines',
            encoding: 'identity',
            arrivalMs: T + 60_000,
            tenant: 'x',
            bytes,
          } as const
          const [a, b] = [fast.split(envelope), plain.split(envelope)]
          expect(a.receipt).toEqual(b.receipt)
          expect(a.parts).toEqual(b.parts)
          fast.keep()
          plain.keep()
        }
      }
      expect(rejects[0].recent()).toEqual(rejects[1].recent())
    }),
    { numRuns: 100 },
  )
})
