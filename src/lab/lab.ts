import { setTimeout as pause } from 'node:timers/promises'
import { FAULTS, type Fault, type FaultKind, type Site } from './faults.ts'
import { Fleet } from './fleet.ts'
import { ForeshockClient, type SeenEvent } from './foreshock.ts'
import {
  type FaultOutcome,
  type FaultRun,
  falseDisruptions,
  judge,
  type LabReport,
  labEvents,
  totals,
} from './report.ts'

/** Arrivals a second: enough for steady percentiles at one second, light enough for two cores. */
const REQUESTS_PER_SECOND = 50
/** Before anything is exported the fleet is driven harder for a while: compiled code, filled caches, grown heaps. */
const RUN_IN_SECONDS = 6
const RUN_IN_FACTOR = 2
/** How long a disruption may stay open after the settling time before the next fault comes regardless, seconds. */
const RESOLVE_SECONDS_MAX = 60
/** A fault is not hidden behind an earlier disruption: the lab waits this long for a quiet board, seconds. */
const QUIET_SECONDS_MAX = 30
/** How often the lab looks, ms. */
const TICK_MS = 250

export type LabProgress =
  | { readonly type: 'fleet-starting' }
  | { readonly type: 'fleet-running'; readonly instances: readonly string[]; readonly processes: number }
  | {
      readonly type: 'waiting'
      readonly why: 'run-in' | 'warm-up' | 'quiet' | 'fault' | 'settle'
      readonly done: number
      readonly total: number
    }
  | { readonly type: 'injected'; readonly fault: Fault; readonly index: number; readonly count: number }
  | { readonly type: 'event'; readonly event: SeenEvent; readonly secondsSinceInjection: number | null }
  | { readonly type: 'healed'; readonly fault: Fault }
  | { readonly type: 'judged'; readonly outcome: FaultOutcome }

export interface LabOptions {
  /** Base URL of a running Foreshock. */
  readonly url: string
  readonly apiKey?: string
  readonly faults: readonly FaultKind[]
  readonly seed: number
  readonly warmUpSeconds: number
  readonly faultSeconds: number
  readonly settleSeconds: number
  /** Heals this long after the disruption was opened instead of after the full time. */
  readonly holdSeconds?: number
  /** How long is waited for the resolved event after settling, seconds. Default 60. */
  readonly resolveSecondsMax?: number
  readonly requestsPerSecond?: number
  readonly onProgress?: (progress: LabProgress) => void
  /** Ends the run early; the fleet is stopped and the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/**
 * Starts the fleet, lets Foreshock learn it, injects each fault in turn and compares what Foreshock says with
 * what was done. Foreshock is spoken to over HTTP only. No process is left when this settles either way.
 */
export async function runLab(options: LabOptions): Promise<LabReport> {
  const lab = new Lab(options)
  const startedAt = new Date().toISOString()
  try {
    await lab.start()
    for (const [index, kind] of options.faults.entries()) await lab.run(FAULTS[kind], index)
    return lab.report(startedAt)
  } finally {
    await lab.stop()
  }
}

class Lab {
  readonly #options: LabOptions
  readonly #client: ForeshockClient
  readonly #events: SeenEvent[] = []
  readonly #runs: FaultRun[] = []
  readonly #outcomes: FaultOutcome[] = []
  #fleet: Fleet | undefined
  #injectedMs: number | undefined

  constructor(options: LabOptions) {
    this.#options = options
    this.#client = new ForeshockClient(options.url, options.apiKey)
  }

