// Shows that a tenant has so many series and no more: further ones are refused and counted under their own reason, those it
// has go on, others pay nothing, an eviction makes room; that no tenant's samples become another's; and that a table that was
// restored anywhere goes on exactly the same.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { assemble, configDigest } from '../../src/assembly.ts'
import { parseConfig } from '../../src/config.ts'
import type { Envelope } from '../../src/core/envelope.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { BodyReader } from '../../src/ingest/body-reader.ts'
import { Converter } from '../../src/ingest/convert.ts'
import { restoreConverter, snapshotConverter } from '../../src/ingest/convert-state.ts'
import { INTAKE_DEFAULTS } from '../../src/ingest/options.ts'
import { Tally } from '../../src/ingest/tally.ts'
import { Bench, labelList, remoteWrite1 } from './wire.ts'

const T = 1_700_000_000_000
const LIMITS: Readonly<Record<string, number>> = { acme: 2, default: 3 }
const limitOf = (tenant: string) => LIMITS[tenant] ?? Number.POSITIVE_INFINITY
const table = () => new SeriesTable(1000, limitOf)

function send(bench: Bench, tenant: string, metrics: readonly string[], at = 0) {
  const lines = metrics.map(metric =>
    JSON.stringify({ metric, labels: { service: 's' }, time: T + at * 1000, value: 1 }),
  )
  return bench.send('json-lines', new TextEncoder().encode(lines.join('\n')), { tenant })
}

it('refuses what is one too many, and nothing else', () => {
  const bench = new Bench({}, table())
  const first = send(bench, 'acme', ['a', 'b', 'c'])
  expect(first).toMatchObject({ samples: 2, rejected: 1 })
  expect(first.reasons[0]).toMatch(/^tenant-series-limit: c.*2 series of tenant acme are held already/)
  expect(send(bench, 'acme', ['a', 'b', 'c', 'd'], 1)).toMatchObject({ samples: 2, rejected: 2 })
  expect(send(bench, 'other', ['a', 'b', 'c', 'd', 'e'])).toMatchObject({ samples: 5, rejected: 0 })
  expect(bench.rejects.counts()).toEqual({ 'tenant-series-limit': 3 })
  expect(bench.series.heldBy('acme')).toBe(2)
  // One goes, and the next that comes has its place.
  const row = bench.series.row('acme/a{service="s"}')
  bench.intake.forget(row)
  bench.series.evict(row)
  expect(send(bench, 'acme', ['c', 'd'], 2)).toMatchObject({ samples: 1, rejected: 1 })
  expect(bench.series.row('acme/c{service="s"}')).toBe(row)
})

