import { closeSync, createReadStream, openSync, readSync } from 'node:fs'
import { createGunzip } from 'node:zlib'
import { ForeshockError } from '../core/errors.ts'

/** A line longer than this is not a table of metrics. */
const LINE_MAX_CHARS = 4_000_000

/** The lines of a file, `.gz` or plain (told by its first bytes), or of stdin for `-`; no trailing newline. */
export async function* linesOf(path: string): AsyncGenerator<string[]> {
  const raw = path === '-' ? process.stdin : createReadStream(path, { highWaterMark: 1 << 18 })
  const source = path !== '-' && isGzip(path) ? raw.pipe(createGunzip()) : raw
  // Errors of the file itself do not travel through a pipe.
  raw.on('error', (error: Error) => source.destroy(error))
  const decoder = new TextDecoder()
  let rest = ''
  let first = true
  for await (const chunk of source) {
    const text = rest + decoder.decode(chunk as Uint8Array, { stream: true })
    const lines = text.split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > LINE_MAX_CHARS)
      throw new ForeshockError('FS_INPUT_INVALID', `a line of more than ${LINE_MAX_CHARS} characters`)
    if (text.includes('\0')) throw new ForeshockError('FS_INPUT_INVALID', 'this is no text')
    if (lines.length === 0) continue
    if (first) lines[0] = lines[0].replace(/^\uFEFF/, '')
    first = false
    yield lines.map(trimReturn)
  }
  rest += decoder.decode()
  if (rest !== '') yield [trimReturn(first ? rest.replace(/^\uFEFF/, '') : rest)]
}

function trimReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line
}

function isGzip(path: string): boolean {
  const file = openSync(path, 'r')
  try {
    const head = new Uint8Array(2)
    return readSync(file, head) === 2 && head[0] === 0x1f && head[1] === 0x8b
  } finally {
    closeSync(file)
  }
}

/** The cells of a CSV line, RFC 4180 quotes understood within the line. */
export function cellsOf(line: string): string[] {
  if (!line.includes('"')) return line.split(',')
  const cells: string[] = []
  let at = 0
  while (at <= line.length) {
    if (line[at] === '"') {
      let text = ''
      at++
      while (at < line.length) {
        if (line[at] !== '"') text += line[at++]
        else if (line[at + 1] === '"') {
          text += '"'
          at += 2
        } else break
      }
      const next = line.indexOf(',', at)
      cells.push(text)
      at = next < 0 ? line.length + 1 : next + 1
    } else {
      const next = line.indexOf(',', at)
      cells.push(line.slice(at, next < 0 ? undefined : next))
      at = next < 0 ? line.length + 1 : next + 1
    }
  }
  return cells
}

/** A cell for output, quoted only where it must be. */
export function quoteCell(text: string): string {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** A number, or NaN for anything that is none (empty, text, hex, infinity). */
export function numberOf(cell: string | undefined): number {
  if (cell === undefined) return NaN
  const text = cell.trim()
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return NaN
  const value = Number(text)
  return Number.isFinite(value) ? value : NaN
}

/** Unix seconds up to here (year 5138), milliseconds above. */
const SECONDS_MAX = 1e11
const ISO = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?\s*(Z|[+-]\d\d:?\d\d)?)?$/i

/** Unix ms of a time cell: Unix s or ms, ISO 8601, or `YYYY-MM-DD hh:mm:ss` as UTC; NaN for anything else. */
export function timeOf(cell: string | undefined): number {
  if (cell === undefined) return NaN
  const text = cell.trim()
  const value = numberOf(text)
  if (!Number.isNaN(value)) {
    const ms = Math.abs(value) < SECONDS_MAX ? value * 1000 : value
    return Math.abs(ms) <= 8.64e15 ? Math.round(ms) : NaN
  }
  const match = ISO.exec(text)
  if (!match) return NaN
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '0', zone = 'Z'] = match
  if (+month < 1 || +month > 12 || +day < 1 || +day > 31 || +hour > 24 || +minute > 59 || +second > 60)
    return NaN
  const utc = Date.UTC(+year, +month - 1, +day, +hour, +minute, +second, Math.round(Number(fraction) * 1000))
  if (zone.toUpperCase() === 'Z') return utc
  const sign = zone[0] === '-' ? 1 : -1
  const digits = zone.slice(1).replace(':', '')
  return utc + sign * (Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2))) * 60_000
}
