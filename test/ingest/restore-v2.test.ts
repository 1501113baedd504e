// Shows that what an intake of layout 2 (texts one by one, groups as JSON) saved is restored and goes on as that intake
// itself did: the fixture holds its checkpoint in the midst of bodies, those that followed and the samples it made of them.
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import type { EnvelopeKind } from '../../src/core/envelope.ts'
import { SeriesTable } from '../../src/core/series.ts'
import type { ColumnData, Snapshot } from '../../src/core/snapshot.ts'
import { Bench, type Seen } from './wire.ts'

const ARRAYS = { Int32Array, Uint32Array, Uint8Array, Float64Array } as const

type Packed = Omit<Snapshot, 'columns'> & {
  columns: Record<string, { type: keyof typeof ARRAYS; base64: string }>
}

const fixture = JSON.parse(
  readFileSync(new URL('./fixtures/checkpoint-v2.json', import.meta.url), 'utf8'),
) as {
  series: Packed
  part: Packed
  bodies: { kind: EnvelopeKind; tenant: string; base64: string }[]
  seen: Seen[]
}

function unpacked(part: Packed): Snapshot {
  const columns = Object.entries(part.columns).map(([name, { type, base64 }]): [string, ColumnData] => [
    name,
    new ARRAYS[type](Uint8Array.from(Buffer.from(base64, 'base64')).buffer),
  ])
  return { ...part, columns: Object.fromEntries(columns) }
}

function restored(part: Snapshot): Bench {
  const series = new SeriesTable()
  series.restore(unpacked(fixture.series))
  const bench = new Bench({}, series)
  bench.intake.restore([part])
  return bench
}

it('goes on as the intake that saved it, and is saved in the layout of today', () => {
  const bench = restored(unpacked(fixture.part))
  const [today] = bench.intake.snapshot()
  expect(today.version).toBe(3)
  const again = new Bench({}, bench.series)
  again.intake.restore([today])
  for (const { kind, tenant, base64 } of fixture.bodies)
    bench.send(kind, Buffer.from(base64, 'base64'), { tenant })
  expect(fixture.seen.length).toBeGreaterThan(40)
  expect(bench.seen).toEqual(fixture.seen)
  for (const { kind, tenant, base64 } of fixture.bodies)
    again.send(kind, Buffer.from(base64, 'base64'), { tenant })
  expect(again.seen).toEqual(fixture.seen)
})

it('is refused when texts or groups are missing', () => {
  const part = unpacked(fixture.part)
  const { textEnds: _, ...columns } = part.columns
  expect(() => restored({ ...part, columns })).toThrow(/records of wires are missing/)
  const [today] = restored(part).intake.snapshot()
  for (const name of ['groupMembers', 'texts.at']) {
    const { [name]: gone, ...rest } = today.columns
    expect(gone).toBeDefined()
    expect(() => restored({ ...today, columns: rest })).toThrow(/missing/)
  }
})
