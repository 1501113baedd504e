// Shows that a window report says exactly what the pipeline said: properties over random windows of several tenants and
// partitions, readers that start late or begin anew, series that go and slots that are used again, and bytes that are
// damaged, which give a reason and change nothing.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { partitionOf } from '../../src/bus/partition-of.ts'
import { PART_ROWS, ROTATION, type WindowPart, windowHeader } from '../../src/bus/window-report.ts'
import { WindowReader, type WindowReport } from '../../src/bus/window-report-reader.ts'
import { WindowWriter } from '../../src/bus/window-report-writer.ts'
import type { Anomaly } from '../../src/core/anomaly.ts'
import { featureBatch, opinionBatch } from '../../src/core/batch.ts'
import { type SeriesMeta, SeriesTable, seriesKey } from '../../src/core/series.ts'
import type { AnomalyChange } from '../../src/core/stages.ts'

const STEP_MS = 10_000

function metaOf(n: number, tenant = 'default', extra = ''): SeriesMeta {
  const labels = { service: `s${n % 7}`, instance: `i${n}"\\${extra}` }
  return {
    key: seriesKey('latency_seconds:p99', labels, tenant),
    tenant,
    metric: 'latency_seconds:p99',
    labels,
    entity: `s${n % 7}`,
    unit: 's',
    kind: 'latency',
    bad: 'up',
  }
}

function anomalyOf(series: number, meta: SeriesMeta, observed: number): Anomaly {
  const { key, metric, labels, entity, tenant } = meta
  return {
    id: `an_${series}`,
    series,
    key,
    metric,
    labels,
    entity,
    tenant,
    status: 'open',
    startMs: 10,
    endMs: 20,
    detectedMs: 20,
    observed,
    expected: Number.NaN,
    lower: Number.NEGATIVE_INFINITY,
    upper: 0.1 + 0.2,
    direction: 'spike',
    surprise: 4.2,
    tailProbability: 1e-300,
    score: 70,
    severity: 'minor',
    imputed: false,
    detectors: [{ id: 'deviation@1', share: 1 }],
    why: ['observed “more”'],
  }
}

/** One row of a random window; numbers of every kind. */
const rowArb = fc.record({
  series: fc.nat({ max: 40 }),
  numbers: fc.array(
    fc.oneof(
      fc.double(),
      fc.constant(Number.NaN),
      fc.constant(0),
      fc.integer().map(n => n / 4),
    ),
    { minLength: 4, maxLength: 4 },
  ),
  singles: fc.array(fc.oneof(fc.float(), fc.constant(0)), { minLength: 6, maxLength: 6 }),
  direction: fc.constantFrom(-1, 0, 1),
  strongest: fc.nat({ max: 255 }),
  // 'gone': one that had the row before has an end.
  changed: fc.constantFrom('no', 'no', 'no', 'opened', 'closed', 'gone'),
})
interface Row {
  readonly series: number
  readonly numbers: number[]
  readonly singles: number[]
  readonly direction: number
  readonly strongest: number
  readonly changed: string
}
const windowArb = fc.uniqueArray(rowArb, { maxLength: 30, selector: row => row.series })

const TENANTS = ['default', 'acme', 'tenant "x"', 'zürich']

const AS_BEFORE = [
  'AQMAAAAAAACIw0AAAQADAMCBxpYH4czV1wxeWyJkZWZhdWx0IiwibGF0ZW5jeV9zZWNvbmRzOnA5OSIseyJzZXJ2aWNlIjoi',
  'czAiLCJpbnN0YW5jZSI6ImkwXCJcXCJ9LCJzMCIsInMiLCJsYXRlbmN5IiwidXAiXQGSitn5Bo+rws8PW1siYWNtZSIsImxh',
  'dGVuY3lfc2Vjb25kczpwOTkiLHsic2VydmljZSI6InMxIiwiaW5zdGFuY2UiOiJpMVwiXFwifSwiczEiLCJzIiwibGF0ZW5j',
  'eSIsInVwIl0C6Lb5tArZhbqeAWNbInRlbmFudCBcInhcIiIsImxhdGVuY3lfc2Vjb25kczpwOTkiLHsic2VydmljZSI6InMy',
  'IiwiaW5zdGFuY2UiOiJpMlwiXFwifSwiczIiLCJzIiwibGF0ZW5jeSIsInVwIl0DAAAAAAAAAAAAAAAAmpmZmZmZuT+amZmZ',
  'mZnJPwEAAIA/AwAAAAAAAACAPwAAAEADAQAAwH8CVVVVVVVV1T8CAAAAAAAA+H8BAAAAAAEAAAAAAAAAAAAAAIA/AAAAQAEA',
  'AAAAAQAAAD8B/wAAAQIBAQAAAAAAAAAkQAAAAAAAADRAAAAAAAAANECamZmZmZm5PwAAAAAAAPh/AAAAAAAA8P80MzMzMzPT',
  'P83MzMzMzBBAWfP4wh9upQEAAAAAAIBRQJ8BeyJpZCI6ImFuXzEiLCJzdGF0dXMiOiJvcGVuIiwiZGlyZWN0aW9uIjoic3Bp',
  'a2UiLCJzZXZlcml0eSI6Im1pbm9yIiwiaW1wdXRlZCI6ZmFsc2UsImRldGVjdG9ycyI6W3siaWQiOiJkZXZpYXRpb25AMSIs',
  'InNoYXJlIjoxfV0sIndoeSI6WyJvYnNlcnZlZCDigJxtb3Jl4oCdIl19',
].join('')

