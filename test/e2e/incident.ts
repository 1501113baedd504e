/**
 * A fault in a synthetic fleet, told to a running service step by step: it learns, the store becomes slow, it
 * heals. All of it lies in the past and is told as fast as the service takes it; the service is told to wait long
 * for a silent source, so nothing depends on how fast the test runs.
 */
import type { Disruption } from '../../src/core/disruption.ts'
import { fleetBodies } from './fleet.ts'
import { getJson } from './service.ts'

export const STEP_MS = 1000
/** What a service needs to hear of it: windows as long as the steps, patience with a teller that pauses. */
export const INCIDENT_CONFIG = { features: { step: '1s', idle: '5m' }, log: { level: 'warn' } } as const

const LEARN_STEPS = 300
/** Of what is learned, in one body. */
const STEPS_AT_ONCE = 20
const FAULT_STEPS = 60
const HEAL_STEPS = 120

export async function postLines(
  url: string,
  body: string,
  more: Readonly<Record<string, string>> = {},
): Promise<void> {
  const answer = await fetch(`${url}/api/samples`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/x-ndjson', ...more },
  })
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`)
  await answer.body?.cancel()
}

export async function disruptions(url: string, status?: 'open' | 'resolved'): Promise<Disruption[]> {
  const query = status === undefined ? '' : `?status=${status}`
  return (await getJson<{ items: Disruption[] }>(`${url}/api/disruptions${query}`)).items
}

export class Incident {
  readonly #bodies: string[]
  #next = 0
  readonly #headers: Readonly<Record<string, string>>

  /** `stepsAgo`: how long ago the fault begins; as long as it and the life after it last, unless said. */
  constructor(
    seed = 1,
    {
      extraLatencyS = 0.4,
      stepsAgo = FAULT_STEPS + HEAL_STEPS,
      service = 'store',
      /** Sent with every body. */
      headers = {} as Readonly<Record<string, string>>,
    } = {},
  ) {
    this.#headers = headers
    const fault = {
      service,
      fromStep: LEARN_STEPS,
      toStep: LEARN_STEPS + FAULT_STEPS,
      extraLatencyS,
    }
    const steps = LEARN_STEPS + FAULT_STEPS + HEAL_STEPS
    const fromMs = Math.floor(Date.now() / STEP_MS) * STEP_MS - (LEARN_STEPS + stepsAgo) * STEP_MS
    this.#bodies = [...fleetBodies({ fromMs, stepMs: STEP_MS, steps, seed, fault })]
  }

  /** Sends the given number of steps, fewer when no more are left. */
  async tell(url: string, steps: number): Promise<void> {
    for (const body of this.#bodies.slice(this.#next, this.#next + steps)) {
      await postLines(url, body, this.#headers)
      this.#next++
    }
  }

  /** All of the ordinary life before the fault, many steps in a body. */
  async learn(url: string): Promise<void> {
    while (this.#next < LEARN_STEPS) {
      const to = Math.min(LEARN_STEPS, this.#next + STEPS_AT_ONCE)
      await postLines(url, this.#bodies.slice(this.#next, to).join('\n'), this.#headers)
      this.#next = to
    }
  }

  /** The fault, until the service has a disruption open; returns it. */
  async strike(url: string): Promise<Disruption> {
    while (this.#next < LEARN_STEPS + FAULT_STEPS) {
      await this.tell(url, 5)
      const [found] = await disruptions(url, 'open')
      if (found) return found
    }
    throw new Error('the fault was not found')
  }

  /** The rest of the fault and the life after it, until the disruption is resolved; returns it. */
  async heal(url: string, id: string): Promise<Disruption> {
    await this.tell(url, LEARN_STEPS + FAULT_STEPS - this.#next)
    while (this.#next < this.#bodies.length) {
      await this.tell(url, 5)
      const found = await getJson<Disruption>(`${url}/api/disruptions/${id}`)
      if (found.status === 'resolved') return found
    }
    throw new Error('the disruption was not resolved')
  }
}
