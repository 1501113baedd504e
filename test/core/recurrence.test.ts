// Shows that recurrence rules give the dates of RFC 5545's own examples (3.8.5.3), that starting late gives the same as
// starting early, that every rule ends or can be left off, and that what is not supported is refused by name.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { occurrences, type RecurrenceRule, recurrenceOf } from '../../src/core/recurrence.ts'

const rule = (text: string): RecurrenceRule => {
  const read = recurrenceOf(text)
  if (typeof read === 'string') throw new Error(read)
  return read
}
const dates = (text: string, start: string, count: number) => {
  const out: string[] = []
  const from = Date.parse(`${start}Z`)
  for (const at of occurrences(rule(text), from, from)) {
    if (out.length === count) break
    out.push(new Date(at).toISOString().slice(0, 10))
  }
  return out.join(' ')
}
const START = '1997-09-02T09:00'

describe('recurrence', () => {
  const examples: readonly (readonly [string, string, number, string])[] = [
    ['FREQ=DAILY;COUNT=3', START, 9, '1997-09-02 1997-09-03 1997-09-04'],
    ['FREQ=DAILY;INTERVAL=10;COUNT=3', START, 9, '1997-09-02 1997-09-12 1997-09-22'],
    ['FREQ=DAILY;UNTIL=19970904', START, 9, '1997-09-02 1997-09-03 1997-09-04'],
    ['FREQ=WEEKLY;INTERVAL=2;WKST=SU', START, 4, '1997-09-02 1997-09-16 1997-09-30 1997-10-14'],
    ['FREQ=WEEKLY;COUNT=4;WKST=SU;BYDAY=TU,TH', START, 9, '1997-09-02 1997-09-04 1997-09-09 1997-09-11'],
    [
      'FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO',
      '1997-08-05T09:00',
      9,
      '1997-08-05 1997-08-10 1997-08-19 1997-08-24',
    ],
    [
      'FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU',
      '1997-08-05T09:00',
      9,
      '1997-08-05 1997-08-17 1997-08-19 1997-08-31',
    ],
    ['FREQ=MONTHLY;COUNT=3;BYDAY=1FR', '1997-09-05T09:00', 9, '1997-09-05 1997-10-03 1997-11-07'],
    ['FREQ=MONTHLY;COUNT=3;BYDAY=-2MO', '1997-09-22T09:00', 9, '1997-09-22 1997-10-20 1997-11-17'],
    ['FREQ=MONTHLY;BYMONTHDAY=-3', '1997-09-28T09:00', 3, '1997-09-28 1997-10-29 1997-11-28'],
    ['FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13', START, 3, '1998-02-13 1998-03-13 1998-11-13'],
    ['FREQ=MONTHLY', '1997-10-31T09:00', 3, '1997-10-31 1997-12-31 1998-01-31'],
    ['FREQ=YEARLY;COUNT=3;BYMONTH=6,7', '1997-06-10T09:00', 9, '1997-06-10 1997-07-10 1998-06-10'],
    ['FREQ=YEARLY;BYDAY=20MO', '1997-05-19T09:00', 3, '1997-05-19 1998-05-18 1999-05-17'],
    ['FREQ=YEARLY;BYDAY=TH;BYMONTH=3', '1997-03-13T09:00', 4, '1997-03-13 1997-03-20 1997-03-27 1998-03-05'],
    [
      'FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8',
      '1996-11-05T09:00',
      3,
      '1996-11-05 2000-11-07 2004-11-02',
    ],
    ['FREQ=YEARLY', '1996-02-29T09:00', 2, '1996-02-29 2000-02-29'],
  ]
  for (const [text, start, count, want] of examples) {
    it(`${text} from ${start}`, () => {
      expect(dates(text, start, count)).toBe(want)
    })
  }

  it('starts late as it would have gone on, and ends when it can never be', () => {
    const start = Date.parse(`${START}Z`)
    for (const [text] of examples) {
      const all = [...taken(occurrences(rule(text), start, start), 30)]
      const late = all[Math.floor(all.length / 2)]
      const some = [...taken(occurrences(rule(text), start, late), 30)]
      expect(some.slice(0, all.filter(at => at >= late).length)).toEqual(all.filter(at => at >= late))
    }
    expect([...occurrences(rule('FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30'), start, start)]).toEqual([])
  })

  it('names what it does not take', () => {
    expect(recurrenceOf('FREQ=HOURLY')).toMatch(/FREQ must be one of DAILY/)
    expect(recurrenceOf('FREQ=MONTHLY;BYSETPOS=1;BYDAY=MO')).toMatch(/BYSETPOS is not supported/)
    expect(recurrenceOf('FREQ=DAILY;INTERVAL=0')).toMatch(/INTERVAL/)
    expect(recurrenceOf('FREQ=DAILY;COUNT=2;UNTIL=20270101')).toMatch(/cannot stand together/)
    expect(recurrenceOf('FREQ=WEEKLY;BYDAY=2MO')).toMatch(/takes no numbers/)
    expect(recurrenceOf('FREQ=DAILY;UNTIL=20260230')).toMatch(/UNTIL/)
  })

  it('reads any text as a rule or a reason', () => {
    const part = fc.constantFrom(
      'FREQ=DAILY',
      'COUNT=3',
      'BYDAY=MO',
      'INTERVAL=2',
      'UNTIL=x',
      '=',
      ';',
      'WKST=SU',
      'BYMONTH=13',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(part).map(all => all.join(';')),
        ),
        text => {
          const read = recurrenceOf(text)
          if (typeof read === 'string') expect(read.length).toBeGreaterThan(5)
          else for (const at of taken(occurrences(read, 0, 0), 5)) expect(Number.isInteger(at)).toBe(true)
        },
      ),
    )
  })
})

function* taken<T>(from: Iterable<T>, count: number): Generator<T> {
  let left = count
  for (const one of from) {
    if (left-- <= 0) return
    yield one
  }
}
