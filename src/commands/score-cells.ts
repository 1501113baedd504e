import { parseTime } from '../core/time.ts'
import { parseValue } from '../ingest/csv.ts'

/** Largest time that a Date can hold, ms either side of 1970. */
const TIME_MAX_MS = 8.64e15

/** A finite number, or NaN for anything else: empty, text, infinity, a cell that is not there. */
export function numberOf(cell: string | undefined): number {
  const value = cell === undefined ? Number.NaN : (parseValue(cell) ?? Number.NaN)
  return Number.isFinite(value) ? value : Number.NaN
}

/** Unix ms of a time cell, rounded; NaN for anything that is no time. */
export function timeOf(cell: string | undefined): number {
  const ms = cell === undefined ? Number.NaN : parseTime(cell)
  return Math.abs(ms) <= TIME_MAX_MS ? Math.round(ms) : Number.NaN
}

/** A cell for output, quoted only where it must be. */
export function quoteCell(text: string): string {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
