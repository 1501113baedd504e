import { type CalendarEntry, Schedule } from '../core/calendar.ts'
import { DAY_MS, LocalTime } from '../core/local-time.ts'
import { weekday } from '../core/recurrence.ts'
import type { SeriesRows } from '../core/series.ts'
import type { AlertingReport } from '../core/stages.ts'
import type { Ruling } from './alert-rules.ts'
import { type LikeDay, WeekMemory } from './week-memory.ts'

/** What the calendar makes of a window for the series of a ruling. */
export const PLAIN = 0
export const SUPPRESSED = 1
export const LIKE = 2

/**
 * The calendar as a policy asks for it: worked out once a window for each ruling (a place in the list of rulings), with
 * what weekdays of the series named were like.
 */
export class AlertCalendar {
  readonly memory: WeekMemory
  /** For the window looked at, by ruling: PLAIN, SUPPRESSED or LIKE. */
  effects = new Uint8Array(0)
  /** Windows each entry kept from alerting. */
  readonly kept: Float64Array
  readonly #entries: readonly CalendarEntry[]
  readonly #schedules: readonly Schedule[]
  readonly #clock: LocalTime
  readonly #stepMs: number
  /** The entry that says so, by ruling. */
  #entryOf = new Uint16Array(0)

  constructor(entries: readonly CalendarEntry[], timeZone: string, series: SeriesRows, stepMs: number) {
    this.#entries = entries
    this.#schedules = entries.map(entry => new Schedule(entry.times))
    this.#clock = new LocalTime(timeZone)
    this.#stepMs = stepMs
    this.memory = new WeekMemory(series, stepMs)
    this.kept = new Float64Array(entries.length)
  }

  /** Looks at the window that ends then, for these rulings. */
  look(windowEndMs: number, rulings: readonly Ruling[]): void {
    if (this.effects.length < rulings.length) {
      this.effects = new Uint8Array(2 * rulings.length)
      this.#entryOf = new Uint16Array(2 * rulings.length)
    }
    const from = windowEndMs - this.#stepMs
    const on = this.#schedules.map(schedule => schedule.isOn(from, windowEndMs))
    for (const [r, { events }] of rulings.entries()) {
      const active = events.filter(e => on[e])
      const suppressing = active.find(e => this.#entries[e].effect === 'suppress')
      this.effects[r] = suppressing !== undefined ? SUPPRESSED : active.length > 0 ? LIKE : PLAIN
      this.#entryOf[r] = suppressing ?? active[0] ?? 0
    }
  }

  /** Counts a row's window where the calendar has a say in it. */
  count(place: number): void {
    if (this.effects[place] !== PLAIN) this.kept[this.#entryOf[place]]++
  }

  /** What the weekday that the window of a LIKE ruling counts as makes of a value; false when that day is not known yet. */
  compare(row: number, place: number, value: number, endMs: number, out: LikeDay): boolean {
    const startMs = this.#clock.localMs(endMs - this.#stepMs)
    const day = this.#entries[this.#entryOf[place]].like ?? 0
    return this.memory.read(row, day, startMs - Math.floor(startMs / DAY_MS) * DAY_MS, value, out)
  }

  /** Learns of a series that some entry may compare with a weekday. A day that counts as a Sunday teaches what Sundays are like. */
  remember(row: number, place: number, { events }: Ruling, value: number, endMs: number): void {
    if (!events.some(e => this.#entries[e].effect === 'like')) return
    const startMs = this.#clock.localMs(endMs - this.#stepMs)
    const day = Math.floor(startMs / DAY_MS)
    const like = this.effects[place] === LIKE ? this.#entries[this.#entryOf[place]].like : undefined
    this.memory.learn(row, like ?? weekday(day), startMs - day * DAY_MS, value)
  }

  /** `series`: how many an entry matches, by its place in the configuration. */
  report(nowMs: number, series: (entry: number) => number): AlertingReport['calendar'] {
    return this.#entries.map(({ name, effect }, i) => ({
      name,
      effect,
      series: series(i),
      isOn: this.#schedules[i].isOn(nowMs - this.#stepMs, nowMs),
      windows: this.kept[i],
    }))
  }
}
