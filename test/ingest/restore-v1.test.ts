// Shows that what an intake of the layout before (a column a field, identities hashed another way) saved is restored and
// goes on as that intake itself did: the fixture holds its checkpoint, the bodies that followed and the samples it made.
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import type { EnvelopeKind } from '../../src/core/envelope.ts'
import { SeriesTable } from '../../src/core/series.ts'
import type { ColumnData, Snapshot } from '../../src/core/snapshot.ts'
import { Bench, type Seen } from './wire.ts'

const ARRAYS = { Int32Array, Uint32Array, Uint8Array, Uint16Array, Float64Array } as const

interface Fixture {
  /** What the series table of then saved. */
  series: unknown
  part: Omit<Snapshot, 'columns'> & {
    columns: Record<string, { type: keyof typeof ARRAYS; values: (number | string)[] }>
  }
  bodies: { kind: EnvelopeKind; tenant: string; base64: string }[]
  seen: Seen[]
}

const fixture = JSON.parse(
  readFileSync(new URL('./fixtures/checkpoint-v1.json', import.meta.url), 'utf8'),
) as Fixture

function restored(change: (columns: Record<string, ColumnData>) => void = () => {}): Bench {
  const columns = Object.fromEntries(
    Object.entries(fixture.part.columns).map(([name, { type, values }]) => [
      name,
      ARRAYS[type].from(values.map(Number)) as ColumnData,
    ]),
  )
  change(columns)
  const series = new SeriesTable()
  series.restore({ id: 'series', version: 1, keys: [], columns: {}, meta: structuredClone(fixture.series) })
  const bench = new Bench({}, series)
  bench.intake.restore([{ ...fixture.part, columns }])
  return bench
}

it('goes on as the intake that saved it, with the same counts, groups and rows', () => {
  const bench = restored()
  const size = bench.series.size
  for (const { kind, tenant, base64 } of fixture.bodies)
    bench.send(kind, Buffer.from(base64, 'base64'), { tenant })
  expect(bench.seen).toEqual(fixture.seen)
  expect(fixture.seen.length).toBeGreaterThan(80)
  expect(bench.series.size).toBe(size)
  // Every wire was found again: none was made beside it.
  const [part] = bench.intake.snapshot()
  expect((part.meta as { state: { length: number } }).state.length).toBe(fixture.part.keys.length)
})

it('is saved in the layout of today, and that is restored', () => {
  const bench = restored()
  const again = new Bench({}, bench.series)
  again.intake.restore(bench.intake.snapshot())
  expect(again.intake.snapshot()).toEqual(bench.intake.snapshot())
})

it('is refused when a column is missing or of another shape', () => {
  expect(() => restored(columns => delete columns.a)).toThrow(/column a is missing/)
  expect(() =>
    restored(columns => {
      columns.lastMs = new Float64Array(1)
    }),
  ).toThrow(/column lastMs/)
})