  async start(): Promise<void> {
    const { seed, warmUpSeconds } = this.#options
    this.#tell({ type: 'fleet-starting' })
    await this.#client.follow(event => this.#take(event))
    this.#fleet = await Fleet.start({
      url: this.#client.url,
      headers: this.#client.headers,
      seed,
      exporting: false,
    })
    const { instances, pids } = this.#fleet
    this.#tell({
      type: 'fleet-running',
      instances: instances.filter(name => name !== 'load'),
      processes: pids.length,
    })
    const requestsPerSecond = this.#options.requestsPerSecond ?? REQUESTS_PER_SECOND
    await this.#fleet.turn('load', { requestsPerSecond: requestsPerSecond * RUN_IN_FACTOR })
    await this.#wait('run-in', RUN_IN_SECONDS)
    await this.#fleet.turn('load', { requestsPerSecond })
    await this.#wait('run-in', 1)
    await this.#fleet.startExport()
    await this.#wait('warm-up', warmUpSeconds)
  }

  async run(fault: Fault, index: number): Promise<void> {
    const fleet = this.#fleet
    if (!fleet) throw new Error('the lab is not started')
    const { faultSeconds, settleSeconds, holdSeconds, seed, faults } = this.#options
    const site: Site = { fleet, announce: change => this.#client.announce(change) }
    if (this.#open().size > 0) await this.#wait('quiet', QUIET_SECONDS_MAX, () => this.#open().size === 0)
    // Taken before and corrected after, so that an event which arrives while injecting is not missed.
    const askedMs = Date.now()
    this.#injectedMs = askedMs
    this.#tell({ type: 'injected', fault, index, count: faults.length })
    const injectedMs = await fault.inject(site)
    this.#injectedMs = injectedMs
    await this.#wait('fault', faultSeconds, () => {
      const opened = this.#events.find(({ type, atMs }) => type === 'opened' && atMs >= injectedMs)
      return (
        holdSeconds !== undefined && opened !== undefined && Date.now() > opened.atMs + holdSeconds * 1000
      )
    })
    const healedMs = Date.now()
    await fault.heal(site)
    this.#tell({ type: 'healed', fault })
    const run: FaultRun = { fault, seed, injectedMs, healedMs }
    this.#runs.push(run)
    await this.#settle(settleSeconds)
    const outcome = judge(run, this.#events, Date.now())
    this.#outcomes.push(outcome)
    this.#injectedMs = undefined
    this.#tell({ type: 'judged', outcome })
  }

  report(startedAt: string): LabReport {
    const falses = falseDisruptions(this.#runs, this.#events)
    return {
      startedAt,
      finishedAt: new Date().toISOString(),
      url: this.#client.url,
      seeds: [this.#options.seed],
      outcomes: this.#outcomes,
      falseDisruptions: falses,
      events: labEvents(this.#options.seed, this.#events),
      totals: totals(this.#outcomes, falses),
    }
  }

  async stop(): Promise<void> {
    await Promise.all([this.#fleet?.stop(), this.#client.close()])
  }

  #take(event: SeenEvent): void {
    this.#events.push(event)
    const since = this.#injectedMs === undefined ? null : (event.atMs - this.#injectedMs) / 1000
    this.#tell({ type: 'event', event, secondsSinceInjection: since })
  }

  /** At least the given time, and on until nothing is open any more, within bounds. */
  async #settle(seconds: number): Promise<void> {
    await this.#wait('settle', seconds)
    await this.#wait(
      'settle',
      this.#options.resolveSecondsMax ?? RESOLVE_SECONDS_MAX,
      () => this.#open().size === 0,
    )
  }

  #open(): Set<string> {
    const open = new Set<string>()
    for (const { type, disruption } of this.#events) {
      if (type === 'opened' || type === 'updated') open.add(disruption.id)
      else open.delete(disruption.id)
    }
    return open
  }

  async #wait(
    why: 'run-in' | 'warm-up' | 'quiet' | 'fault' | 'settle',
    seconds: number,
    enough: () => boolean = () => false,
  ): Promise<void> {
    const startedMs = performance.now()
    for (;;) {
      const done = (performance.now() - startedMs) / 1000
      this.#tell({ type: 'waiting', why, done: Math.min(done, seconds), total: seconds })
      if (done >= seconds || enough()) return
      await pause(Math.min(TICK_MS, (seconds - done) * 1000), undefined, {
        ...(this.#options.signal ? { signal: this.#options.signal } : {}),
      })
    }
  }

  #tell(progress: LabProgress): void {
    this.#options.onProgress?.(progress)
  }
}