class Scored {
  readonly series = new SeriesTable()
  readonly batch = featureBatch(50_000, 0)
  readonly opinions = opinionBatch(50_000)
  changes: AnomalyChange[] = []

  fill(rows: readonly Row[], windowEndMs: number): void {
    const sorted = [...rows].sort((a, b) => a.series - b.series)
    for (const [i, row] of sorted.entries()) {
      this.batch.series[i] = row.series
      this.batch.windowEndMs[i] = windowEndMs
      this.batch.observed[i] = row.numbers[0]
      this.opinions.expected[i] = row.numbers[1]
      this.opinions.lower[i] = row.numbers[2]
      this.opinions.upper[i] = row.numbers[3]
      this.batch.coverage[i] = row.singles[0]
      for (const [j, name] of (['surprise', 'point', 'incident', 'score', 'evidence'] as const).entries())
        this.opinions[name][i] = row.singles[j + 1]
      this.opinions.direction[i] = row.direction
      this.opinions.strongest[i] = row.strongest
    }
    this.batch.length = sorted.length
    this.opinions.length = sorted.length
    this.changes = sorted
      .filter(row => row.changed !== 'no')
      .map(({ series, changed, numbers }) => {
        const anomaly = anomalyOf(series, this.series.meta(series), numbers[0])
        return changed === 'gone'
          ? { event: 'closed', anomaly: { ...anomaly, id: `gone_${series}`, series: -1, entity: 'former' } }
          : { event: changed as AnomalyChange['event'], anomaly }
      })
  }
}

/** Everything said of a row by name of its series, and the changes with them. */
function toldBy(
  { batch, opinions, changes }: Pick<WindowReport, 'batch' | 'opinions' | 'changes'>,
  series: SeriesTable,
): Map<string, unknown> {
  const told = new Map<string, unknown>()
  for (let i = 0; i < batch.length; i++) {
    const { key } = series.meta(batch.series[i])
    const { length: _, capacity: __, ...columns } = opinions
    told.set(key, {
      meta: series.meta(batch.series[i]),
      observed: batch.observed[i],
      coverage: batch.coverage[i],
      endMs: batch.windowEndMs[i],
      ...Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, column[i]])),
    })
  }
  for (const { event, anomaly } of changes) {
    if (anomaly.series >= 0) expect(series.meta(anomaly.series).key).toBe(anomaly.key)
    told.set(`${event} ${anomaly.id}`, { ...anomaly, series: Math.min(0, anomaly.series) })
  }
  return told
}

function writerOf(
  series: SeriesTable,
  anomaliesPartitions = 1,
  epoch = 0,
  samplesPartition = 3,
): WindowWriter {
  return new WindowWriter({ samplesPartition, anomaliesPartitions, stepMs: STEP_MS, epoch }, series)
}

const evictInto = (series: SeriesTable) => (row: number) => series.evict(row)

function reportOf(reader: WindowReader, bytes: Uint8Array): WindowReport {
  const report = reader.read(bytes)
  if (typeof report === 'string') throw new Error(report)
  return report
}

/** Reads the parts of one window and returns all that they say. */
function readAll(
  reader: WindowReader,
  series: SeriesTable,
  parts: readonly WindowPart[],
): Map<string, unknown> {
  const told = new Map<string, unknown>()
  for (const [i, part] of parts.entries()) {
    const report = reportOf(reader, part.bytes)
    expect([report.part, report.last]).toEqual([i, i === parts.length - 1])
    for (let r = 1; r < report.batch.length; r++)
      expect(report.batch.series[r]).toBeGreaterThan(report.batch.series[r - 1])
    for (const [key, value] of toldBy(report, series)) told.set(key, value)
  }
  return told
}

