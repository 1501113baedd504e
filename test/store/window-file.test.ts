// Shows that windows written as Parquet come back from another reader as they went in, row group by row group: gaps are
// null, times are whole ms, words stay themselves; and that JSON lines say the same.
import fc from 'fast-check'
import { parquetMetadata, parquetReadObjects } from 'hyparquet'
import { describe, expect, it } from 'vitest'
import type { SeriesMeta } from '../../src/core/series.ts'
import { type WindowFormat, type WindowRows, windowRows } from '../../src/core/window-rows.ts'
import { openWindowFile } from '../../src/store/window-file.ts'

const series = (entity: string, metric: string, labels: Record<string, string>): SeriesMeta => ({
  key: `${metric}{${JSON.stringify(labels)}}`,
  tenant: 'default',
  metric,
  labels,
  entity,
  unit: 's',
  kind: 'latency',
  bad: 'up',
})

const NUMBERS = ['observed', 'expected', 'lower', 'upper'] as const
const SAID = ['coverage', 'surprise', 'point', 'incident', 'score'] as const

const number = fc.oneof(
  fc.constant(Number.NaN),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(value => value + 0), // no −0: a dictionary takes it for 0
)
const word = fc.string({ unit: 'grapheme', maxLength: 12 })
const row = fc.record({
  entity: word,
  metric: word,
  labels: fc.dictionary(word, word, { maxKeys: 3 }),
  timeMs: fc.integer({ min: 0, max: 4_000_000_000_000 }),
  numbers: fc.array(number, { minLength: NUMBERS.length, maxLength: NUMBERS.length }),
  said: fc.array(
    number.map(value => Math.fround(value) + 0),
    { minLength: SAID.length, maxLength: SAID.length },
  ),
  anomalous: fc.boolean(),
  disruption: fc.constantFrom('', 'd_1', 'd_2'),
})
type Row = typeof row extends fc.Arbitrary<infer T> ? T : never

function filled(rows: readonly Row[]): WindowRows {
  const out = windowRows(rows.length)
  out.length = rows.length
  for (const [i, one] of rows.entries()) {
    out.meta[i] = series(one.entity, one.metric, { ...one.labels })
    out.timeMs[i] = one.timeMs
    for (const [k, name] of NUMBERS.entries()) out[name][i] = one.numbers[k]
    for (const [k, name] of SAID.entries()) out[name][i] = one.said[k]
    out.anomalous[i] = one.anomalous ? 1 : 0
    out.disruption[i] = one.disruption
  }
  return out
}

function written(format: WindowFormat, groups: readonly (readonly Row[])[]): Uint8Array {
  const parts: Uint8Array[] = []
  const file = openWindowFile(format, bytes => void parts.push(bytes))
  for (const group of groups) file.write(filled(group))
  file.finish()
  return Buffer.concat(parts)
}

/** What a reader should see of a row. */
function expected(one: Row): Record<string, unknown> {
  const finite = (value: number) => (Number.isFinite(value) ? value : null)
  const measured = NUMBERS.map((name, k) => [name, finite(one.numbers[k])])
  const said = SAID.map((name, k) => [name, finite(Math.fround(one.said[k]))])
  return {
    entity: one.entity,
    metric: one.metric,
    kind: 'latency',
    unit: 's',
    anomalous: one.anomalous,
    disruption: one.disruption || null,
    verdict: null,
    ...Object.fromEntries([...measured, ...said]),
  }
}

describe('windows as a file', () => {
  it('Parquet gives back what went in', async () => {
    const groups = fc.array(fc.array(row, { minLength: 1, maxLength: 20 }), { maxLength: 3 })
    await fc.assert(
      fc.asyncProperty(groups, async given => {
        const bytes = written('parquet', given)
        const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer
        const { row_groups, num_rows } = parquetMetadata(file)
        expect(row_groups).toHaveLength(given.length)
        expect(Number(num_rows)).toBe(given.flat().length)
        const found = given.length === 0 ? [] : await parquetReadObjects({ file })
        for (const [i, one] of given.flat().entries()) {
          expect(found[i]).toMatchObject(expected(one))
          expect(found[i].time).toEqual(new Date(one.timeMs))
          expect(JSON.parse(found[i].labels as string)).toEqual({ ...one.labels })
        }
      }),
      { numRuns: 60 },
    )
  })

  it('JSON lines say the same', () => {
    fc.assert(
      fc.property(fc.array(row, { maxLength: 20 }), given => {
        const text = Buffer.from(written('ndjson', [given])).toString('utf8')
        const lines = text.split('\n').slice(0, -1)
        expect(lines).toHaveLength(given.length)
        for (const [i, one] of given.entries()) {
          const found = JSON.parse(lines[i])
          expect(found).toMatchObject(JSON.parse(JSON.stringify(expected(one))))
          expect(Date.parse(found.time)).toBe(one.timeMs)
          expect(found.labels).toEqual({ ...one.labels })
        }
      }),
    )
  })
})
