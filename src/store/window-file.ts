import { ByteWriter, type ColumnSource, ParquetWriter, schemaFromColumnData } from 'hyparquet-writer'
import type { SeriesMeta } from '../core/series.ts'
import type { OpenWindowFile, WindowFile, WindowRows } from '../core/window-rows.ts'

type Cell = number | string | boolean | bigint | null

interface Column {
  readonly name: string
  readonly type: 'TIMESTAMP' | 'STRING' | 'DOUBLE' | 'FLOAT' | 'BOOLEAN'
  readonly nullable: boolean
  cell(rows: WindowRows, i: number): Cell
}

/** Of finite columns; anything else is null. */
const finite = (value: number): number | null => (Number.isFinite(value) ? value : null)

function measured(name: 'observed' | 'expected' | 'lower' | 'upper'): Column {
  return { name, type: 'DOUBLE', nullable: true, cell: (rows, i) => finite(rows[name][i]) }
}

function said(name: 'coverage' | 'surprise' | 'point' | 'incident' | 'score'): Column {
  return { name, type: 'FLOAT', nullable: true, cell: (rows, i) => finite(rows[name][i]) }
}

function about(name: string, of: (meta: SeriesMeta) => string): Column {
  return { name, type: 'STRING', nullable: false, cell: (rows, i) => of(rows.meta[i]) }
}

/** The columns of an export, in order. Readers go by name: new ones are added at the end. */
const COLUMNS: readonly Column[] = [
  { name: 'time', type: 'TIMESTAMP', nullable: false, cell: (rows, i) => rows.timeMs[i] },
  about('entity', meta => meta.entity),
  about('metric', meta => meta.metric),
  about('key', meta => meta.key),
  about('labels', meta => labelsOf(meta)),
  about('kind', meta => meta.kind),
  about('unit', meta => meta.unit),
  measured('observed'),
  said('coverage'),
  measured('expected'),
  measured('lower'),
  measured('upper'),
  said('surprise'),
  said('point'),
  said('incident'),
  said('score'),
  { name: 'anomalous', type: 'BOOLEAN', nullable: false, cell: (rows, i) => rows.anomalous[i] === 1 },
  { name: 'disruption', type: 'STRING', nullable: true, cell: (rows, i) => rows.disruption[i] || null },
  // Nobody gives verdicts yet; the column is there so that what reads it need not change when somebody does.
  { name: 'verdict', type: 'STRING', nullable: true, cell: () => null },
]

const texts = new WeakMap<SeriesMeta, string>()

function labelsOf(meta: SeriesMeta): string {
  let text = texts.get(meta)
  if (text === undefined) {
    text = JSON.stringify(meta.labels)
    texts.set(meta, text)
  }
  return text
}

export const openWindowFile: OpenWindowFile = (format, sink) =>
  format === 'parquet' ? new ParquetWindows(sink) : new LineWindows(sink)

/** Apache Parquet: one row group for what is written at once, Snappy, dictionaries for the words. */
class ParquetWindows implements WindowFile {
  readonly #bytes: Drain
  readonly #writer: ParquetWriter

  constructor(sink: (bytes: Uint8Array) => void) {
    this.#bytes = new Drain(sink)
    const columnData = COLUMNS.map(({ name, type, nullable }) => ({ name, type, nullable, data: [] }))
    this.#writer = new ParquetWriter({
      writer: this.#bytes,
      schema: schemaFromColumnData({ columnData }),
      createdBy: 'foreshock',
    })
  }

  write(rows: WindowRows): void {
    if (rows.length === 0) return
    const columnData: ColumnSource[] = COLUMNS.map(({ name, cell }) => {
      const data = new Array<Cell>(rows.length)
      for (let i = 0; i < rows.length; i++) data[i] = cell(rows, i)
      return { name, data }
    })
    this.#writer.write({ columnData, rowGroupSize: rows.length })
  }

  finish(): void {
    this.#writer.finish()
  }
}

/** Hands on what is written after each row group, so that a file of any length takes the memory of one. */
class Drain extends ByteWriter {
  readonly #sink: (bytes: Uint8Array) => void

  constructor(sink: (bytes: Uint8Array) => void) {
    super()
    this.#sink = sink
  }

  flush(): void {
    if (this.index > 0) this.#sink(this.getBytes().slice())
    this.index = 0
  }

  override finish(): void {
    this.flush()
  }
}

/** One JSON object a row; times are ISO 8601. */
class LineWindows implements WindowFile {
  readonly #sink: (bytes: Uint8Array) => void

  constructor(sink: (bytes: Uint8Array) => void) {
    this.#sink = sink
  }

  write(rows: WindowRows): void {
    const lines: string[] = []
    for (let i = 0; i < rows.length; i++) {
      const row: Record<string, unknown> = {}
      for (const { name, cell } of COLUMNS) row[name] = cell(rows, i)
      row.time = new Date(rows.timeMs[i]).toISOString()
      row.labels = rows.meta[i].labels
      lines.push(`${JSON.stringify(row)}\n`)
    }
    if (lines.length > 0) this.#sink(new TextEncoder().encode(lines.join('')))
  }

  finish(): void {}
}
