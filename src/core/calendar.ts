import { DAY_MS, LocalTime } from './local-time.ts'
import { occurrences, type RecurrenceRule } from './recurrence.ts'
import type { SeriesMatch } from './series-match.ts'

/** When something is: once, or again and again by a rule, on the clocks of a zone. */
export interface CalendarTimes {
  readonly zone: string
  /** Start of the first, local ms (see LocalTime). */
  readonly startMs: number
  /** Length on the clocks, which a day of 23 or 25 hours does not change, and exact length after it, ms. */
  readonly nominalMs: number
  readonly exactMs: number
  readonly rule?: RecurrenceRule
  /** Further starts, and starts that are left out, local ms. */
  readonly extra?: readonly number[]
  readonly except?: readonly number[]
}

/** A known event: its windows are left alone, or compared with another day of the week (0 is Sunday). */
export interface CalendarEntry extends SeriesMatch {
  readonly name: string
  readonly times: CalendarTimes
  readonly effect: 'suppress' | 'like'
  readonly like?: number
}

/** Occurrences are worked out for a stretch of time at once, ms. */
const STRETCH_MS = 64 * DAY_MS
/** Occurrences of one stretch: every hour of it, and more. */
const STRETCH_OCCURRENCES_MAX = 10_000

/** Answers whether something is on at a moment. The same question always has the same answer. */
export class Schedule {
  readonly #times: CalendarTimes
  readonly #clock: LocalTime
  readonly #except: ReadonlySet<number>
  #stretch = Number.NaN
  #spans: (readonly [fromMs: number, toMs: number])[] = []

  constructor(times: CalendarTimes) {
    this.#times = times
    this.#clock = new LocalTime(times.zone)
    this.#except = new Set(times.except)
  }

  /** Whether any part of [fromMs, toMs) lies in an occurrence. */
  isOn(fromMs: number, toMs: number): boolean {
    return this.#endAfter(fromMs, toMs) !== undefined
  }

  /** End of the occurrence that is on at a moment, Unix ms. */
  endOf(timeMs: number): number | undefined {
    return this.#endAfter(timeMs, timeMs + 1)
  }

  #endAfter(fromMs: number, toMs: number): number | undefined {
    if (!Number.isFinite(fromMs)) return undefined
    let end: number | undefined
    for (const [from, to] of this.#spansOf(fromMs, toMs)) {
      if (from < toMs && to > fromMs && (end === undefined || to > end)) end = to
    }
    return end
  }

  #spansOf(fromMs: number, toMs: number): readonly (readonly [number, number])[] {
    if (toMs - fromMs > DAY_MS) return this.#work(fromMs, toMs)
    const stretch = Math.floor(fromMs / STRETCH_MS)
    if (stretch !== this.#stretch) {
      this.#stretch = stretch
      this.#spans = this.#work(stretch * STRETCH_MS, (stretch + 1) * STRETCH_MS + DAY_MS)
    }
    return this.#spans
  }

  #work(fromMs: number, toMs: number): (readonly [number, number])[] {
    const { startMs, nominalMs, exactMs, rule, extra = [] } = this.#times
    const reach = nominalMs + exactMs + 2 * DAY_MS
    const starts = new Set<number>(rule ? [] : [startMs])
    if (rule) {
      for (const start of occurrences(rule, startMs, fromMs - reach)) {
        if (start > toMs + 2 * DAY_MS || starts.size >= STRETCH_OCCURRENCES_MAX) break
        if (rule.untilIsMoment && this.#clock.momentOf(start) > (rule.untilMs ?? 0)) break
        starts.add(start)
      }
    }
    for (const start of extra) starts.add(start)
    return [...starts]
      .filter(start => !this.#except.has(start))
      .map(start => {
        const from = this.#clock.momentOf(start)
        const end = nominalMs === 0 ? from : this.#clock.momentOf(start + nominalMs)
        return [from, end + exactMs] as const
      })
      .filter(([from, to]) => to > fromMs && from < toMs)
  }
}

/** Whether what is once was over a day before a moment, Unix ms, wherever its clocks are. */
export function isOnceOver(
  { startMs, nominalMs, exactMs, rule, extra = [] }: CalendarTimes,
  timeMs: number,
): boolean {
  return rule === undefined && extra.length === 0 && startMs + nominalMs + exactMs + DAY_MS < timeMs
}

const MOMENT = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(Z|[+-]\d\d:\d\d)?)?$/

/**
 * Times as people write them in a configuration: `2026-12-24`, `2026-12-24T18:00` on the zone's clocks, or with an
 * offset. A day as `to` is meant whole. A text is the reason why they cannot be.
 */
export function timesOf(from: string, to: string | undefined, zone: string): CalendarTimes | string {
  const clock = new LocalTime(zone)
  const start = localOf(from, clock)
  if (start === undefined) return `from "${from}" must be 2026-12-24, 2026-12-24T18:00 or with an offset`
  const end = localOf(to ?? from, clock)
  if (end === undefined) return `to "${to}" must be 2026-12-24, 2026-12-24T18:00 or with an offset`
  const endMs = end.isDate ? end.ms + DAY_MS : end.ms
  if (endMs <= start.ms) return 'to must lie after from'
  return { zone, startMs: start.ms, nominalMs: endMs - start.ms, exactMs: 0 }
}

function localOf(text: string, clock: LocalTime): { ms: number; isDate: boolean } | undefined {
  const match = MOMENT.exec(text.trim())
  if (!match) return undefined
  const [, day, time, offset] = match
  const ms = Date.parse(`${day}T${time ?? '00:00'}${offset ?? 'Z'}`)
  if (Number.isNaN(ms) || new Date(Date.parse(`${day}T00:00Z`)).toISOString().slice(0, 10) !== day)
    return undefined
  return { ms: offset === undefined ? ms : clock.localMs(ms), isDate: time === undefined }
}
