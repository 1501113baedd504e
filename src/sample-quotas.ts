import { quotaOf } from './config/quota.ts'
import type { Config } from './config/schema.ts'
import type { Clock } from './core/clock.ts'
import type { Envelope, EnvelopeKind, Receipt } from './core/envelope.ts'
import { quotaExceeded } from './core/errors.ts'
import { TokenBucket } from './store/token-bucket.ts'

/** Tenants held; beyond them the one that sent longest ago starts anew. */
const TENANTS_MAX = 10_000
/** What stands for itself and holds no samples. */
const WITHOUT_SAMPLES: ReadonlySet<EnvelopeKind> = new Set(['change', 'maintenance', 'model', 'tick'])

/**
 * Samples a second that tenants of a service in one process may send. How many a body holds is known once it was read,
 * which is after it was journaled: so a body passes while its tenant's bucket holds something, and is paid for when it was
 * processed. What was under way meanwhile is paid for as well, as a debt: the rate over any long time is kept. Nothing of
 * this is in the journal, as what was answered 429 never came.
 */
export class SampleQuotas {
  readonly #tenants: Config['tenants']
  readonly #clock: Clock
  readonly #buckets = new Map<string, TokenBucket>()

  /** `clock`: time that only passes, ms. */
  constructor(tenants: Config['tenants'], clock: Clock) {
    this.#tenants = tenants
    this.#clock = clock
  }

  /** Takes a body in by `submit`. Rejects with FS_QUOTA, and when to come back, while its tenant is in debt. */
  async submit(envelope: Envelope, submit: (envelope: Envelope) => Promise<Receipt>): Promise<Receipt> {
    const { tenant, kind } = envelope
    const rate = quotaOf(this.#tenants, tenant)?.samplesPerSecond
    if (rate === undefined || WITHOUT_SAMPLES.has(kind)) return submit(envelope)
    const bucket = this.#bucket(tenant, rate)
    const retryAfterMs = bucket.take(0, rate, this.#clock())
    if (retryAfterMs > 0) throw quotaExceeded(tenant, retryAfterMs)
    const receipt = await submit(envelope)
    bucket.pay(receipt.samples + receipt.histograms, rate, this.#clock())
    return receipt
  }

  #bucket(tenant: string, rate: number): TokenBucket {
    const bucket = this.#buckets.get(tenant) ?? new TokenBucket(rate, this.#clock())
    this.#buckets.delete(tenant) // the order is that of the last question
    this.#buckets.set(tenant, bucket)
    if (this.#buckets.size > TENANTS_MAX) this.#buckets.delete(this.#buckets.keys().next().value as string)
    return bucket
  }
}
