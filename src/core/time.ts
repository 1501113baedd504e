/** Numbers below this are Unix seconds, above it Unix ms: 1e11 s is the year 5138, 1e11 ms was 1973. */
const SECONDS_MAX = 1e11

/** Beyond it there are no dates (ECMA-262 21.4.1.1), ms: the year 275760. */
const DATE_MAX_MS = 8.64e15

const PLAIN = /^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?)?$/

/** Unix seconds or ms → Unix ms. */
function timeOfNumber(value: number): number {
  return Math.abs(value) < SECONDS_MAX ? value * 1000 : value
}

/** Whether a time, Unix ms, is a date that can be written. */
export function isDate(timeMs: number): boolean {
  return Math.abs(timeMs) <= DATE_MAX_MS
}

/** Unix ms as JSON that `timeOfJson` reads back: a number, but where that would be taken for Unix seconds. */
export function jsonOfTime(timeMs: number): number | string {
  return Math.abs(timeMs) < SECONDS_MAX ? new Date(timeMs).toISOString() : timeMs
}

/** A time in JSON, a number or a text → Unix ms, NaN when it is neither. */
export function timeOfJson(time: unknown): number {
  if (typeof time === 'number') return timeOfNumber(time)
  return typeof time === 'string' ? parseTime(time) : Number.NaN
}

/**
 * A time as people and programs write it → Unix ms, NaN when it is no date: Unix s or ms, ISO 8601 with a zone,
 * or `YYYY-MM-DD[ hh:mm[:ss[.sss]]]` read as UTC whatever the machine's own zone is.
 */
export function parseTime(text: string): number {
  const trimmed = text.trim()
  if (trimmed === '') return Number.NaN
  const number = Number(trimmed)
  if (!Number.isNaN(number)) {
    const timeMs = timeOfNumber(number)
    return isDate(timeMs) ? timeMs : Number.NaN
  }
  if (PLAIN.test(trimmed)) {
    const iso = trimmed.replace(' ', 'T').replace(',', '.')
    return Date.parse(iso.length > 10 ? `${iso}Z` : iso)
  }
  return /^\d{4}-\d{2}-\d{2}[T ]/.test(trimmed) ? Date.parse(trimmed.replace(' ', 'T')) : Number.NaN
}
