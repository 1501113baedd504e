// Shows that what people configure about alerts becomes options of the stages: lists and .ics files, times on local
// clocks, and mistakes named with their key, file and line.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { calendarOf, maintenanceOf, policyOptions } from '../src/alerting.ts'
import { configDigest } from '../src/assembly.ts'
import { parseConfig } from '../src/config.ts'
import { Schedule } from '../src/core/calendar.ts'

const folder = mkdtempSync(join(tmpdir(), 'foreshock-alerting-'))
const ics = (name: string, ...lines: string[]) => {
  const path = join(folder, name)
  writeFileSync(
    path,
    ['BEGIN:VCALENDAR', 'BEGIN:VEVENT', ...lines, 'END:VEVENT', 'END:VCALENDAR'].join('\r\n'),
  )
  return path
}
const detection = (more: object) => parseConfig({ detection: more }).detection

describe('alerting configuration', () => {
  it('is nothing by default', () => {
    expect(policyOptions(detection({}))).toBeUndefined()
    expect(policyOptions(detection({ timeZone: 'Europe/Berlin' }))).toBeUndefined()
  })

  it('takes rules, budgets, entries and files', () => {
    const file = ics('holidays.ics', 'SUMMARY:Unity', 'DTSTART;VALUE=DATE:20261003')
    const options = policyOptions(
      detection({
        timeZone: 'Europe/Berlin',
        budget: 3,
        rules: [{ metric: 'x', refractory: '12h', atLeast: { up: { relative: 0.5 } } }],
        budgets: [{ name: 'a', alertsPerWeek: 1, group: { team: 'a' } }],
        calendar: [
          { file, effect: 'like', like: 'sunday' },
          {
            name: 'batch',
            from: '2026-03-01T06:00',
            to: '2026-03-01T07:00',
            every: 'weekday',
            metric: 'cpu*',
          },
        ],
      }),
    )
    expect(options).toMatchObject({ budget: 3, rules: [{ metric: 'x', refractoryMs: 43_200_000 }] })
    const [holiday, batch] = options?.calendar ?? []
    expect(holiday).toMatchObject({ name: 'Unity', effect: 'like', like: 0 })
    const on = (text: string) => new Schedule(batch.times).isOn(Date.parse(text), Date.parse(text) + 1)
    // Six in the morning before and after clocks change; not on a Sunday.
    expect(
      ['2026-03-27T05:30Z', '2026-03-30T04:30Z', '2026-03-30T05:30Z', '2026-03-29T04:30Z'].map(on),
    ).toEqual([true, true, false, false])
  })

  it('counts what a calendar file says into the digest of the configuration', () => {
    const file = ics('one.ics', 'DTSTART:20261003T100000Z')
    const config = parseConfig({ detection: { calendar: file } })
    const before = configDigest(config)
    expect(configDigest(config)).toBe(before)
    ics('one.ics', 'DTSTART:20261004T100000Z')
    expect(configDigest(config)).not.toBe(before)
  })

  it('names mistakes', () => {
    const bad = ics('bad.ics', 'DTSTART:tomorrow')
    expect(() => calendarOf(detection({ calendar: bad }))).toThrow(
      /detection\.calendar: .*bad\.ics: line 3: DTSTART/,
    )
    expect(() => calendarOf(detection({ calendar: join(folder, 'none.ics') }))).toThrow(/cannot be read/)
    const entry = (more: object) => () =>
      calendarOf(detection({ calendar: [{ name: 'x', from: '2026-01-01', ...more }] }))
    expect(entry({ from: '2026-02-30' })).toThrow(/detection\.calendar\.0: from "2026-02-30"/)
    expect(entry({ every: 'fortnight' })).toThrow(/detection\.calendar\.0\.every: must be one of day/)
    expect(entry({ every: 'FREQ=DAILY;BYSETPOS=1' })).toThrow(/every: BYSETPOS is not supported/)
    expect(entry({ effect: 'like' })).toThrow(/like: sunday/)
    expect(entry({ file: 'x.ics' })).toThrow(/is either `file/)
    expect(() => detection({ timeZone: 'CEST2' })).toThrow(/detection\.timeZone: must be the IANA name/)
    expect(() => detection({ rules: [{ budget: 1 }] })).toThrow(/name a series, metric or group/)
    expect(() => detection({ budget: 0 })).toThrow(/more than no alert/)
  })

  it('makes maintenance windows', () => {
    const config = parseConfig({
      maintenance: [{ name: 'w', from: '2026-03-01', every: 'week', entity: 'db*' }],
    })
    expect(maintenanceOf(config)).toMatchObject([
      { entities: ['db*'], tenant: 'default', by: 'configuration' },
    ])
    const wrong = parseConfig({ maintenance: [{ name: 'w', from: 'x', entity: 'db*' }] })
    expect(() => maintenanceOf(wrong)).toThrow(/maintenance\.0: from "x"/)
  })
})
