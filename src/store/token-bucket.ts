/** Seconds of its rate that a bucket holds: what a sender that was silent may send at once. */
export const BURST_SECONDS = 10

/**
 * A token bucket that may go into debt: it lets anything pass while it holds something, and nothing until its debt is paid.
 * So a body larger than the bucket passes too, and the rate over any long time is kept all the same.
 */
export class TokenBucket {
  #tokens: number
  #atMs: number

  /** It starts full. */
  constructor(ratePerSecond: number, nowMs: number) {
    this.#tokens = ratePerSecond * BURST_SECONDS
    this.#atMs = nowMs
  }

  /** 0 when taken, else ms until there is something again. The rate may be another than before. */
  take(amount: number, ratePerSecond: number, nowMs: number): number {
    this.#fill(ratePerSecond, nowMs)
    if (this.#tokens <= 0) return Math.max(1, Math.ceil((-this.#tokens * 1000) / ratePerSecond))
    this.#tokens -= amount
    return 0
  }

  /** Takes what has passed already, whatever there is. */
  pay(amount: number, ratePerSecond: number, nowMs: number): void {
    this.#fill(ratePerSecond, nowMs)
    this.#tokens -= amount
  }

  #fill(ratePerSecond: number, nowMs: number): void {
    const sinceMs = Math.max(0, nowMs - this.#atMs) // a clock that was set back fills nothing
    this.#tokens = Math.min(ratePerSecond * BURST_SECONDS, this.#tokens + (sinceMs * ratePerSecond) / 1000)
    this.#atMs = nowMs
  }
}
