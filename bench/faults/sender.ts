// Sends the input at a steady pace, each half of a window as one body, and repeats what was not acknowledged, as
// Prometheus and the Collector do.
import { setTimeout as pause } from 'node:timers/promises'
import { HALVES, halfOf, type Input } from './input.ts'

/** A body is tried for so long, ms. */
const GIVE_UP_MS = 180_000
const AGAIN_MS = 300
const ANSWER_MS_MAX = 20_000

export interface SendPlan {
  readonly windowsPerSecond: number
  readonly bodies: (window: number, half: number) => readonly string[]
  /** Called when this half is about to be sent; sending waits for it. */
  readonly before?: (window: number, half: number) => Promise<void> | void
  readonly acknowledged: (window: number, half: number) => void
}

export interface Sent {
  /** Bodies that had to be sent again. */
  readonly again: number
}

/** Everything but the first half, which `sendHalf` has sent. */
export async function send(urls: () => readonly string[], input: Input, plan: SendPlan): Promise<Sent> {
  let again = 0
  const startedMs = performance.now()
  let delayedMs = 0
  for (let window = 0; window < input.windows; window++) {
    // The first half of the first window is there already.
    for (let half = window === 0 ? 1 : 0; half < HALVES; half++) {
      await plan.before?.(window, half)
      const dueMs = ((window + half / HALVES) / plan.windowsPerSecond) * 1000 + startedMs + delayedMs
      const early = dueMs - performance.now()
      if (early > 0) await pause(early)
      // What an outage held up is not caught up in one rush: senders have a pace of their own.
      else if (early < -1000) delayedMs -= early
      for (const body of plan.bodies(window, half)) again += await post(urls, body)
      plan.acknowledged(window, half)
    }
  }
  return { again }
}

/** One half of a window; how often it had to be sent again. */
export function sendHalf(
  urls: () => readonly string[],
  input: Input,
  window: number,
  half: number,
): Promise<number> {
  return post(urls, halfOf(input, window, half))
}

/** How often it had to be sent again. Every try goes to the next gateway. */
async function post(urls: () => readonly string[], body: string): Promise<number> {
  let last = ''
  for (let tries = 0, end = Date.now() + GIVE_UP_MS; Date.now() < end; tries++) {
    const all = urls()
    try {
      const answer = await fetch(`${all[tries % all.length]}/api/samples`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson' },
        body,
        signal: AbortSignal.timeout(ANSWER_MS_MAX),
      })
      last = `${answer.status} ${await answer.text()}`
      if (answer.ok) return tries
      if (answer.status < 500 && answer.status !== 429) throw new Refused(last)
    } catch (error) {
      if (error instanceof Refused) throw error
      last = String(error)
    }
    await pause(AGAIN_MS)
  }
  throw new Error(`not acknowledged within ${GIVE_UP_MS / 1000} s: ${last}`)
}

class Refused extends Error {}
