import { DAY_MS } from './local-time.ts'

/** Recurrence rules of RFC 5545 (3.3.10), the parts that calendars of people use. Times are local, see LocalTime. */
export interface RecurrenceRule {
  readonly every: 'DAILY' | 'WEEKLY' | 'MONTHLY' | 'YEARLY'
  readonly interval: number
  readonly count?: number
  /** Last start that may be, local ms, or a moment when `untilIsMoment`. */
  readonly untilMs?: number
  readonly untilIsMoment?: boolean
  /** `ordinal` 0 is every such day; 2 the second, −1 the last of the month or year. `day` 0 is Sunday. */
  readonly byDay: readonly { readonly ordinal: number; readonly day: number }[]
  readonly byMonthDay: readonly number[]
  readonly byMonth: readonly number[]
  readonly weekStart: number
}

export const DAYS = ['SU', 'MO', 'TU', 'WE', 'TH', 'FR', 'SA'] as const
const FREQUENCIES = ['DAILY', 'WEEKLY', 'MONTHLY', 'YEARLY'] as const
/** Periods looked through for one question: a daily rule of 270 years. */
const PERIODS_MAX = 100_000
const INTERVAL_MAX = 10_000

/** Reads `FREQ=WEEKLY;BYDAY=MO,WE`; a text is the reason why it cannot be. */
export function recurrenceOf(text: string): RecurrenceRule | string {
  const parts = new Map<string, string>()
  for (const part of text.trim().split(';')) {
    const at = part.indexOf('=')
    if (at < 1) return `"${part}" is not NAME=VALUE`
    const name = part.slice(0, at).toUpperCase()
    if (parts.has(name)) return `${name} stands twice`
    parts.set(name, part.slice(at + 1).toUpperCase())
  }
  const known = ['FREQ', 'INTERVAL', 'COUNT', 'UNTIL', 'BYDAY', 'BYMONTHDAY', 'BYMONTH', 'WKST']
  const odd = [...parts.keys()].find(name => !known.includes(name))
  if (odd !== undefined) return `${odd} is not supported; ${known.join(', ')} are`
  const every = FREQUENCIES.find(one => one === parts.get('FREQ'))
  if (every === undefined) return `FREQ must be one of ${FREQUENCIES.join(', ')}`
  const interval = numbers(parts.get('INTERVAL') ?? '1', 1, INTERVAL_MAX)
  if (interval?.length !== 1) return 'INTERVAL must be a number of periods'
  const count = parts.has('COUNT') ? numbers(parts.get('COUNT') ?? '', 1, PERIODS_MAX) : []
  if (count === undefined || count.length > 1) return `COUNT must be 1 to ${PERIODS_MAX}`
  const byMonth = parts.has('BYMONTH') ? numbers(parts.get('BYMONTH') ?? '', 1, 12) : []
  if (byMonth === undefined) return 'BYMONTH must be months 1 to 12'
  const byMonthDay = parts.has('BYMONTHDAY') ? numbers(parts.get('BYMONTHDAY') ?? '', -31, 31) : []
  if (byMonthDay === undefined || byMonthDay.includes(0))
    return 'BYMONTHDAY must be days 1 to 31, or −1 to −31'
  if (byMonthDay.length > 0 && every === 'WEEKLY') return 'BYMONTHDAY cannot stand with FREQ=WEEKLY'
  const byDay = parts.has('BYDAY') ? daysOf(parts.get('BYDAY') ?? '') : []
  if (byDay === undefined) return 'BYDAY must be days such as MO,WE or, by month or year, 2MO or -1SU'
  if ((every === 'DAILY' || every === 'WEEKLY') && byDay.some(({ ordinal }) => ordinal !== 0))
    return `BYDAY takes no numbers with FREQ=${every}`
  const weekStart = parts.has('WKST') ? (DAYS as readonly string[]).indexOf(parts.get('WKST') ?? '') : 1
  if (weekStart < 0) return 'WKST must be a day such as MO'
  const until = parts.get('UNTIL')
  if (until !== undefined && count.length > 0) return 'UNTIL and COUNT cannot stand together'
  const end = until === undefined ? undefined : stampOf(until)
  if (until !== undefined && end === undefined)
    return 'UNTIL must be a date such as 20261224 or 20261224T180000Z'
  return {
    every,
    interval: interval[0],
    byDay,
    byMonthDay,
    byMonth,
    weekStart,
    ...(count.length > 0 ? { count: count[0] } : {}),
    ...(end === undefined
      ? {}
      : { untilMs: end.isDate ? end.ms + DAY_MS - 1 : end.ms, untilIsMoment: end.isUtc }),
  }
}

/** `20261224`, `20261224T180000` or `20261224T180000Z` → local ms (the moment, when in UTC); undefined when it is none. */
export function stampOf(
  text: string,
): { readonly ms: number; readonly isDate: boolean; readonly isUtc: boolean } | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?$/.exec(text)
  if (!match) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(part => Number(part ?? 0))
  const ms = Date.UTC(year, month - 1, day, hour, minute, Math.min(second, 59))
  const isReal = new Date(ms).getUTCDate() === day && hour < 24 && minute < 60 && second <= 60
  if (!isReal || new Date(ms).getUTCMonth() !== month - 1) return undefined
  return { ms, isDate: match[4] === undefined, isUtc: match[7] === 'Z' }
}

function numbers(text: string, least: number, most: number): number[] | undefined {
  const out = text.split(',').map(part => (/^[+-]?\d{1,6}$/.test(part) ? Number(part) : Number.NaN))
  return out.every(n => n >= least && n <= most) ? out : undefined
}

