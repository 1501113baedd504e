// How far a fleet is, seen from outside: the newest window that every partition of samples has reported, against the
// newest whose samples were acknowledged.
import { windowHeader } from '../../src/bus/window-report.ts'
import { CONTENT, HEADERS, type Streams, TOPICS } from '../../src/core/stream.ts'

/** How often it is looked at, ms. */
const LOOK_MS = 50
/** Lag that is usual is what it was in this long before a fault, ms. */
const USUAL_MS = 3000
/** More than usual counts from here on, windows. */
const SLACK = 5

interface Look {
  readonly atMs: number
  readonly lag: number
}

export class Progress {
  readonly #ends: Float64Array
  readonly #stepMs: number
  readonly #looks: Look[] = []
  readonly #timer: NodeJS.Timeout
  #following: { close(): Promise<void> } | undefined
  /** End of the newest window whose samples are all acknowledged, Unix ms. */
  sentEndMs = Number.NaN

  private constructor(partitions: number, stepMs: number) {
    this.#ends = new Float64Array(partitions).fill(Number.NEGATIVE_INFINITY)
    this.#stepMs = stepMs
    this.#timer = setInterval(() => this.#looks.push({ atMs: performance.now(), lag: this.lag }), LOOK_MS)
  }

  static async follow(streams: Streams, stepMs: number): Promise<Progress> {
    const progress = new Progress(await streams.partitions(TOPICS.samples), stepMs)
    progress.#following = await streams.follow(TOPICS.anomalies, ({ headers, value }) => {
      if (headers[HEADERS.content] !== CONTENT.window) return
      const header = windowHeader(value)
      if (typeof header === 'string' || !header.last) return
      const { samplesPartition, windowEndMs } = header
      if (windowEndMs > progress.#ends[samplesPartition]) progress.#ends[samplesPartition] = windowEndMs
    })
    return progress
  }

  /** The end that every partition has reported. */
  get reportedEndMs(): number {
    return Math.min(...this.#ends)
  }

  /** Windows between what was sent and what is reported by all; Infinity before the first report. */
  get lag(): number {
    return Number.isNaN(this.sentEndMs) ? 0 : (this.sentEndMs - this.reportedEndMs) / this.#stepMs
  }

  /** Seconds from `sinceMs` until the lag was what it had been before `faultMs`, for good; 0 when it never rose. */
  recoverySeconds(faultMs: number, sinceMs: number): number {
    const before = this.#looks.filter(({ atMs }) => atMs > faultMs - USUAL_MS && atMs <= faultMs)
    const usual = Math.max(0, ...before.map(({ lag }) => lag).filter(Number.isFinite)) + SLACK
    const above = this.#looks.filter(({ atMs, lag }) => atMs >= sinceMs && lag > usual)
    return above.length === 0 ? 0 : (above[above.length - 1].atMs + LOOK_MS - sinceMs) / 1000
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#following?.close()
  }
}
