import { exchange } from './caller.ts'
import { exponential, type Random, skewedIndex } from './random.ts'
import type { Switches } from './settings.ts'
import { QUERIES } from './work-search.ts'
import { ITEMS, USERS } from './work-store.ts'

/** Requests in flight at most; arrivals beyond are dropped and counted, not queued. */
const IN_FLIGHT_MAX = 400
/** Users give up after this long, ms. */
const PATIENCE_MS = 3000
/** How often a quiet generator looks whether it shall start, ms. */
const IDLE_MS = 100
/** Longest catch-up after the generator itself was held up: older arrivals are let go. */
const CATCH_UP_MS = 1000

/** Share of each journey. */
const SEARCH_SHARE = 0.5
const CHECKOUT_SHARE = 0.32

export interface LoadCounts {
  requests: number
  errors: number
  dropped: number
}

/** Arrivals a second at a moment: a sped-up day above and below the mean, times the factor. */
export function arrivalRate(switches: Readonly<Switches>, elapsedMs: number): number {
  const phase = (2 * Math.PI * elapsedMs) / 1000 / switches.rhythmPeriodSeconds
  return (
    switches.requestsPerSecond * switches.trafficFactor * (1 + switches.rhythmAmplitude * Math.sin(phase))
  )
}

/**
 * Open-loop users: they arrive as a Poisson process whether or not the fleet keeps up, so that a slow fleet
 * shows as latency instead of as politely reduced load.
 */
export function startLoad(switches: Readonly<Switches>, random: Random): LoadCounts {
  const counts: LoadCounts = { requests: 0, errors: 0, dropped: 0 }
  const startedMs = performance.now()
  let inFlight = 0
  let nextMs = startedMs
  const arrive = () => {
    const edge = switches.routes.edge?.[0]
    const nowMs = performance.now()
    if (edge === undefined || switches.requestsPerSecond <= 0) {
      nextMs = nowMs + IDLE_MS
    } else {
      nextMs = Math.max(nextMs, nowMs - CATCH_UP_MS)
      while (nextMs <= nowMs) {
        if (inFlight >= IN_FLIGHT_MAX) counts.dropped++
        else {
          inFlight++
          void journey(edge, random, counts).finally(() => inFlight--)
        }
        nextMs += exponential(random, 1000 / arrivalRate(switches, nextMs - startedMs))
      }
    }
    setTimeout(arrive, Math.max(1, nextMs - performance.now()))
  }
  arrive()
  return counts
}

async function journey(edge: string, random: Random, counts: LoadCounts): Promise<void> {
  const choice = random()
  const user = Math.floor(random() * USERS)
  counts.requests++
  let answer: { status: number }
  if (choice < SEARCH_SHARE) {
    answer = await exchange(`${edge}/search?q=${skewedIndex(random, QUERIES)}`, undefined, PATIENCE_MS)
  } else if (choice < SEARCH_SHARE + CHECKOUT_SHARE) {
    const items = [0, 1].map(() => skewedIndex(random, ITEMS))
    answer = await exchange(`${edge}/checkout`, JSON.stringify({ user, items }), PATIENCE_MS)
  } else {
    answer = await exchange(`${edge}/account?user=${user}`, undefined, PATIENCE_MS)
  }
  if (answer.status !== 200) counts.errors++
}