describe('a window report', () => {
  it('says what was said, to every anomalies partition what is its own', () => {
    fc.assert(
      fc.property(
        fc.array(windowArb, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 4 }),
        (windows, q) => {
          const from = new Scored()
          for (let n = 0; n <= 40; n++) from.series.intern(metaOf(n, TENANTS[n % TENANTS.length]))
          const writer = writerOf(from.series, q)
          const tables = Array.from({ length: q }, () => new SeriesTable())
          const readers = tables.map(table => new WindowReader(table, evictInto(table)))
          for (const [w, rows] of windows.entries()) {
            from.fill(rows, (w + 1) * STEP_MS)
            const parts = writer.write(from.batch, from.opinions, from.changes, (w + 1) * STEP_MS, true)
            const told = new Map<string, unknown>()
            for (const [p, reader] of readers.entries()) {
              const own = parts.filter(part => part.anomaliesPartition === p)
              expect(own.length).toBe(1)
              for (const [key, value] of readAll(reader, tables[p], own)) {
                const { meta, tenant } = value as { meta?: SeriesMeta; tenant?: string }
                expect(partitionOf(meta?.tenant ?? (tenant as string), q)).toBe(p)
                told.set(key, value)
              }
            }
            const said = toldBy(from, from.series)
            expect(new Map([...told].sort())).toEqual(new Map([...said].sort()))
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  it('is the same bytes from a writer that was restored', () => {
    fc.assert(
      fc.property(
        fc.array(windowArb, { minLength: 2, maxLength: 5 }),
        fc.nat({ max: 40 }),
        (windows, gone) => {
          const from = new Scored()
          for (let n = 0; n <= 40; n++) from.series.intern(metaOf(n))
          let writer = writerOf(from.series, 2)
          const twin = writerOf(from.series, 2)
          for (const [w, rows] of windows.entries()) {
            const endMs = (w + 1) * STEP_MS
            from.fill(rows, endMs)
            const args = [from.batch, from.opinions, from.changes, endMs, true] as const
            expect(writer.write(...args)).toEqual(twin.write(...args))
            writer.forget(gone)
            twin.forget(gone)
            const saved = structuredClone(writer.snapshot())
            writer = writerOf(from.series, 2, 99)
            writer.restore(saved)
          }
        },
      ),
      { numRuns: 40 },
    )
  })

  it('is read as scorers of before wrote it', () => {
    // Of the writer of 2026-11-20: three rows, one of them with a change and one with a NaN.
    const bytes = Uint8Array.from(Buffer.from(AS_BEFORE, 'base64'))
    const from = new Scored()
    for (let n = 0; n < 3; n++) from.series.intern(metaOf(n, TENANTS[n]))
    from.fill(
      [0, 1, 2].map(series => ({
        series,
        numbers: [0.1 * series, series, Number.NaN, series === 1 ? Number.NaN : 1 / 3],
        singles: [1, 0, 0, series, 0, 0.5],
        direction: -1,
        strongest: series,
        changed: series === 1 ? 'opened' : 'no',
      })),
      STEP_MS,
    )
    const table = new SeriesTable()
    const told = toldBy(reportOf(new WindowReader(table, evictInto(table)), bytes), table)
    expect(told).toEqual(toldBy(from, from.series))
    const [part] = writerOf(from.series).write(from.batch, from.opinions, from.changes, STEP_MS, true)
    expect(Buffer.from(part.bytes).toString('base64')).toBe(AS_BEFORE)
  })

  it('tells nobody of a window twice', () => {
    const from = new Scored()
    const writer = writerOf(from.series)
    from.fill([], 20_000)
    expect(writer.write(from.batch, from.opinions, [], 20_000, true).length).toBe(1)
    expect(writer.write(from.batch, from.opinions, [], 20_000, true)).toEqual([])
    expect(writer.write(from.batch, from.opinions, [], 10_000, true)).toEqual([])
  })

  it('cuts a large window into parts, with all their rows', () => {
    const from = new Scored()
    const rows = 40_000
    for (let n = 0; n < rows; n++) from.series.intern(metaOf(n))
    from.batch.length = rows
    for (let i = 0; i < rows; i++) {
      from.batch.series[i] = i
      from.batch.observed[i] = Math.sqrt(i)
      from.opinions.surprise[i] = i % 100
    }
    const writer = writerOf(from.series)
    const first = writer.write(from.batch, from.opinions, [], STEP_MS, true)
    const second = writer.write(from.batch, from.opinions, [], 2 * STEP_MS, true)
    expect(second.length).toBe(Math.ceil(rows / PART_ROWS))
    for (const part of [...first, ...second]) expect(part.bytes.length).toBeLessThan(800_000)
    const table = new SeriesTable()
    const reader = new WindowReader(table, evictInto(table))
    let seen = 0
    for (const [i, part] of first.entries()) {
      const { batch, opinions, last } = reportOf(reader, part.bytes)
      expect(last).toBe(i === first.length - 1)
      for (let r = 0; r < batch.length; r++) {
        expect(batch.observed[r]).toBe(Math.sqrt(seen))
        expect(opinions.surprise[r]).toBe(seen % 100)
        expect(table.meta(batch.series[r]).key).toBe(from.series.meta(seen).key)
        seen++
      }
    }
    expect(seen).toBe(rows)
  })
})

describe('a reader', () => {
  /** A window of a series, with its number as what was observed. */
  const row = (series: number) => ({
    series,
    numbers: [series, 0, 0, 0],
    singles: [1, 0, 0, 0, 0, 0],
    direction: 1,
    strongest: 2,
    changed: 'no',
  })

  it('that starts late learns every series within a rotation, and changes at once', () => {
    const from = new Scored()
    for (let n = 0; n <= 40; n++) from.series.intern(metaOf(n))
    const writer = writerOf(from.series)
    const rows = Array.from({ length: 41 }, (_, series) => ({
      series,
      numbers: [1, 2, 3, 4],
      singles: [1, 0, 0, 0, 0, 0],
      direction: 0,
      strongest: 0,
      changed: 'no',
    }))
    const write = (w: number) => {
      from.fill(
        rows.map(row => (row.series === 7 && w === 5 ? { ...row, changed: 'opened' } : row)),
        w * STEP_MS,
      )
      return writer.write(from.batch, from.opinions, from.changes, w * STEP_MS, true)[0].bytes
    }
    for (let w = 1; w < 5; w++) write(w)
    const table = new SeriesTable()
    const reader = new WindowReader(table, evictInto(table))
    const first = reportOf(reader, write(5))
    // Slots 5 (its turn) and 7 (its anomaly) are described.
    expect([first.unknown, first.batch.length, first.changes.length]).toEqual([39, 2, 1])
    let unknown = first.unknown
    for (let w = 6; w < 5 + ROTATION; w++) {
      const report = reportOf(reader, write(w))
      expect(report.unknown).toBeLessThanOrEqual(unknown)
      unknown = report.unknown
    }
    expect(unknown).toBe(0)
  })

  it('is told of series that are gone, and takes their slots for others', () => {
    const from = new Scored()
    for (let n = 0; n < 3; n++) from.series.intern(metaOf(n))
    const writer = writerOf(from.series)
    const table = new SeriesTable()
    const evicted: string[] = []
    const reader = new WindowReader(table, row => {
      evicted.push(table.meta(row).key)
      table.evict(row)
    })
    const write = (w: number, slots: number[]) => {
      from.fill(slots.map(row), w * STEP_MS)
      return writer.write(from.batch, from.opinions, from.changes, w * STEP_MS, true)
    }
    readAll(reader, table, write(1, [0, 1, 2]))
    from.series.evict(1)
    writer.forget(1)
    expect(from.series.intern(metaOf(77))).toBe(1)
    const saved = structuredClone(reader.snapshot())
    const next = write(2, [0, 1, 2])
    const told = readAll(reader, table, next)
    expect(evicted).toEqual([metaOf(1).key])
    expect([...told.keys()].sort()).toEqual([metaOf(0).key, metaOf(2).key, metaOf(77).key].sort())
    // A reader restored from before reads the same.
    const other = new SeriesTable()
    for (const n of [0, 1, 2]) other.intern(metaOf(n))
    const restored = new WindowReader(other, evictInto(other))
    restored.restore(saved)
    expect(readAll(restored, other, next)).toEqual(told)
    expect(other.row(metaOf(1).key)).toBe(-1)
  })

  it('gives up what a scorer that began anew does not name again', () => {
    const from = new Scored()
    for (let n = 0; n < 3; n++) from.series.intern(metaOf(n))
    const table = new SeriesTable()
    let reader = new WindowReader(table, evictInto(table))
    from.fill([0, 1, 2].map(row), STEP_MS)
    readAll(reader, table, writerOf(from.series).write(from.batch, from.opinions, [], STEP_MS, true))
    const anew = new Scored()
    anew.series.intern(metaOf(2))
    anew.series.intern(metaOf(50))
    const writer = writerOf(anew.series, 1, 500)
    for (let w = 2; w < 2 + ROTATION; w++) {
      anew.fill([0, 1].map(row), w * STEP_MS)
      const told = readAll(reader, table, writer.write(anew.batch, anew.opinions, [], w * STEP_MS, true))
      expect([...told.keys()].sort()).toEqual([metaOf(2).key, metaOf(50).key].sort())
      expect(table.row(metaOf(0).key) >= 0).toBe(w < 1 + ROTATION)
      const saved = structuredClone(reader.snapshot())
      reader = new WindowReader(table, evictInto(table))
      reader.restore(saved)
    }
    expect(table.size).toBe(2)
  })

  it('that was restored knows a series of two samples partitions by both, as long as one of them has it', () => {
    const [left, right] = [new Scored(), new Scored()]
    for (const { series } of [left, right]) for (let n = 0; n < 3; n++) series.intern(metaOf(n))
    const table = new SeriesTable()
    let reader = new WindowReader(table, evictInto(table))
    const restore = () => {
      const saved = structuredClone(reader.snapshot())
      reader = new WindowReader(table, evictInto(table))
      reader.restore(saved)
    }
    const tell = (scored: Scored, writer: WindowWriter, slots: readonly number[], w: number) => {
      scored.fill(slots.map(row), w * STEP_MS)
      const parts = writer.write(scored.batch, scored.opinions, [], w * STEP_MS, true)
      return [...readAll(reader, table, parts).keys()].sort()
    }
    const keys = (...numbers: number[]) => numbers.map(n => metaOf(n).key).sort()
    const writers = [writerOf(left.series, 1, 0, 3), writerOf(right.series, 1, 0, 4)]
    for (let w = 1; w < 4; w++) {
      expect(tell(left, writers[0], [0, 1, 2], w)).toEqual(keys(0, 1, 2))
      expect(tell(right, writers[1], [1, 2], w)).toEqual(keys(1, 2))
      restore()
    }
    // Both begin anew, and only one of them has what both had.
    const anew = [writerOf(left.series, 1, 7, 3), writerOf(right.series, 1, 7, 4)]
    for (let w = 4; w < 4 + ROTATION; w++) {
      expect(tell(left, anew[0], [0], w)).toEqual(keys(0))
      expect(tell(right, anew[1], [1], w)).toEqual(keys(1))
      restore()
      expect(table.row(metaOf(2).key) >= 0).toBe(w < 3 + ROTATION)
    }
    expect(table.size).toBe(2)
  })

  it('gives a reason for bytes that are damaged, and never throws', () => {
    const from = new Scored()
    for (let n = 0; n <= 40; n++) from.series.intern(metaOf(n))
    fc.assert(
      fc.property(windowArb, fc.nat(), fc.nat({ max: 255 }), fc.nat(), (rows, at, byte, cut) => {
        from.fill(rows, STEP_MS)
        const [{ bytes }] = writerOf(from.series).write(
          from.batch,
          from.opinions,
          from.changes,
          STEP_MS,
          true,
        )
        const table = new SeriesTable()
        const reader = new WindowReader(table, evictInto(table))
        const short = bytes.slice(0, cut % bytes.length)
        expect(reader.read(short)).toBeTypeOf('string')
        expect(table.size).toBe(0)
        const damaged = bytes.slice()
        damaged[at % bytes.length] ^= byte
        const read = reader.read(damaged)
        if (typeof read === 'string') expect(read.length).toBeGreaterThan(10)
        expect(reader.read(new Uint8Array([...bytes, 0]))).toMatch(/behind its end/)
      }),
      { numRuns: 300 },
    )
    expect(windowHeader(new Uint8Array([9, 0, 0]))).toMatch(/version 9/)
    expect(windowHeader(new Uint8Array(0))).toMatch(/too short/)
  })

  it('leaves out what its own table has no room for', () => {
    const from = new Scored()
    for (let n = 0; n <= 40; n++) from.series.intern(metaOf(n))
    fc.assert(
      fc.property(windowArb, rows => {
        from.fill(rows, STEP_MS)
        const [{ bytes }] = writerOf(from.series).write(from.batch, from.opinions, [], STEP_MS, true)
        const table = new SeriesTable(5)
        const report = reportOf(new WindowReader(table, evictInto(table)), bytes)
        expect(report.batch.length).toBe(Math.min(5, rows.length))
        expect(report.unknown).toBe(rows.length - report.batch.length)
      }),
      { numRuns: 20 },
    )
  })
})
