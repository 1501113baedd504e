// Not a test: a service that scores in two threads, and a fleet whose store becomes slow in the end.
import { fleetBodies } from './fleet.ts'

const STEP_MS = 1000
const STEPS = 260
const FAULT = { service: 'store', fromStep: 200, toStep: 260, extraLatencyS: 0.4 }

export const WORKERS_CONFIG = {
  features: { step: '1s' },
  checkpoint: { every: '1h' },
  log: { level: 'warn' },
  detection: { workers: 2 },
}

/** A body a step, up to now; the last 60 are of the fault. */
export function bodiesUntilNow(): string[] {
  const fromMs = Math.floor(Date.now() / STEP_MS) * STEP_MS - STEPS * STEP_MS
  return [...fleetBodies({ fromMs, stepMs: STEP_MS, steps: STEPS, seed: 1, fault: FAULT })]
}
