// Shows that calendar files are read as RFC 5545 says: folded lines, dates and times on any clocks, recurrence with
// exceptions, single occurrences moved or cancelled; days of 23 and 25 hours; and that every mistake names its line.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Schedule } from '../../src/core/calendar.ts'
import { type IcsEvent, readIcs } from '../../src/ingest/ics.ts'

const file = (...lines: string[]) =>
  ['BEGIN:VCALENDAR', 'VERSION:2.0', 'BEGIN:VEVENT', 'UID:1', ...lines, 'END:VEVENT', 'END:VCALENDAR'].join(
    '\r\n',
  )

function events(text: string, zone = 'UTC'): IcsEvent[] {
  const read = readIcs(text, zone)
  if (typeof read === 'string') throw new Error(read)
  return read
}
const isOn = (text: string, at: string, zone = 'UTC') =>
  events(text, zone).some(event => {
    const ms = Date.parse(at)
    return new Schedule(event.times).isOn(ms, ms + 1)
  })

describe('an .ics file', () => {
  it('unfolds lines and unescapes text', () => {
    const [event] = events(
      file('SUMMARY:Black\\, Fri', ' day\\; all', '\t hands', 'DTSTART;VALUE=DATE:20261127'),
    )
    expect(event).toMatchObject({ name: 'Black, Friday; all hands', line: 3 })
  })

  it('takes a date as the whole local day, of 23 and 25 hours too', () => {
    const spring = file('DTSTART;VALUE=DATE:20260329')
    expect(isOn(spring, '2026-03-28T22:59:59Z', 'Europe/Berlin')).toBe(false)
    expect(isOn(spring, '2026-03-28T23:00:00Z', 'Europe/Berlin')).toBe(true)
    expect(isOn(spring, '2026-03-29T21:59:59Z', 'Europe/Berlin')).toBe(true)
    expect(isOn(spring, '2026-03-29T22:00:00Z', 'Europe/Berlin')).toBe(false)
    const autumn = file('DTSTART;VALUE=DATE:20261025', 'DTEND;VALUE=DATE:20261026')
    expect(isOn(autumn, '2026-10-24T22:00:00Z', 'Europe/Berlin')).toBe(true)
    expect(isOn(autumn, '2026-10-25T22:59:59Z', 'Europe/Berlin')).toBe(true)
    expect(isOn(autumn, '2026-10-25T23:00:00Z', 'Europe/Berlin')).toBe(false)
  })

  it('keeps a nightly job at its local hour across a change of clocks', () => {
    const job = file(
      'DTSTART;TZID=Europe/Berlin:20260320T060000',
      'DURATION:PT30M',
      'RRULE:FREQ=DAILY;UNTIL=20260402T040000Z',
      'EXDATE;TZID=Europe/Berlin:20260325T060000',
    )
    expect(isOn(job, '2026-03-28T05:15:00Z')).toBe(true)
    expect(isOn(job, '2026-03-29T04:15:00Z')).toBe(true)
    expect(isOn(job, '2026-03-29T05:15:00Z')).toBe(false)
    expect(isOn(job, '2026-03-25T05:15:00Z')).toBe(false)
    expect(isOn(job, '2026-04-02T04:15:00Z')).toBe(true)
    expect(isOn(job, '2026-04-03T04:15:00Z')).toBe(false)
  })

  it('moves one occurrence, adds one and cancels one', () => {
    const text = [
      'BEGIN:VCALENDAR',
      'BEGIN:VTIMEZONE',
      'TZID:Europe/Berlin',
      'BEGIN:STANDARD',
      'DTSTART:19701025T030000',
      'END:STANDARD',
      'END:VTIMEZONE',
      'BEGIN:VEVENT',
      'UID:a',
      'DTSTART:20260105T100000Z',
      'DTEND:20260105T110000Z',
      'RRULE:FREQ=WEEKLY;COUNT=4',
      'RDATE:20260106T100000Z',
      'BEGIN:VALARM',
      'TRIGGER:-PT15M',
      'END:VALARM',
      'END:VEVENT',
      'BEGIN:VEVENT',
      'UID:a',
      'RECURRENCE-ID:20260112T100000Z',
      'DTSTART:20260112T150000Z',
      'DTEND:20260112T160000Z',
      'END:VEVENT',
      'BEGIN:VEVENT',
      'UID:a',
      'RECURRENCE-ID:20260119T100000Z',
      'STATUS:CANCELLED',
      'DTSTART:20260119T100000Z',
      'END:VEVENT',
      'END:VCALENDAR',
    ].join('\n')
    const on = (at: string) => isOn(text, at)
    expect(
      ['2026-01-05T10:30Z', '2026-01-06T10:30Z', '2026-01-12T15:30Z', '2026-01-26T10:30Z'].map(on),
    ).toEqual([true, true, true, true])
    expect(['2026-01-12T10:30Z', '2026-01-19T10:30Z', '2026-02-02T10:30Z'].map(on)).toEqual([
      false,
      false,
      false,
    ])
  })

  const mistakes: readonly (readonly [string, RegExp])[] = [
    ['', /line 1: a calendar begins with BEGIN:VCALENDAR/],
    ['BEGIN:VEVENT\nEND:VEVENT', /line 1: a calendar begins/],
    [file('SUMMARY:x'), /line 3: an event needs a DTSTART/],
    [file('DTSTART:2026-12-24'), /line 5: DTSTART: "2026-12-24" is not a date/],
    [file('DTSTART:20260230'), /line 5: DTSTART/],
    [
      file('DTSTART;TZID=W. Europe Standard Time:20260101T000000'),
      /line 5: .*"W. Europe Standard Time" is not an IANA name/,
    ],
    [file('DTSTART:20260101', 'DTSTART:20260102'), /line 6: DTSTART stands twice/],
    [file('DTSTART:20260101', 'DTEND:20260101'), /line 6: DTEND must lie after/],
    [file('DTSTART:20260101T100000Z', 'DURATION:10m'), /line 6: DURATION "10m"/],
    [file('DTSTART:20260101', 'RRULE:FREQ=SECONDLY'), /line 6: RRULE: FREQ must be/],
    [file('DTSTART:20260101', 'EXDATE:20260102T100000Z'), /line 6: EXDATE and DTSTART must both/],
    [
      file('DTSTART:20260101', 'RRULE:FREQ=DAILY', 'EXRULE:FREQ=WEEKLY'),
      /line 7: EXRULE is not supported.*EXDATE/,
    ],
    [
      file('DTSTART:20260105', 'RECURRENCE-ID;RANGE=THISANDFUTURE:20260104'),
      /line 6: RECURRENCE-ID with RANGE is not supported/,
    ],
    [file('DTSTART:20260101', 'no property'), /line 6: not a property/],
    [
      'BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101\nEND:VCALENDAR',
      /line 4: END:VCALENDAR does not end VEVENT/,
    ],
    ['BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101', /line 2: BEGIN:VEVENT has no END/],
  ]
  for (const [text, want] of mistakes) {
    it(`names the line: ${want.source}`, () => {
      expect(readIcs(text, 'UTC')).toMatch(want)
    })
  }

  it('reads any bytes as events or a reason, and asks for no more than it is given', () => {
    const line = fc.constantFrom(
      'DTSTART:20260101',
      'DTEND:20260102',
      'RRULE:FREQ=DAILY',
      'END:VEVENT',
      'BEGIN:VEVENT',
      'DURATION:P1D',
      'EXDATE:20260105',
      ' folded',
      'X;Y="a:b":c',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(line).map(lines => file(...lines)),
        ),
        text => {
          const read = readIcs(text, 'Europe/Berlin')
          if (typeof read === 'string') expect(read).toMatch(/^line \d+: /)
          else for (const { times } of read) expect(new Schedule(times).isOn(0, 1)).toBe(false)
        },
      ),
    )
  })
})
