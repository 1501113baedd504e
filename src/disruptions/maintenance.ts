import { isOnceOver, Schedule } from '../core/calendar.ts'
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
    this.#configured = configured.flatMap(window => held(window) ?? [])
  }

  /** The reason when an order cannot be followed. An order given twice is followed once. */
  follow(order: MaintenanceOrder, nowMs: number): string | undefined {
    if (order.op === 'remove') {
      const known = this.#live.get(order.id)
      if (!known || known.window.tenant !== order.tenant) return `there is no live window ${order.id}`
      this.#live.delete(order.id)
      return undefined
    }
    const { window } = order
    const one = held(window)
    if (!one) return `maintenance window ${window.id} cannot be read here`
    this.#prune(nowMs, SHOWN_MS)
    // What is over is shown no longer where those to come need the room.
    if (this.#live.size >= WINDOWS_MAX) this.#prune(nowMs, 0)
    if (this.#live.size >= WINDOWS_MAX && !this.#live.has(window.id))
      return `more than ${WINDOWS_MAX} maintenance windows`
    this.#live.set(window.id, one)
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
    for (const window of windows) {
      const one = held(window)
      if (one) this.#live.set(window.id, one)
    }
  }

  #all(): Held[] {
    return [...this.#configured, ...this.#live.values()]
  }

  /** Lets go of what has been over for so long, ms. */
  #prune(nowMs: number, shownMs: number): void {
    for (const [id, { window }] of this.#live)
      if (isOnceOver(window.times, nowMs - shownMs)) this.#live.delete(id)
  }
}

/** Undefined where it cannot be read: processes of another version may know of zones that this one does not. */
function held(window: MaintenanceWindow): Held | undefined {
  try {
    const globs = window.entities.map(globOf)
    const schedule = new Schedule(window.times)
    return { window, schedule, covers: entity => globs.some(fits => fits(entity)) }
  } catch {
    return undefined
  }
}
