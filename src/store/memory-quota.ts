import { type Clock, steadyClock } from '../core/clock.ts'
import type { QuotaKeeper } from '../core/ports.ts'
import { TokenBucket } from './token-bucket.ts'

/** Series are counted in spans of so long, ms; those of the present and the last span count. */
export const SERIES_SPAN_MS = 3_600_000
/** Tenants held; beyond them the one that was asked about longest ago starts anew. */
const TENANTS_MAX = 10_000

interface Tenant {
  bucket: TokenBucket | undefined
  span: number
  last: ReadonlySet<bigint>
  present: Set<bigint>
  /** Series of both spans together. */
  count: number
}

/** Quotas counted by one process: of a fleet in one process, and of a gateway that is cut off from the others. */
export class MemoryQuota implements QuotaKeeper {
  readonly #clock: Clock
  readonly #tenants = new Map<string, Tenant>()

  /** `clock`: time that only passes, ms: a wall clock that is set back would refuse for as much longer. */
  constructor(options: { readonly clock?: Clock } = {}) {
    this.#clock = options.clock ?? steadyClock
  }

  async takeSamples(tenant: string, samples: number, samplesPerSecond: number): Promise<number> {
    const nowMs = this.#clock()
    const held = this.#tenant(tenant)
    held.bucket ??= new TokenBucket(samplesPerSecond, nowMs)
    return held.bucket.take(samples, samplesPerSecond, nowMs)
  }

  async countSeries(tenant: string, fingerprints: BigUint64Array, seriesMax: number): Promise<number[]> {
    const held = this.#tenant(tenant)
    turn(held, Math.floor(this.#clock() / SERIES_SPAN_MS))
    const refused: number[] = []
    for (const [i, fingerprint] of fingerprints.entries()) {
      if (held.present.has(fingerprint)) continue
      if (!held.last.has(fingerprint)) {
        if (held.count >= seriesMax) {
          refused.push(i)
          continue
        }
        held.count++
      }
      held.present.add(fingerprint)
    }
    return refused
  }

  async close(): Promise<void> {}

  #tenant(name: string): Tenant {
    const held = this.#tenants.get(name) ?? {
      bucket: undefined,
      span: 0,
      last: new Set<bigint>(),
      present: new Set<bigint>(),
      count: 0,
    }
    this.#tenants.delete(name) // the order is that of the last question
    this.#tenants.set(name, held)
    for (const oldest of this.#tenants.keys()) {
      if (this.#tenants.size <= TENANTS_MAX) break
      this.#tenants.delete(oldest)
    }
    return held
  }
}

function turn(held: Tenant, span: number): void {
  if (span <= held.span) return
  held.last = span === held.span + 1 ? held.present : new Set()
  held.present = new Set()
  held.count = held.last.size
  held.span = span
}
