import { readFileSync } from 'node:fs'
import type { Config } from './config/schema.ts'
import { type CalendarEntry, type CalendarTimes, timesOf } from './core/calendar.ts'
import { ForeshockError } from './core/errors.ts'
import { contentId } from './core/identity.ts'
import type { MaintenanceWindow } from './core/maintenance.ts'
import { type RecurrenceRule, recurrenceOf } from './core/recurrence.ts'
import type { SeriesMatch } from './core/series-match.ts'
import type { PolicyOptions } from './detectors/alert-policy.ts'
import { readIcs } from './ingest/ics.ts'

/** What the configuration says about alerts, in the terms of the stages: rules, budgets, calendar, maintenance. */

type Detection = Config['detection']
type Entry = Exclude<Detection['calendar'], string>[number]

const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday']
/** An .ics file is read whole; larger ones are no calendars of people, bytes. */
const ICS_BYTES_MAX = 16 * 1_048_576

const EVERY: Readonly<Record<string, string>> = {
  day: 'FREQ=DAILY',
  weekday: 'FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR',
  week: 'FREQ=WEEKLY',
  month: 'FREQ=MONTHLY',
  year: 'FREQ=YEARLY',
}

/** Undefined when nothing is configured: then every series is treated alike. Throws FS_CONFIG_INVALID. */
export function policyOptions(detection: Detection): PolicyOptions | undefined {
  const calendar = calendarOf(detection)
  const { rules, budget, budgets, timeZone } = detection
  if (rules.length === 0 && budgets.length === 0 && budget === undefined && calendar.length === 0)
    return undefined
  return {
    rules: rules.map(({ refractory, ...rule }) => ({ ...rule, refractoryMs: refractory })),
    budget,
    budgets,
    calendar,
    timeZone,
  }
}

/** The calendar's entries, files read. */
export function calendarOf({ calendar, timeZone }: Detection): CalendarEntry[] {
  const entries = typeof calendar === 'string' ? [{ file: calendar, effect: 'suppress' } as Entry] : calendar
  return entries.flatMap((entry, i) => {
    const where = typeof calendar === 'string' ? 'detection.calendar' : `detection.calendar.${i}`
    const { effect, like } = entry
    const common = {
      ...matchOf(entry),
      effect,
      ...(like === undefined ? {} : { like: WEEKDAYS.indexOf(like) }),
    }
    if (entry.file === undefined)
      return [{ ...common, name: entry.name ?? '', times: spanOf(entry, timeZone, where) }]
    return eventsOf(entry.file, timeZone, where).map(({ name, times }) => ({ ...common, name, times }))
  })
}

function eventsOf(file: string, zone: string, where: string) {
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
  } catch (error) {
    throw new ForeshockError(
      'FS_CONFIG_INVALID',
      `${where}: ${file} cannot be read (${(error as Error).message})`,
    )
  }
  if (bytes.length > ICS_BYTES_MAX)
    throw new ForeshockError('FS_CONFIG_INVALID', `${where}: ${file} is larger than ${ICS_BYTES_MAX} bytes`)
  const events = readIcs(bytes.toString('utf8'), zone)
  if (typeof events === 'string')
    throw new ForeshockError('FS_CONFIG_INVALID', `${where}: ${file}: ${events}`)
  return events
}

function matchOf({ series, tenant, metric, group }: SeriesMatch): SeriesMatch {
  return { series, tenant, metric, group }
}

/** `from`, `to` and `every` as times on the zone's clocks. */
function spanOf(
  { from, to, every }: { from?: string | undefined; to?: string | undefined; every?: string | undefined },
  zone: string,
  where: string,
): CalendarTimes {
  const times = timesOf(from ?? '', to, zone)
  if (typeof times === 'string') throw new ForeshockError('FS_CONFIG_INVALID', `${where}: ${times}`)
  return every === undefined ? times : { ...times, rule: ruleOf(every, where) }
}

function ruleOf(every: string, where: string): RecurrenceRule {
  const rule = recurrenceOf(EVERY[every] ?? every)
  if (typeof rule === 'string') throw new ForeshockError('FS_CONFIG_INVALID', `${where}.every: ${rule}`)
  return rule
}

/** Maintenance windows of the configuration. Throws FS_CONFIG_INVALID. */
export function maintenanceOf({ maintenance, detection }: Config): MaintenanceWindow[] {
  return maintenance.map(({ name, entity, tenant, ...span }, i) => {
    const times = spanOf(span, detection.timeZone, `maintenance.${i}`)
    const entities = typeof entity === 'string' ? [entity] : entity
    const id = contentId('mw', tenant, name, ...entities, JSON.stringify(times))
    return { id, name, tenant, entities, times, by: 'configuration' }
  })
}
