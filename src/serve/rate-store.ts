import type rateLimit from '@fastify/rate-limit'
import type { RateCounter } from '../core/ports.ts'

/** The store of @fastify/rate-limit over a counter that all gateways share. */
export function rateStore(counter: RateCounter): rateLimit.FastifyRateLimitStoreCtor {
  return class Shared implements rateLimit.FastifyRateLimitStore {
    incr(
      key: string,
      callback: (error: Error | null, result?: { current: number; ttl: number }) => void,
      timeWindow: number,
    ): void {
      counter.count(key, timeWindow).then(
        ({ count, leftMs }) => callback(null, { current: count, ttl: leftMs }),
        cause => callback(cause),
      )
    }

    /** No route has a limit of its own. */
    child(): Shared {
      return this
    }
  }
}
