import type { CalendarTimes } from '../core/calendar.ts'
import { DAY_MS, isZone, LocalTime } from '../core/local-time.ts'
import { type RecurrenceRule, recurrenceOf, stampOf } from '../core/recurrence.ts'

/**
 * iCalendar files (RFC 5545) → events: VEVENT with DTSTART, DTEND or DURATION, RRULE, RDATE, EXDATE, RECURRENCE-ID and
 * STATUS. What else a calendar holds (alarms, time zone tables, to-dos) is passed over: zones are known by their IANA name.
 * Strict: what it does not understand of an event is an error that names the line, never a wrong time.
 */
export interface IcsEvent {
  readonly name: string
  readonly times: CalendarTimes
  /** Line of BEGIN:VEVENT. */
  readonly line: number
}

interface Property {
  readonly name: string
  readonly parameters: ReadonlyMap<string, string>
  readonly value: string
  readonly line: number
}

interface Stamp {
  readonly ms: number
  readonly isDate: boolean
  readonly zone: string
}

const EVENTS_MAX = 10_000
const NAME_CHARS_MAX = 200
const ONCE = ['UID', 'SUMMARY', 'DTSTART', 'DTEND', 'DURATION', 'RRULE', 'RECURRENCE-ID', 'STATUS']
const MANY = ['RDATE', 'EXDATE']

/** A complaint with the line that it is about. */
class LineError extends Error {
  readonly line: number
  constructor(line: number, message: string) {
    super(message)
    this.line = line
  }
}

/**
 * Reads a whole file. `zone` is that of times without one (RFC 5545 calls them floating). A text is the first reason why
 * it cannot be read, as `line 12: …`.
 */
export function readIcs(text: string, zone: string): IcsEvent[] | string {
  try {
    const events = eventsOf(unfold(text)).map(properties => partsOf(properties, zone))
    return joined(events)
  } catch (error) {
    if (error instanceof LineError) return `line ${error.line}: ${error.message}`
    throw error
  }
}

/** Logical lines: one that begins with a space or tab goes on from the line before (3.1). */
function unfold(text: string): { text: string; line: number }[] {
  const out: { text: string; line: number }[] = []
  for (const [i, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/)
    .entries()) {
    if (raw.startsWith(' ') || raw.startsWith('\t')) {
      if (out.length === 0) throw new LineError(i + 1, 'a continued line has nothing before it')
      out[out.length - 1].text += raw.slice(1)
    } else if (raw !== '') out.push({ text: raw, line: i + 1 })
  }
  return out
}

/** `NAME;PARAMETER=value;OTHER="quoted;:":value`. */
function propertyOf({ text, line }: { text: string; line: number }): Property {
  const head = /^([A-Za-z0-9-]+)((?:;[A-Za-z0-9-]+=(?:"[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*)*):/.exec(
    text,
  )
  if (!head) throw new LineError(line, `not a property: "${text.slice(0, 60)}"`)
  const parameters = new Map<string, string>()
  for (const [, name, value] of head[2].matchAll(/;([A-Za-z0-9-]+)=("[^"]*"|[^";:]*)/g))
    parameters.set(name.toUpperCase(), value.replace(/^"(.*)"$/, '$1'))
  return { name: head[1].toUpperCase(), parameters, value: text.slice(head[0].length), line }
}

/** The properties of each VEVENT, BEGIN first. */
function eventsOf(lines: readonly { text: string; line: number }[]): Property[][] {
  const out: Property[][] = []
  const open: Property[] = []
  let seen = false
  for (const line of lines) {
    const property = propertyOf(line)
    const inside = open.at(-1)?.value.toUpperCase()
    if (property.name === 'BEGIN') {
      const component = property.value.toUpperCase()
      if (open.length === 0 && component !== 'VCALENDAR')
        throw new LineError(property.line, 'a calendar begins with BEGIN:VCALENDAR')
      seen = true
      if (component === 'VEVENT') out.push([property])
      if (out.length > EVENTS_MAX) throw new LineError(property.line, `more than ${EVENTS_MAX} events`)
      open.push(property)
    } else if (property.name === 'END') {
      if (inside !== property.value.toUpperCase())
        throw new LineError(property.line, `END:${property.value} does not end ${inside ?? 'anything'}`)
      open.pop()
    } else if (open.length === 0) throw new LineError(property.line, 'a calendar begins with BEGIN:VCALENDAR')
    else if (inside === 'VEVENT') out[out.length - 1].push(property)
  }
  const left = open.at(-1)
  if (left) throw new LineError(left.line, `BEGIN:${left.value} has no END`)
  if (!seen) throw new LineError(1, 'a calendar begins with BEGIN:VCALENDAR')
  return out
}

interface Parts {
  readonly uid: string
  readonly name: string
  readonly line: number
  readonly isCancelled: boolean
  /** Set when this stands in for one occurrence of another event of the same UID. */
  readonly instead: Stamp | undefined
  readonly times: CalendarTimes
}

function partsOf([begin, ...properties]: Property[], zone: string): Parts {
  const one = new Map<string, Property>()
  for (const property of properties) {
    refuseUnread(property)
    if (!ONCE.includes(property.name)) continue
    if (one.has(property.name))
      throw new LineError(property.line, `${property.name} stands twice in one event`)
    one.set(property.name, property)
  }
  const first = one.get('DTSTART')
  if (!first) throw new LineError(begin.line, 'an event needs a DTSTART')
  const start = stamp(first, first.value, zone)
  const rule = one.get('RRULE')
  const many = (name: string) =>
    properties
      .filter(property => property.name === name)
      .flatMap(property =>
        property.value.split(',').map(value => onClockOf(stamp(property, value, zone), start, property)),
      )
  const instead = one.get('RECURRENCE-ID')
  const times: CalendarTimes = {
    zone: start.zone,
    startMs: start.ms,
    ...lengthOf(start, one, zone),
    ...(rule ? { rule: ruleOf(rule, start) } : {}),
    extra: many(MANY[0]),
    except: many(MANY[1]),
  }
  return {
    uid: one.get('UID')?.value ?? '',
    name: plain(one.get('SUMMARY')?.value ?? 'event').slice(0, NAME_CHARS_MAX),
    line: begin.line,
    isCancelled: one.get('STATUS')?.value.toUpperCase() === 'CANCELLED',
    instead: instead && stamp(instead, instead.value, zone),
    times,
  }
}

