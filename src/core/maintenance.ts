import type { CalendarTimes } from './calendar.ts'

/** A time in which disruptions of some entities are expected: recorded, and told to nobody. */
export interface MaintenanceWindow {
  readonly id: string
  readonly name: string
  readonly tenant: string
  /** Globs; an entity that matches any is covered. */
  readonly entities: readonly string[]
  readonly times: CalendarTimes
  /** Who set it up: a key's id, or `configuration`. */
  readonly by: string
}

/** What an envelope of kind `maintenance` orders. */
export type MaintenanceOrder =
  | { readonly op: 'add'; readonly window: MaintenanceWindow }
  | { readonly op: 'remove'; readonly id: string; readonly tenant: string }

/** A window and how it stands. */
export interface MaintenanceState {
  readonly window: MaintenanceWindow
  readonly isOn: boolean
  /** End of the occurrence that is on, Unix ms. */
  readonly untilMs: number | undefined
}
