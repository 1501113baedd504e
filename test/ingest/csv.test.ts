// Shows that CSV text in any pieces gives the rows that were written (quotes, line breaks, gzip), that times are
// read as UTC, and that both replay shapes come out in time order; faults name file, row and reason.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { Rejects } from '../../src/core/rejects.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { parseTime } from '../../src/core/time.ts'
import { parseValue, readCsv } from '../../src/ingest/csv.ts'
import { replayRows } from '../../src/ingest/csv-replay.ts'

const folder = mkdtempSync(join(tmpdir(), 'foreshock-csv-'))
afterAll(() => rmSync(folder, { recursive: true }))

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, name.endsWith('.gz') ? gzipSync(text) : text)
  return path
}

async function rowsOf(source: Parameters<typeof readCsv>[0]): Promise<string[][]> {
  const rows: string[][] = []
  for await (const { fields } of readCsv(source)) rows.push(fields)
  return rows
}

async function* pieces(text: string, size: number): AsyncGenerator<string> {
  for (let i = 0; i < text.length; i += size) yield text.slice(i, i + size)
}

async function replay(path: string, limit = 100) {
  const series = new SeriesTable(limit)
  const rejects = new Rejects()
  const seen: [string, number, number][] = []
  const summary = await replayRows(path, { series, rejects }, batch => {
    for (let i = 0; i < batch.length; i++) {
      seen.push([series.meta(batch.series[i]).key, batch.timeMs[i], batch.value[i]])
    }
  })
  return { series, rejects, seen, summary }
}

describe('csv', () => {
  it('gives back any rows, however the text is cut', async () => {
    const field = fc.string({ unit: fc.constantFrom('a', '1', '"', ',', '\n', '\r', ' ', 'é', '漢') })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(field, { minLength: 2, maxLength: 5 }), { maxLength: 8 }),
        fc.integer({ min: 1, max: 9 }),
        async (rows, size) => {
          const text = rows.map(row => row.map(f => `"${f.replaceAll('"', '""')}"`).join(',')).join('\r\n')
          expect(await rowsOf(pieces(text, size))).toEqual(rows)
        },
      ),
      { numRuns: 200 },
    )
  })

  it('reads files, gzip, a byte order mark and the last line without an end', async () => {
    expect(await rowsOf(file('a.csv', '\uFEFFa,b\r\n1,"x ""y"", z"\n\n2,'))).toEqual([
      ['a', 'b'],
      ['1', 'x "y", z'],
      ['2', ''],
    ])
    expect(await rowsOf(file('a.csv.gz', 'a,b\n1,2\n'))).toEqual([
      ['a', 'b'],
      ['1', '2'],
    ])
  })

  it('names file and row of a fault', async () => {
    await expect(rowsOf(file('open.csv', 'a,b\n1,"2\n3,4\n'))).rejects.toThrow(
      /open\.csv, row 2: has a quote/,
    )
    await expect(rowsOf(file('long.csv', `a,b\n1,${'2'.repeat(17_000_000)}`))).rejects.toThrow(
      /long\.csv, row 2: is longer than/,
    )
    await expect(rowsOf(join(folder, 'none.csv'))).rejects.toThrow(/none\.csv.*ENOENT/)
    const cut = file('cut.csv.gz', 'a,b\n1,2\n'.repeat(1000))
    writeFileSync(cut, gzipSync('a,b\n1,2\n'.repeat(1000)).subarray(0, 40))
    await expect(rowsOf(cut)).rejects.toThrow(/cut\.csv\.gz, after row/)
  })

  it('reads times and values', () => {
    const at = Date.UTC(2022, 7, 22, 3, 4, 5)
    for (const text of [
      '2022-08-22 03:04:05',
      '2022-08-22T03:04:05Z',
      '2022-08-22T05:04:05+02:00',
      String(at),
      String(at / 1000),
    ]) {
      expect(parseTime(text), text).toBe(at)
    }
    expect(parseTime('2022-08-22 03:04:05.5')).toBe(at + 500)
    expect(parseTime('2022-08-22')).toBe(Date.UTC(2022, 7, 22))
    for (const text of ['', 'yesterday', '12:00', 'value', 'Infinity', '1e300', '8640000000000001'])
      expect(parseTime(text), text).toBeNaN()
    expect(parseValue(' 1.5e3 ')).toBe(1500)
    expect(parseValue('')).toBeNaN()
    expect(parseValue('NaN')).toBeNaN()
    expect(parseValue('x')).toBeUndefined()
  })
})