/** What changes when an event is, and is not read here: whoever passed over it would have it at other times. */
function refuseUnread({ name, parameters, line }: Property): void {
  if (name === 'EXRULE')
    throw new LineError(line, 'EXRULE is not supported (RFC 5545 has none): leave the days out by EXDATE')
  if (name === 'RECURRENCE-ID' && parameters.has('RANGE'))
    throw new LineError(
      line,
      'RECURRENCE-ID with RANGE is not supported: end the series by UNTIL, and begin another',
    )
}

function stamp(property: Property, value: string, zone: string): Stamp {
  const { parameters, line, name } = property
  if (parameters.get('VALUE')?.toUpperCase() === 'PERIOD')
    throw new LineError(line, `${name}: periods are not supported`)
  const read = stampOf(value.trim())
  if (!read)
    throw new LineError(line, `${name}: "${value}" is not a date such as 20261224 or 20261224T180000Z`)
  if (parameters.get('VALUE')?.toUpperCase() === 'DATE' && !read.isDate)
    throw new LineError(line, `${name}: "${value}" is not a date, as VALUE=DATE says`)
  if (read.isUtc) return { ms: read.ms, isDate: false, zone: 'UTC' }
  const own = parameters.get('TZID') ?? zone
  if (!isZone(own))
    throw new LineError(line, `${name}: time zone "${own}" is not an IANA name such as Europe/Berlin`)
  return { ms: read.ms, isDate: read.isDate, zone: own }
}

/** Local ms of a stamp on the clocks of the event's own zone. */
function onClockOf(one: Stamp, start: Stamp, property: Property): number {
  if (one.isDate !== start.isDate)
    throw new LineError(property.line, `${property.name} and DTSTART must both be dates or both have times`)
  if (one.isDate || one.zone === start.zone) return one.ms
  return new LocalTime(start.zone).localMs(new LocalTime(one.zone).momentOf(one.ms))
}

function lengthOf(
  start: Stamp,
  one: ReadonlyMap<string, Property>,
  zone: string,
): { nominalMs: number; exactMs: number } {
  const [end, duration] = [one.get('DTEND'), one.get('DURATION')]
  if (end && duration) throw new LineError(duration.line, 'DTEND and DURATION cannot stand together')
  if (end) {
    const at = stamp(end, end.value, zone)
    const local = onClockOf(at, start, end)
    const exact = new LocalTime(at.zone).momentOf(at.ms) - new LocalTime(start.zone).momentOf(start.ms)
    if (start.isDate ? local <= start.ms : exact < 0)
      throw new LineError(end.line, 'DTEND must lie after DTSTART')
    return start.isDate ? { nominalMs: local - start.ms, exactMs: 0 } : { nominalMs: 0, exactMs: exact }
  }
  if (!duration) return { nominalMs: start.isDate ? DAY_MS : 0, exactMs: 0 }
  const match =
    /^\+?P(?:(\d{1,4})W|(?:(\d{1,5})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,7})M)?(?:(\d{1,8})S)?)?)$/.exec(
      duration.value,
    )
  const [weeks, days, hours, minutes, seconds] = (match ?? []).slice(1).map(part => Number(part ?? 0))
  const nominalMs = ((weeks ?? 0) * 7 + (days ?? 0)) * DAY_MS
  const exactMs = ((hours ?? 0) * 3600 + (minutes ?? 0) * 60 + (seconds ?? 0)) * 1000
  if (!match || nominalMs + exactMs === 0)
    throw new LineError(duration.line, `DURATION "${duration.value}" is not one such as PT2H, P1D or P1W`)
  return { nominalMs, exactMs }
}

function ruleOf(property: Property, start: Stamp): RecurrenceRule {
  const rule = recurrenceOf(property.value)
  if (typeof rule === 'string') throw new LineError(property.line, `RRULE: ${rule}`)
  // With a start on UTC clocks both are the same.
  return rule.untilIsMoment && start.zone === 'UTC' ? { ...rule, untilIsMoment: false } : rule
}

/** TEXT (3.3.11): escaped commas, semicolons, backslashes and line ends. */
function plain(value: string): string {
  return value.replace(/\\([\\;,nN])/g, (_, c: string) => (c === 'n' || c === 'N' ? ' ' : c)).trim()
}

/** Events without those cancelled; an occurrence that another event stands in for is left out of its series. */
function joined(parts: readonly Parts[]): IcsEvent[] {
  const moved = new Map<string, { ms: number; zone: string }[]>()
  for (const { uid, instead } of parts) {
    if (instead) moved.set(uid, [...(moved.get(uid) ?? []), instead])
  }
  return parts
    .filter(({ isCancelled }) => !isCancelled)
    .map(({ uid, name, line, instead, times }) => {
      const left = instead ? [] : (moved.get(uid) ?? [])
      if (left.length === 0) return { name, line, times }
      const clock = new LocalTime(times.zone)
      const local = left.map(({ ms, zone }) =>
        zone === times.zone ? ms : clock.localMs(new LocalTime(zone).momentOf(ms)),
      )
      return { name, line, times: { ...times, except: [...(times.except ?? []), ...local] } }
    })
}