function daysOf(text: string): { ordinal: number; day: number }[] | undefined {
  const out = text.split(',').map(part => {
    const match = /^([+-]?\d{1,2})?(SU|MO|TU|WE|TH|FR|SA)$/.exec(part)
    const ordinal = Number(match?.[1] ?? 0)
    const isGood = match !== null && Math.abs(ordinal) <= 53 && (match[1] === undefined || ordinal !== 0)
    return isGood ? { ordinal, day: DAYS.indexOf(match[2] as (typeof DAYS)[number]) } : undefined
  })
  return out.every(one => one !== undefined) ? out : undefined
}

/**
 * Starts of a rule's occurrences from `fromMs` on, in order, `startMs` being the first that may be. It ends by itself
 * after PERIODS_MAX periods, so a rule that never comes true ends too. UNTIL is the caller's when it is a moment.
 */
export function* occurrences(rule: RecurrenceRule, startMs: number, fromMs: number): Generator<number> {
  const days = Math.floor(startMs / DAY_MS)
  const inDay = startMs - days * DAY_MS
  let period = rule.count === undefined ? skipped(rule, startMs, fromMs) : 0
  let count = 0
  for (let n = 0; n < PERIODS_MAX; n++, period++) {
    for (const day of daysOfPeriod(rule, days, period)) {
      const at = day * DAY_MS + inDay
      if (at < startMs) continue
      if (rule.untilMs !== undefined && !rule.untilIsMoment && at > rule.untilMs) return
      if (rule.count !== undefined && ++count > rule.count) return
      if (at >= fromMs) yield at
    }
  }
}

/** Longest of each period, days. */
const PERIOD_DAYS = { DAILY: 1, WEEKLY: 7, MONTHLY: 31, YEARLY: 366 } as const

/** Periods that lie before `fromMs` for certain. */
function skipped({ every, interval }: RecurrenceRule, startMs: number, fromMs: number): number {
  const whole = Math.floor((fromMs - startMs) / (PERIOD_DAYS[every] * DAY_MS * interval))
  return Math.max(0, whole - 1)
}

/** Day numbers since 1970 of one period, ascending. */
function daysOfPeriod(rule: RecurrenceRule, first: number, period: number): number[] {
  const step = period * rule.interval
  switch (rule.every) {
    case 'DAILY': {
      const day = first + step
      const fits = rule.byDay.length === 0 || rule.byDay.some(one => one.day === weekday(day))
      return fits && inMonths(rule, day) && onMonthDays(rule, day) ? [day] : []
    }
    case 'WEEKLY': {
      const week = first - ((weekday(first) - rule.weekStart + 7) % 7) + 7 * step
      const wanted = rule.byDay.length === 0 ? [weekday(first)] : rule.byDay.map(one => one.day)
      return range(week, week + 7).filter(day => wanted.includes(weekday(day)) && inMonths(rule, day))
    }
    case 'MONTHLY': {
      const start = new Date(first * DAY_MS)
      const month = start.getUTCFullYear() * 12 + start.getUTCMonth() + step
      return inMonths(rule, monthStart(month)) ? daysOfMonth(rule, month, start.getUTCDate()) : []
    }
    case 'YEARLY':
      return daysOfYear(rule, new Date(first * DAY_MS), step)
  }
}

function daysOfYear(rule: RecurrenceRule, start: Date, step: number): number[] {
  const year = start.getUTCFullYear() + step
  const own = start.getUTCMonth()
  if (rule.byMonth.length > 0)
    return range(0, 12)
      .filter(month => rule.byMonth.includes(month + 1))
      .flatMap(month => daysOfMonth(rule, year * 12 + month, start.getUTCDate()))
  if (rule.byMonthDay.length > 0)
    return range(0, 12).flatMap(month => daysOfMonth(rule, year * 12 + month, start.getUTCDate()))
  if (rule.byDay.length > 0) return byDays(rule, monthStart(year * 12), monthStart(year * 12 + 12))
  return daysOfMonth(rule, year * 12 + own, start.getUTCDate())
}

function daysOfMonth(rule: RecurrenceRule, month: number, ownDay: number): number[] {
  const [from, to] = [monthStart(month), monthStart(month + 1)]
  const days = rule.byDay.length > 0 ? byDays(rule, from, to) : range(from, to)
  if (rule.byMonthDay.length > 0) return days.filter(day => onMonthDays(rule, day))
  return rule.byDay.length > 0 ? days : days.filter(day => day - from + 1 === ownDay)
}

/** The days of [from, to) that BYDAY names, ordinals counted within it. */
function byDays({ byDay }: RecurrenceRule, from: number, to: number): number[] {
  return range(from, to).filter(day =>
    byDay.some(one => {
      if (one.day !== weekday(day)) return false
      if (one.ordinal === 0) return true
      const place = one.ordinal > 0 ? Math.floor((day - from) / 7) + 1 : -Math.floor((to - 1 - day) / 7) - 1
      return place === one.ordinal
    }),
  )
}

function onMonthDays({ byMonthDay }: RecurrenceRule, day: number): boolean {
  if (byMonthDay.length === 0) return true
  const date = new Date(day * DAY_MS)
  const month = date.getUTCFullYear() * 12 + date.getUTCMonth()
  const place = day - monthStart(month) + 1
  return byMonthDay.some(one => one === place || one === day - monthStart(month + 1))
}

function inMonths({ byMonth }: RecurrenceRule, day: number): boolean {
  return byMonth.length === 0 || byMonth.includes(new Date(day * DAY_MS).getUTCMonth() + 1)
}

/** Day number of the first of a month, counted from year 0. */
function monthStart(month: number): number {
  return Date.UTC(Math.floor(month / 12), ((month % 12) + 12) % 12, 1) / DAY_MS
}

/** 0 is Sunday; 1970 began on a Thursday. */
export function weekday(day: number): number {
  return (((day + 4) % 7) + 7) % 7
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}
