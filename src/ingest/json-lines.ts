import { JSON_DEPTH_MAX, nestsTooDeep } from '../core/json-depth.ts'
import { seriesKey } from '../core/series.ts'
import { timeOfJson } from '../core/time.ts'
import { checkText, hashText } from '../math/hash.ts'
import { type DecodeContext, finishDefine } from './context.ts'
import { TYPE } from './families.ts'
import { safeName } from './naming.ts'

const TYPES: Readonly<Record<string, number>> = {
  counter: TYPE.counter,
  gauge: TYPE.gauge,
  delta: TYPE.delta,
}

const UTF8 = new TextDecoder('utf-8')
const NEWLINE = 10

/** Lines of a body that cannot be read until the rest of it is passed over: each takes some µs, and a body may hold twenty million. */
const MALFORMED_MAX = 100_000

/** What `readJsonLine` returns of a line that cannot be read. */
export const MALFORMED = -2

/** Why the rest of a body is passed over after so many lines that cannot be read, the last of them `number`; '' when it is not. */
export function enough(malformed: number, number: number): string {
  if (malformed <= MALFORMED_MAX) return ''
  return `more than ${MALFORMED_MAX} lines cannot be read; what follows line ${number} was passed over`
}

/**
 * JSON lines: `{"time","metric","labels","value"[,"unit","type","entity"]}` a line, or columnar with `times` and
 * `values`. `type` is counter, gauge or delta; `entity` stands for the first entity label. A line that cannot be
 * read is rejected by its number, the others are taken. json-bodies.ts reads them faster where it can. Returns '' or why not
 * all of it was read.
 */
export function decodeJsonLines(c: DecodeContext, length: number): string {
  const { bytes } = c.reader
  let number = 0
  let malformed = 0
  for (let from = 0; from < length; ) {
    let to = bytes.indexOf(NEWLINE, from)
    if (to < 0 || to > length) to = length
    if (readJsonLine(c, bytes.subarray(from, to), ++number) === MALFORMED) {
      const failure = enough(++malformed, number)
      if (failure !== '') return failure
    }
    from = to + 1
  }
  return ''
}

/**
 * One line; the wire that it is of, whose identity is left in the context's `hash`, −1 when it was refused as a whole or blank, or
 * `MALFORMED`.
 */
export function readJsonLine(c: DecodeContext, bytes: Uint8Array, number: number): number {
  if (nestsTooDeep(bytes)) {
    c.convert.reject('malformed', `line ${number}: nests deeper than ${JSON_DEPTH_MAX}`)
    return MALFORMED
  }
  const text = UTF8.decode(bytes).trim()
  if (text === '') return -1
  let line: unknown
  try {
    line = JSON.parse(text)
  } catch {
    c.convert.reject('malformed', `line ${number}: not JSON: ${text.slice(0, 80)}`)
    return MALFORMED
  }
  const found = isRecord(line) ? readRecord(c, line, number) : 'not an object'
  if (typeof found === 'number') return found
  c.convert.reject('malformed', `line ${number}: ${found}`)
  return MALFORMED
}

/** The wire, or what is wrong. */
function readRecord(c: DecodeContext, line: Record<string, unknown>, number: number): string | number {
  const { metric, labels, unit, type, entity } = line
  if (typeof metric !== 'string' || metric === '') return 'metric is missing'
  if (labels !== undefined && !isRecord(labels)) return `${short(metric)}: labels is not an object`
  if (unit !== undefined && typeof unit !== 'string') return `${short(metric)}: unit is not a string`
  if (entity !== undefined && typeof entity !== 'string') return `${short(metric)}: entity is not a string`
  if (type !== undefined && (typeof type !== 'string' || !Object.hasOwn(TYPES, type))) {
    return `${short(metric)}: type is none of ${Object.keys(TYPES).join(', ')}`
  }
  c.labels.begin(safeName(metric))
  for (const [name, value] of Object.entries(labels ?? {})) {
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
      return `${short(metric)}: label ${short(name)} is not a string`
    }
    c.labels.add(safeName(name), String(value))
  }
  const { entityLabel } = c
  if (entity && entityLabel !== '' && !Object.hasOwn(c.labels.labels, entityLabel))
    c.labels.add(entityLabel, entity)
  const kind = typeof type === 'string' ? TYPES[type] : TYPE.unknown
  const wire = textWire(c, kind, typeof unit === 'string' ? unit : '')
  if (Array.isArray(line.times) || Array.isArray(line.values)) return readColumns(c, line, wire, number)
  const timeMs = timeOfJson(line.time)
  if (Number.isNaN(timeMs)) return `${short(metric)}: time is missing or not a time`
  const value = readValue(line.value)
  if (value === undefined) return `${short(metric)}: value is not a number`
  if (wire >= 0 && c.convert.sample(wire, timeMs, value)) c.tally.samples++
  return wire
}

function readColumns(
  c: DecodeContext,
  line: Record<string, unknown>,
  wire: number,
  number: number,
): string | number {
  const { times, values, metric } = line
  if (!Array.isArray(times) || !Array.isArray(values) || times.length !== values.length) {
    return `${short(String(metric))}: times and values are not arrays of one length`
  }
  for (let i = 0; i < times.length; i++) {
    const timeMs = timeOfJson(times[i])
    const value = readValue(values[i])
    if (Number.isNaN(timeMs) || value === undefined) {
      c.convert.reject(
        'malformed',
        `line ${number}: ${short(String(metric))}: time or value ${i} cannot be read`,
      )
    } else if (wire >= 0 && c.convert.sample(wire, timeMs, value)) c.tally.samples++
  }
  return wire
}

/** The wire of the labels just read, known by its canonical text, whose identity is left in `hash`. */
export function textWire(c: DecodeContext, type: number, unit: string): number {
  const { labels, convert, hash } = c
  if (labels.refused !== '') {
    convert.reject(labels.refused, `${short(labels.metric)}: too many labels, or a name or value too long`)
    return -1
  }
  const text = seriesKey(labels.metric, labels.labels)
  hashText(text, c.seed + type, hash)
  const a = hash[0]
  const b = hash[1]
  const check = checkText(text, c.seedCheck + type)
  hash[2] = check
  const wire = convert.table.find(a, b, check)
  return wire >= 0 ? wire : finishDefine(c, a, b, check, type, unit)
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A number, or null and "NaN" for an explicit gap; undefined when it is neither. */
function readValue(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  return value === null || value === 'NaN' ? Number.NaN : undefined
}

function short(text: string): string {
  return text.slice(0, 100)
}
