import type { DisruptionEvent } from '../core/disruption.ts'
import { sha256 } from '../core/identity.ts'
import { CLOUDEVENTS_TYPE, cloudEvent, fittedJson } from './cloudevents.ts'
import { Poster } from './post.ts'
import { webhookHeaders, webhookKeys } from './signature.ts'
import { checkedTarget, type TargetPolicy } from './target.ts'

/** How a receiver is called: the same wherever it stands in the configuration. */
export const webhookName = (url: string): string => `webhook-${sha256(url).slice(0, 8)}`

export interface RetryPolicy {
  /** Wait after the first failure, ms; it triples from one to the next, each varied by ± half. */
  readonly firstMs: number
  readonly longestMs: number
  /** An event older than this becomes a dead letter, ms. */
  readonly giveUpMs: number
}

/** Whom a webhook posts to, and as whom. */
export interface WebhookTarget {
  readonly url: string
  /** One `whsec_…` secret, or several separated by spaces while they are being rotated. */
  readonly secret: string
  /** CloudEvents `source`: a URI of this Foreshock. */
  readonly source: string
  readonly target?: TargetPolicy
  readonly timeoutMs?: number
}

/** What became of one attempt. `throttledMs`: what the receiver asked to be left alone for. */
export type Attempt =
  | { readonly outcome: 'delivered' }
  | { readonly outcome: 'gone' }
  | { readonly outcome: 'failed'; readonly error: string; readonly throttledMs: number }

export const WEBHOOK_RETRY: RetryPolicy = {
  firstMs: 5000,
  longestMs: 4 * 3_600_000,
  giveUpMs: 24 * 3_600_000,
}
const WAIT_FACTOR = 3
/** The specification recommends 15 to 30 s. */
const TIMEOUT_MS = 15_000
/** "Usually smaller than 20 kB". */
const BODY_BYTES_MAX = 20_000

/** How long to wait after so many failed attempts; `random` 0..1. */
export function retryWaitMs({ firstMs, longestMs }: RetryPolicy, attempts: number, random: number): number {
  return Math.min(longestMs, firstMs * WAIT_FACTOR ** attempts) * (0.5 + random)
}

/** Posts events to one receiver as Standard Webhooks: signed, small, over checked addresses. */
export class WebhookPost {
  readonly hostname: string
  readonly #source: string
  readonly #keys: readonly Buffer[]
  readonly #poster: Poster

  /** Throws FS_CONFIG_INVALID for a bad target or secret. */
  constructor({ url: text, secret, source, target = {}, timeoutMs = TIMEOUT_MS }: WebhookTarget) {
    const url = checkedTarget(text, target)
    this.hostname = url.hostname
    this.#keys = webhookKeys(secret)
    this.#source = source
    this.#poster = new Poster(url, target, timeoutMs)
  }

  /** Never rejects. */
  async attempt(event: DisruptionEvent, nowMs: number): Promise<Attempt> {
    try {
      const body = fittedJson(cloudEvent(event, this.#source), BODY_BYTES_MAX)
      const headers = {
        'content-type': CLOUDEVENTS_TYPE,
        'user-agent': 'foreshock',
        ...webhookHeaders(this.#keys, event.id, nowMs, body),
      }
      const { status, retryAfterMs } = await this.#poster.post(headers, body, nowMs)
      if (status >= 200 && status < 300) return { outcome: 'delivered' }
      if (status === 410) return { outcome: 'gone' }
      const throttledMs = status === 429 || status === 503 ? (retryAfterMs ?? 0) : 0
      return { outcome: 'failed', error: `answered ${status}`, throttledMs }
    } catch (cause) {
      const error = cause instanceof Error ? cause.message : String(cause)
      return { outcome: 'failed', error, throttledMs: 0 }
    }
  }

  /** Cuts what is under way. */
  close(): void {
    this.#poster.close()
  }
}