describe('replay', () => {
  it('reads the wide shape, gaps left out', async () => {
    const text = 'timestamp,cart|cpu,cart|latency_seconds|p99\n1661132400,1,0.5\n1661132460,,0.25\n'
    const { series, seen, summary } = await replay(file('wide.csv.gz', text))
    const p99 = 'latency_seconds:p99{service="cart"}'
    expect(seen).toEqual([
      ['cpu{service="cart"}', 1661132400000, 1],
      [p99, 1661132400000, 0.5],
      [p99, 1661132460000, 0.25],
    ])
    expect(series.meta(series.row(p99))).toMatchObject({ entity: 'cart', unit: 's', kind: 'latency' })
    expect(summary).toMatchObject({ rows: 2, samples: 3, rejected: 0, lastMs: 1661132460000 })
  })

  it('reads the long shape with dimensions, and sorts by time', async () => {
    const head = 'timestamp,entity,metric,value,unit,dim.zone\n'
    const text = `${head}2022-08-22 00:01:00,a,requests,3,1,x\n2022-08-22 00:00:00,b,requests,2,1,\n2022-08-22 00:00:00,a,requests,1,1,x\n`
    const { seen } = await replay(file('long.csv', text))
    expect(seen.map(([key, , value]) => [key, value])).toEqual([
      ['requests{service="b"}', 2],
      ['requests{service="a",zone="x"}', 1],
      ['requests{service="a",zone="x"}', 3],
    ])
  })

  it('tells series of several files apart by what their dimensions are called', async () => {
    const long = join(folder, 'dimensions')
    mkdirSync(long)
    writeFileSync(join(long, 'a.csv'), 'timestamp,entity,metric,value,dim.region\n1661132400,s,m,1,x\n')
    writeFileSync(join(long, 'b.csv'), 'timestamp,entity,metric,value,dim.zone\n1661132460,s,m,2,x\n')
    writeFileSync(join(long, 'c.csv'), 'timestamp,entity,metric,value,dim.region\n1661132520,s,m,3,x\n')
    const { seen } = await replay(long)
    expect(seen.map(([key, , value]) => [key, value])).toEqual([
      ['m{region="x",service="s"}', 1],
      ['m{service="s",zone="x"}', 2],
      ['m{region="x",service="s"}', 3],
    ])
  })

  it('merges the files of a folder, counts what has no room, and names faults', async () => {
    const wide = 'timestamp,a|x,a|y\n1661132400,1,2\n'
    const { rejects, summary } = await replay(file('cap.csv', wide), 1)
    expect(summary).toMatchObject({ samples: 1, rejected: 1 })
    expect(rejects.counts()).toEqual({ 'series-limit': 1 })
    await expect(replay(file('bad.csv', 'timestamp,a|x\n1661132400,1\nsoon,2\n'))).rejects.toThrow(
      /bad\.csv, row 3: "soon" is not a time/,
    )
    await expect(replay(file('far.csv', 'timestamp,a|x\n1661132400,1\n1e300,2\n'))).rejects.toThrow(
      /far\.csv, row 3: "1e300" is not a time/,
    )
    await expect(replay(file('short.csv', 'timestamp,a|x\n1661132400\n'))).rejects.toThrow(
      /short\.csv, row 2: has 1 fields, the header has 2/,
    )
    await expect(replay(file('flat.csv', 'timestamp,x\n'))).rejects.toThrow(/column 2 is not entity\|metric/)
    await expect(replay(join(folder, 'none'))).rejects.toThrow(/there is no such file/)
  })
})
