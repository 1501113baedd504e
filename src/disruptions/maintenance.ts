import { Schedule } from '../core/calendar.ts'
import type { MaintenanceOrder, MaintenanceState, MaintenanceWindow } from '../core/maintenance.ts'
import { globOf } from '../core/series-match.ts'

/** Windows held; further ones are refused. */
const WINDOWS_MAX = 1000
/** Windows ordered live stay visible this long after they are over, ms. */
const SHOWN_MS = 7 * 86_400_000

interface Held {
  readonly window: MaintenanceWindow
  readonly schedule: Schedule
  readonly covers: (entity: string) => boolean
}

/**
 * Maintenance windows, configured and ordered live. They may overlap: an entity is covered while any of its windows is on,
 * and no longer than that.
 */
export class Maintenance {
  readonly #configured: readonly Held[]
  readonly #live = new Map<string, Held>()

  constructor(configured: readonly MaintenanceWindow[] = []) {
    this.#configured = configured.map(held)
  }

  /** The reason when an order cannot be followed. An order given twice is followed once. */
  follow(order: MaintenanceOrder, nowMs: number): string | undefined {
    if (order.op === 'remove') {
      const known = this.#live.get(order.id)
      if (!known || known.window.tenant !== order.tenant) return `there is no live window ${order.id}`
      this.#live.delete(order.id)
      return undefined
    }
    this.#prune(nowMs)
    if (this.#live.size >= WINDOWS_MAX && !this.#live.has(order.window.id))
      return `more than ${WINDOWS_MAX} maintenance windows`
    this.#live.set(order.window.id, held(order.window))
    return undefined
  }

  /** Ids of the windows that are on and together cover every entity; none when one is left uncovered. */
  holds(tenant: string, entities: readonly string[], timeMs: number): string[] {
    const on = this.#all().filter(
      ({ window, schedule }) => window.tenant === tenant && schedule.isOn(timeMs, timeMs + 1),
    )
    if (on.length === 0 || entities.length === 0) return []
    if (!entities.every(entity => on.some(({ covers }) => covers(entity)))) return []
    return on.filter(({ covers }) => entities.some(covers)).map(({ window }) => window.id)
  }

  list(timeMs: number): MaintenanceState[] {
    return this.#all().map(({ window, schedule }) => {
      const untilMs = schedule.endOf(timeMs)
      return { window, isOn: untilMs !== undefined, untilMs }
    })
  }

  /** The live ones, JSON-safe. */
  saved(): MaintenanceWindow[] {
    return [...this.#live.values()].map(({ window }) => window)
  }

  restore(windows: readonly MaintenanceWindow[]): void {
    this.#live.clear()
    for (const window of windows) this.#live.set(window.id, held(window))
  }

  #all(): Held[] {
    return [...this.#configured, ...this.#live.values()]
  }

  /** Lets go of what has been over for long. */
  #prune(nowMs: number): void {
    for (const [id, { window, schedule }] of this.#live) {
      const { times } = window
      const isOnce = times.rule === undefined && (times.extra ?? []).length === 0
      const startMs = times.startMs + times.nominalMs + times.exactMs
      // Local times lie within a day of moments.
      if (isOnce && startMs + SHOWN_MS + 86_400_000 < nowMs && schedule.endOf(nowMs) === undefined)
        this.#live.delete(id)
    }
  }
}

function held(window: MaintenanceWindow): Held {
  const globs = window.entities.map(globOf)
  return { window, schedule: new Schedule(window.times), covers: entity => globs.some(fits => fits(entity)) }
}
