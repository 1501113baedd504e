import type { ServiceName } from './plan.ts'

/** What a lab process is told at birth, as JSON in its environment under `SETTINGS_VARIABLE`. */
export interface ServiceSettings {
  readonly role: ServiceName | 'load'
  /** `checkout-2`; service.instance.id. */
  readonly instance: string
  readonly version: number
  /** 0 lets the system choose; a restarted service takes its old port again. */
  readonly port: number
  readonly seed: number
  /** Foreshock's OTLP endpoint, `…/v1/metrics`. */
  readonly metricsUrl: string
  readonly headers: Readonly<Record<string, string>>
  readonly exportEveryMs: number
  /** False while the fleet warms up: what a process does in its first seconds is not how it lives. */
  readonly exporting: boolean
  /** Every control request carries it: other programs of this machine have no say in the fleet. */
  readonly token: string
}

export const SETTINGS_VARIABLE = 'FORESHOCK_LAB_SERVICE'
export const CONTROL_PATH = '/lab/control'
export const TOKEN_HEADER = 'x-lab-token'

/** What can be turned while a process runs. The resting values are a healthy service. */
export interface Switches {
  /** Base URLs per service called; the load generator has only `edge`. */
  routes: Readonly<Record<string, readonly string[]>>
  /** Store: how long the disk takes per operation, ms. */
  diskWaitMs: number
  /** Payments: how many of its `KEY_SLOTS` signing keys are corrupt. */
  corruptKeys: number
  /** Share of one core that a runaway loop takes, 0..0.95. */
  burnShare: number
  /** Bytes that every request leaves behind. */
  leakBytesPerRequest: number
  /** One request in this many never gives its slot back; 0 is never. */
  leakSlotEvery: number
  /** Accepts connections, answers nothing, exports nothing. */
  silent: boolean
  exporting: boolean
  /** Load generator: arrivals a second before rhythm and factor; 0 is quiet. */
  requestsPerSecond: number
  trafficFactor: number
  rhythmPeriodSeconds: number
  /** Share of the mean by which the rhythm rises and falls. */
  rhythmAmplitude: number
}

/** Healthy disk wait per operation, ms: a fast network disk. */
const DISK_WAIT_MS = 3

export const RESTING: Readonly<Switches> = {
  routes: {},
  diskWaitMs: DISK_WAIT_MS,
  corruptKeys: 0,
  burnShare: 0,
  leakBytesPerRequest: 0,
  leakSlotEvery: 0,
  silent: false,
  exporting: true,
  requestsPerSecond: 0,
  trafficFactor: 1,
  rhythmPeriodSeconds: 600,
  rhythmAmplitude: 0.25,
}

/** The fields that a fault may turn; healing sets them all back. */
export const HEALED: Partial<Switches> = {
  diskWaitMs: RESTING.diskWaitMs,
  corruptKeys: 0,
  burnShare: 0,
  leakBytesPerRequest: 0,
  leakSlotEvery: 0,
  silent: false,
}

/** What a process answers on its control endpoint: counts since it started. */
export interface ServiceStatus {
  readonly instance: string
  readonly version: number
  readonly requests: number
  readonly errors: number
  /** Load generator: arrivals dropped because too many were in flight. */
  readonly dropped: number
}
