import { ByteWriter } from '../../core/byte-writer.ts'
import { TYPE } from '../families.ts'
import { PrometheusClient, TooMuch } from './prometheus-client.ts'
import { rangeQuery } from './range-query.ts'
import { remoteRead } from './remote-read.ts'
import { matchersOf } from './selector.ts'
import { HistorySlab } from './slab.ts'

export interface PrometheusHistoryOptions {
  readonly url: string
  readonly api: 'query-range' | 'remote-read'
  /** Series selectors. */
  readonly queries: readonly string[]
  /** Distance of the points that are asked for, ms; only query-range has one. */
  readonly stepMs: number
  /** Labels put on every series, under those it has. */
  readonly labels: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
  /** Questions under way at once. */
  readonly concurrency: number
  readonly signal: AbortSignal
  readonly onRetry: (why: string) => void
}

/** Prometheus refuses a range query of more points a series. */
const POINTS_MAX = 11_000
/** The first part that is asked for, ms; parts then grow and shrink with what they hold. */
const FIRST_PART_MS = 3_600_000
const PART_MS_MAX = 86_400_000
/** A part of more samples is followed by one of half its length, of fewer than a quarter by one of twice: 16 B each. */
const PART_SAMPLES = 2_000_000

/** What one part of the history held. */
export interface HistoryPart {
  readonly slab: HistorySlab
  readonly toMs: number
}

/** The past of a Prometheus server, part after part in time order. */
export class PrometheusHistory {
  readonly client: PrometheusClient
  readonly #options: PrometheusHistoryOptions
  #partMs: number
  /** What was too much once is not asked for again: to find that out may take the server two minutes. */
  #partMsMax: number
  /** Series whose whole histograms could not be read, because range queries give them as text. */
  unreadHistograms = 0

  constructor(options: PrometheusHistoryOptions) {
    this.#options = options
    this.client = new PrometheusClient(options)
    this.#partMsMax = longestPartMs(options)
    this.#partMs = Math.min(FIRST_PART_MS, this.#partMsMax)
    if (options.api === 'remote-read') for (const query of options.queries) matchersOf(query)
  }

  /** Parts of [fromMs, toMs); the next is fetched while the last is worked on. */
  async *parts(fromMs: number, toMs: number): AsyncGenerator<HistoryPart> {
    let next: Promise<HistoryPart> | undefined = this.#fetch(fromMs, toMs)
    while (next) {
      const part: HistoryPart = await next
      next = part.toMs < toMs ? this.#fetch(part.toMs, toMs) : undefined
      // A failure is thrown when its turn comes, not while the part before is worked on.
      next?.catch(() => {})
      yield part
    }
  }

  /** A remote-write body of the server's metadata, so that counters and units are known before their series. */
  async metadata(): Promise<Uint8Array> {
    const known = (await this.client.hint('/api/v1/metadata')) as
      | Readonly<Record<string, readonly { type?: unknown; unit?: unknown }[]>>
      | undefined
    const body = new ByteWriter()
    const one = new ByteWriter(256)
    for (const [family, entries] of Object.entries(known ?? {})) {
      const type = TYPES[String(entries?.[0]?.type)] ?? TYPE.unknown
      one.clear()
      one.varint(0x08)
      one.varint(type)
      one.text(0x12, family)
      one.text(0x2a, String(entries?.[0]?.unit ?? ''))
      body.field(0x1a, one.take())
    }
    return body.take()
  }

  async #fetch(fromMs: number, limitMs: number): Promise<HistoryPart> {
    for (;;) {
      const toMs = Math.min(limitMs, fromMs + this.#partMs)
      try {
        const slab = await this.#fill(fromMs, toMs)
        if (slab.samples > PART_SAMPLES) this.#resize(0.5)
        else if (4 * slab.samples < PART_SAMPLES) this.#resize(2)
        return { slab, toMs }
      } catch (error) {
        if (!(error instanceof TooMuch) || this.#partMs <= this.#options.stepMs) throw error
        this.#options.onRetry(`${error.message}; asking for half as much`)
        this.#resize(0.5)
        this.#partMsMax = this.#partMs
      }
    }
  }

  async #fill(fromMs: number, toMs: number): Promise<HistorySlab> {
    const { queries, labels, api, stepMs, concurrency } = this.#options
    const slab = new HistorySlab()
    const waiting = [...queries]
    const work = async () => {
      for (let query = waiting.shift(); query !== undefined; query = waiting.shift()) {
        if (api === 'remote-read')
          await remoteRead(this.client, matchersOf(query), { fromMs, toMs }, labels, slab)
        else {
          const span = { fromMs, toMs, stepMs }
          const { histograms } = await rangeQuery(this.client, query, span, labels, slab)
          this.unreadHistograms = Math.max(this.unreadHistograms, histograms)
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(concurrency, queries.length) }, work))
    return slab
  }

  /** Parts are whole steps long, so that none begins within another's last step. */
  #resize(factor: number): void {
    const { stepMs } = this.#options
    const steps = Math.max(1, Math.floor((this.#partMs * factor) / stepMs))
    this.#partMs = Math.min(steps * stepMs, this.#partMsMax)
  }
}

function longestPartMs({ api, stepMs }: PrometheusHistoryOptions): number {
  const most = api === 'query-range' ? Math.min(PART_MS_MAX, (POINTS_MAX - 1) * stepMs) : PART_MS_MAX
  return Math.max(stepMs, Math.floor(most / stepMs) * stepMs)
}

const TYPES: Readonly<Record<string, number>> = {
  counter: TYPE.counter,
  gauge: TYPE.gauge,
  histogram: TYPE.histogram,
  gaugehistogram: TYPE.gaugeHistogram,
  summary: TYPE.summary,
  info: TYPE.info,
  stateset: TYPE.stateset,
}
