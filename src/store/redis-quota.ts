import { type Clock, steadyClock } from '../core/clock.ts'
import type { QuotaKeeper } from '../core/ports.ts'
import { MemoryQuota, SERIES_SPAN_MS } from './memory-quota.ts'
import type { RedisConnection } from './redis-connection.ts'
import { COUNT_SERIES, TAKE_TOKENS } from './redis-quota-scripts.ts'
import { BURST_SECONDS } from './token-bucket.ts'

/** A gateway leases what a tenant may send in so many seconds, so that most requests ask nobody. */
const LEASE_SECONDS = 0.5
/** What was leased so long ago, ms, is given back before more is asked for. */
const LEASE_MS = 2000
/** A request waits so long, ms, for what other gateways counted. */
const ANSWER_MS = 200
/** Series in one question: Redis does nothing else for a millisecond or two meanwhile. */
const SERIES_AT_ONCE = 500
/** Series in one bucket on average, of which Redis keeps sets of up to 512 integers in 8 bytes each. */
const SERIES_A_BUCKET = 128
/** Low bits that choose the bucket. */
const BUCKETS_MAX = 65_536
/** Tenants held; beyond them what is leased to the one asked about longest ago is forgotten. */
const TENANTS_MAX = 10_000

interface Lease {
  /** Tokens; below zero is a debt. */
  held: number
  atMs: number
  /** Nothing is to be had before. */
  refusedUntilMs: number
  asking: Promise<boolean> | undefined
}

/** Quotas counted in Redis; while it is away or slow, by this process alone. */
export class RedisQuota implements QuotaKeeper {
  readonly #connection: RedisConnection
  readonly #clock: Clock
  readonly #spanMs: number
  readonly #own: MemoryQuota
  readonly #leases = new Map<string, Lease>()

  constructor(options: {
    readonly connection: RedisConnection
    /** Time that only passes, ms. */
    readonly clock?: Clock
    readonly spanMs?: number
  }) {
    this.#connection = options.connection
    this.#clock = options.clock ?? steadyClock
    this.#spanMs = options.spanMs ?? SERIES_SPAN_MS
    this.#own = new MemoryQuota({ clock: this.#clock })
  }

  async takeSamples(tenant: string, samples: number, samplesPerSecond: number): Promise<number> {
    const lease = this.#lease(tenant)
    for (;;) {
      const nowMs = this.#clock()
      if (lease.refusedUntilMs > nowMs) return lease.refusedUntilMs - nowMs
      if (lease.held > 0 && nowMs - lease.atMs < LEASE_MS) break
      if (!(await this.#settled(tenant, lease, samplesPerSecond)))
        return this.#own.takeSamples(tenant, samples, samplesPerSecond)
    }
    lease.held -= samples
    // A debt is told at once: the other gateways have to wait for it too.
    if (lease.held < 0) await this.#settled(tenant, lease, samplesPerSecond)
    return 0
  }

  async countSeries(tenant: string, fingerprints: BigUint64Array, seriesMax: number): Promise<number[]> {
    const refused: number[] = []
    for (let from = 0; from < fingerprints.length; from += SERIES_AT_ONCE) {
      const some = fingerprints.subarray(from, from + SERIES_AT_ONCE)
      const asked = () => this.#countSome(tenant, some, seriesMax)
      const answer = await this.#connection.soon(asked, ANSWER_MS)
      const indexes = answer ?? (await this.#own.countSeries(tenant, some, seriesMax))
      for (const index of indexes) refused.push(from + index)
    }
    return refused
  }

  /** What is leased lapses; the connection is its maker's. */
  async close(): Promise<void> {}

  #key(tenant: string, what: string): string {
    return `${this.#connection.prefix}quota:{${encodeURIComponent(tenant)}}:${what}`
  }

  #lease(tenant: string): Lease {
    const lease = this.#leases.get(tenant) ?? {
      held: 0,
      atMs: Number.NEGATIVE_INFINITY,
      refusedUntilMs: Number.NEGATIVE_INFINITY,
      asking: undefined,
    }
    this.#leases.delete(tenant) // the order is that of the last question
    this.#leases.set(tenant, lease)
    if (this.#leases.size > TENANTS_MAX) this.#leases.delete(this.#leases.keys().next().value as string)
    return lease
  }

  #settled(tenant: string, lease: Lease, rate: number): Promise<boolean> {
    lease.asking ??= this.#ask(tenant, lease, rate)
    return lease.asking
  }

  /** Settles what is held and leases anew. False when there is no answer. */
  async #ask(tenant: string, lease: Lease, rate: number): Promise<boolean> {
    const { held } = lease
    lease.held = 0
    const args = [rate, rate * BURST_SECONDS, held, Math.max(1, rate * LEASE_SECONDS)]
    const asked = () => this.#connection.script('quota', TAKE_TOKENS, [this.#key(tenant, 'rate')], args)
    const answer = await this.#connection.soon(asked, ANSWER_MS)
    lease.asking = undefined
    if (!answer) return false
    const [granted, waitMs] = answer as [string, number]
    const nowMs = this.#clock()
    lease.held += Number(granted)
    lease.atMs = nowMs
    if (waitMs > 0) lease.refusedUntilMs = nowMs + waitMs
    return true
  }

  async #countSome(tenant: string, some: BigUint64Array, seriesMax: number): Promise<number[]> {
    const buckets = 2 ** Math.ceil(Math.log2(Math.max(1, seriesMax / SERIES_A_BUCKET)))
    const base = this.#key(tenant, 'series')
    const args = [base, this.#spanMs, seriesMax, Math.min(BUCKETS_MAX, buckets)]
    // As signed integers they fit what Redis keeps sets of integers in.
    const signed = new BigInt64Array(some.buffer, some.byteOffset, some.length)
    const members = [...signed].map(String)
    const low = [...some].map(fingerprint => Number(fingerprint & 0xffffn))
    const flat = members.flatMap((member, i) => [member, low[i]])
    const answer = await this.#connection.script('quota', COUNT_SERIES, [base], [...args, ...flat])
    return answer as number[]
  }
}