it.each(['json-lines', 'remote-write-1'] as const)(
  'refuses a series that is spelt as one of another tenant, whoever comes first (%s)',
  kind => {
    for (const [first, then] of [
      [
        ['acme', 'cpu'],
        ['default', 'acme/cpu'],
      ],
      [
        ['default', 'acme/cpu'],
        ['acme', 'cpu'],
      ],
    ]) {
      const bench = new Bench()
      const post = ([tenant, metric]: readonly string[], at: number) => {
        if (kind === 'json-lines') return send(bench, tenant, [metric], at)
        const samples = [{ value: at + 1, timestamp: T + at * 1000 }]
        const timeseries = [{ labels: labelList(metric, { service: 's' }), samples }]
        return bench.send(kind, remoteWrite1({ timeseries }), { tenant })
      }
      expect(post(first, 0)).toMatchObject({ samples: 1, rejected: 0 })
      expect(post(then, 1)).toMatchObject({ samples: 0, rejected: 1 })
      expect(bench.rejects.recent()[0]).toMatchObject({
        reason: 'key-conflict',
        detail: expect.stringMatching(/^(acme\/)?cpu\{.*: a series of another tenant has this key$/),
      })
      expect([...bench.series.metas()].map(([, { tenant }]) => tenant)).toEqual([first[0]])
      expect(bench.seen).toHaveLength(1)
      // As soon as the other is gone there is room.
      bench.intake.forget(0)
      bench.series.evict(0)
      expect(post(then, 2)).toMatchObject({ samples: 1, rejected: 0 })
      expect(bench.series.meta(0).tenant).toBe(then[0])
    }
  },
)

/** An intake whose parts are at hand, with the tenants and units given. */
class OpenIntake {
  readonly series = new SeriesTable()
  readonly #tally = new Tally()
  readonly convert = new Converter(INTAKE_DEFAULTS, this.series, this.#tally)
  readonly #body = new BodyReader(INTAKE_DEFAULTS, this.convert, this.#tally, new Rejects())

  send(tenant: string, metric: string, unit = '', kind: 'json-lines' | 'remote-write-1' = 'json-lines') {
    const line = JSON.stringify({ metric, unit, labels: { service: 's' }, time: T, value: 1 })
    const samples = [{ value: 1, timestamp: T }]
    const isLine = kind === 'json-lines'
    const bytes = isLine
      ? new TextEncoder().encode(line)
      : remoteWrite1({ timeseries: [{ labels: labelList(metric), samples }] })
    const encoding = isLine ? 'identity' : 'snappy'
    const envelope: Envelope = { kind, encoding, arrivalMs: T, tenant, bytes }
    const refused = this.#body.open(envelope)
    if (refused) return refused
    this.convert.begin(T, () => {})
    const failure = this.#body.read(envelope)
    this.convert.end()
    return this.#body.close(envelope, failure)
  }
}

it('refuses tenants beyond those that can be told apart, and goes on with the others in whatever unit', () => {
  const intake = new OpenIntake()
  const { origins } = intake.convert.table
  for (let i = 0; i < 20_000; i++) for (const unit of ['s', 'By']) origins.index(`t${i}`, unit)
  let last = 20_000
  for (; origins.hasRoom(`t${last}`); last++) origins.index(`t${last}`, '')
  // Each of the first has room for a pair without a unit.
  expect(last).toBe(20_000 + 65_535 - 60_001)
  for (const kind of ['json-lines', 'remote-write-1'] as const) {
    const receipt = intake.send('acme', 'm', '', kind)
    expect(receipt).toMatchObject({ samples: 0, rejected: 1 })
    expect(receipt.reasons[0]).toMatch(/^tenant-limit: acme: as many tenants as can be told apart are known/)
    expect(intake.send('acme', 'm', '', kind).reasons[0]).toMatch(/^tenant-limit: /)
  }
  const other = new OpenIntake()
  other.series.restore(structuredClone(intake.series.snapshot()))
  restoreConverter(other.convert, snapshotConverter(intake.convert), other.series)
  for (const one of [intake, other]) {
    for (const [metric, unit, known] of [
      ['n', 'Cel', ''],
      ['o', 's', 's'],
    ]) {
      expect(one.send('t7', metric, unit)).toMatchObject({ samples: 1, rejected: 0 })
      const row = one.series.row(`t7/${metric}{service="s"}`)
      expect(one.series.meta(row)).toMatchObject({ tenant: 't7', unit: known })
    }
  }
})

it('says which limit it was', () => {
  const bench = new Bench({}, new SeriesTable(1, limitOf))
  expect(send(bench, 'acme', ['a', 'b']).reasons[0]).toMatch(/^series-limit: b.*: 1 series are held already/)
})

it('goes on the same wherever it was saved', () => {
  const step = fc.record({
    tenant: fc.constantFrom('acme', 'default', 'other'),
    metric: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    evict: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.nat(40), (steps, cut) => {
      const whole = new Bench({}, table())
      let other = new Bench({}, table())
      for (const [i, { tenant, metric, evict }] of steps.entries()) {
        if (i === cut) {
          const series = table()
          series.restore(structuredClone(other.series.snapshot()))
          const next = new Bench({}, series)
          next.intake.restore(other.intake.snapshot())
          other = next
        }
        const receipts = [whole, other].map(bench => {
          if (!evict) return send(bench, tenant, [metric], i)
          const row = bench.series.row(`${tenant === 'default' ? '' : `${tenant}/`}${metric}{service="s"}`)
          if (row >= 0) {
            bench.intake.forget(row)
            bench.series.evict(row)
          }
          return undefined
        })
        expect(receipts[1]).toEqual(receipts[0])
        for (const name of ['acme', 'default', 'other']) {
          const held = [...whole.series.metas()].filter(([, meta]) => meta.tenant === name).length
          expect(whole.series.heldBy(name)).toBe(held)
          expect(other.series.heldBy(name)).toBe(held)
          expect(held).toBeLessThanOrEqual(limitOf(name))
        }
      }
    }),
  )
})

it('keeps what is more than a quota that was lowered, and takes nothing new', () => {
  const before = new Bench()
  send(before, 'acme', ['a', 'b', 'c', 'd'])
  const series = table()
  series.restore(before.series.snapshot())
  const bench = new Bench({}, series)
  bench.intake.restore(before.intake.snapshot())
  expect(send(bench, 'acme', ['a', 'b', 'c', 'd', 'e'], 1)).toMatchObject({ samples: 4, rejected: 1 })
})

it('comes from the configuration and is part of its digest', () => {
  const plain = parseConfig({})
  const config = parseConfig({ tenants: { acme: { quota: { series: 1 } }, '*': { quota: { series: 2 } } } })
  const { series } = assemble(config, new Rejects())
  const bench = new Bench({}, series)
  expect(send(bench, 'acme', ['a', 'b'])).toMatchObject({ samples: 1 })
  expect(send(bench, 'constructor', ['a', 'b', 'c'])).toMatchObject({ samples: 2 })
  expect(configDigest(config)).not.toBe(configDigest(plain))
  const rate = parseConfig({ tenants: { acme: { quota: { samplesPerSecond: 5 } } } })
  expect(configDigest(rate)).toBe(configDigest(plain))
})
