import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { ForeshockError } from '../core/errors.ts'

export interface CsvRow {
  /** 1 for the first row of the file, header included; a quoted field may span lines but not rows. */
  readonly row: number
  readonly fields: string[]
}

/** A row longer than this is a file that is not CSV. */
const ROW_CHARS_MAX = 16 * 1024 * 1024

/** Opens a file, `-` for standard input, `.gz` inflated. */
function openInput(path: string): Readable {
  if (path === '-') return process.stdin
  const file = createReadStream(path, { highWaterMark: 256 * 1024 })
  if (!path.endsWith('.gz')) return file
  const plain = createGunzip({ chunkSize: 256 * 1024 })
  file.on('error', error => plain.destroy(error))
  return file.pipe(plain)
}

/**
 * Rows of a CSV file or text stream (RFC 4180: quotes, doubled quotes, line breaks in quotes; `\n` or `\r\n`; a
 * byte order mark is dropped; empty lines are no rows). Throws FS_INPUT_INVALID naming source, row and reason.
 */
export async function* readCsv(source: string | AsyncIterable<Uint8Array | string>): AsyncGenerator<CsvRow> {
  for await (const rows of readCsvChunks(source)) yield* rows
}

/** The same, many rows at a time: an `await` a row costs more than reading it. */
export async function* readCsvChunks(
  source: string | AsyncIterable<Uint8Array | string>,
): AsyncGenerator<CsvRow[]> {
  const name = typeof source === 'string' ? source : 'input'
  const decoder = new TextDecoder('utf-8')
  const parser = new CsvParser(name)
  try {
    for await (const chunk of typeof source === 'string' ? openInput(source) : source) {
      const rows = parser.push(typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true }))
      if (rows.length > 0) yield rows
    }
  } catch (error) {
    if (error instanceof ForeshockError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new ForeshockError('FS_INPUT_INVALID', `${name}, after row ${parser.row}: ${reason}`, {
      cause: error,
    })
  }
  const rest = parser.end()
  if (rest.length > 0) yield rest
}

/** Text in any pieces → rows. */
export class CsvParser {
  readonly #name: string
  #rest = ''
  /** How much of the rest was searched for the end of its row. */
  #searched = 0
  #quoted = false
  row = 0

  constructor(name: string) {
    this.#name = name
  }

  push(text: string): CsvRow[] {
    const whole = this.row === 0 && this.#rest === '' && text.startsWith('\uFEFF') ? text.slice(1) : text
    const data = this.#rest === '' ? whole : this.#rest + whole
    const rows: CsvRow[] = []
    let from = 0
    let at = this.#searched
    for (;;) {
      let newline = data.indexOf('\n', at)
      if (newline < 0) newline = data.length
      // Quotes open and close; a doubled one does both.
      for (
        let quote = data.indexOf('"', at);
        quote >= 0 && quote < newline;
        quote = data.indexOf('"', quote + 1)
      ) {
        this.#quoted = !this.#quoted
      }
      if (newline === data.length) break
      at = newline + 1
      if (this.#quoted) continue
      this.#take(data.slice(from, newline), rows)
      from = at
    }
    this.#rest = data.slice(from)
    this.#searched = this.#rest.length
    if (this.#rest.length > ROW_CHARS_MAX)
      throw this.#invalid(`is longer than ${ROW_CHARS_MAX} characters`, this.row + 1)
    return rows
  }

  end(): CsvRow[] {
    const rows: CsvRow[] = []
    if (this.#quoted) throw this.#invalid('has a quote that is not closed', this.row + 1)
    if (this.#rest !== '') this.#take(this.#rest, rows)
    this.#rest = ''
    return rows
  }

  #take(line: string, rows: CsvRow[]): void {
    const text = line.endsWith('\r') ? line.slice(0, -1) : line
    this.row++
    if (text === '') return
    rows.push({ row: this.row, fields: text.includes('"') ? this.#split(text) : text.split(',') })
  }

  #split(text: string): string[] {
    const fields: string[] = []
    for (let at = 0; at <= text.length; ) {
      if (text[at] !== '"') {
        const comma = text.indexOf(',', at)
        const end = comma < 0 ? text.length : comma
        fields.push(text.slice(at, end))
        at = end + 1
        continue
      }
      let field = ''
      let from = at + 1
      for (;;) {
        const quote = text.indexOf('"', from)
        if (quote < 0) throw this.#invalid('has a quote that is not closed')
        field += text.slice(from, quote)
        at = quote + 1
        if (text[at] !== '"') break
        field += '"'
        from = at + 1
      }
      if (at < text.length && text[at] !== ',')
        throw this.#invalid(`has text after the quoted field ${fields.length + 1}`)
      fields.push(field)
      at++
    }
    return fields
  }

  /** `row`: the one that is read; the last one counted unless given. */
  #invalid(reason: string, row = this.row): ForeshockError {
    return new ForeshockError('FS_INPUT_INVALID', `${this.#name}, row ${row}: ${reason}`)
  }
}

/** A number as CSV files write it; NaN for a gap (empty, NaN, null, NA), undefined for anything else. */
export function parseValue(field: string): number | undefined {
  const text = field.trim()
  if (text === '') return Number.NaN
  const value = Number(text)
  if (!Number.isNaN(value)) return value
  return GAPS.has(text.toLowerCase()) ? Number.NaN : undefined
}

const GAPS = new Set(['nan', 'null', 'na', 'n/a', 'none', '-nan', '+nan'])
