import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Disruption, DisruptionEventType } from '../core/disruption.ts'
import { ForeshockError } from '../core/errors.ts'
import type { Announcement } from './faults.ts'

/** Wait before a cut event stream is opened again, ms. */
const RECONNECT_MS = 500
const REQUEST_MS_MAX = 10_000
/** Longest event read, characters: bodies are bounded far below. */
const EVENT_CHARACTERS_MAX = 4_000_000

export interface SeenEvent {
  readonly type: DisruptionEventType
  readonly disruption: Disruption
  /** When it arrived here, Unix ms. */
  readonly atMs: number
}

const TYPES: readonly DisruptionEventType[] = ['opened', 'updated', 'resolved', 'retracted']

/** Foreshock as an outsider sees it: changes in, disruption events out, over HTTP only. */
export class ForeshockClient {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly #abort = new AbortController()
  #following: Promise<void> = Promise.resolve()

  constructor(url: string, apiKey?: string) {
    this.url = url.replace(/\/+$/, '')
    this.headers = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }
  }

  /** Posts a change as a CloudEvent; throws with the answer when it is not taken. */
  async announce(change: Announcement): Promise<void> {
    const { untilMs, ...data } = change
    const now = new Date().toISOString()
    const event = {
      specversion: '1.0',
      id: randomUUID(),
      source: 'foreshock-lab',
      type: `io.foreshock.change.${change.kind}.v1`,
      subject: change.entity,
      time: now,
      data: { ...data, ...(untilMs === undefined ? {} : { until: new Date(untilMs).toISOString() }) },
    }
    const response = await fetch(`${this.url}/api/changes`, {
      method: 'POST',
      headers: { ...this.headers, 'content-type': 'application/cloudevents+json' },
      body: JSON.stringify(event),
      signal: AbortSignal.timeout(REQUEST_MS_MAX),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`POST /api/changes answered ${response.status}: ${text}`)
  }

  /** Edges of the call graph that Foreshock has learned; empty when it does not say. */
  async edges(): Promise<{ source: string; target: string }[]> {
    const response = await fetch(`${this.url}/api/topology`, {
      headers: this.headers,
      signal: AbortSignal.timeout(REQUEST_MS_MAX),
    })
    const body = response.ok ? ((await response.json()) as { edges?: unknown }) : {}
    return Array.isArray(body.edges) ? (body.edges as { source: string; target: string }[]) : []
  }

  /**
   * Follows the event stream until `close`, resuming after cuts. Resolves when the first connection stands;
   * throws when it is refused.
   */
  async follow(take: (event: SeenEvent) => void): Promise<void> {
    const state = { lastId: '' }
    const first = await this.#connect(state.lastId)
    this.#following = this.#read(first, state, take)
  }

  async close(): Promise<void> {
    this.#abort.abort()
    await this.#following
  }

  async #connect(lastId: string): Promise<ReadableStream<Uint8Array>> {
    const response = await fetch(`${this.url}/api/events`, {
      headers: { ...this.headers, ...(lastId === '' ? {} : { 'last-event-id': lastId }) },
      signal: this.#abort.signal,
    }).catch(error => {
      const { cause } = error as { cause?: { message?: string } }
      throw new ForeshockError('FS_IO', `${this.url} does not answer (${cause?.message ?? error})`)
    })
    if (!response.ok || !response.body)
      throw new ForeshockError('FS_IO', `${this.url}: GET /api/events answered ${response.status}`)
    return response.body
  }

  async #read(
    first: ReadableStream<Uint8Array>,
    state: { lastId: string },
    take: (event: SeenEvent) => void,
  ): Promise<void> {
    let stream: ReadableStream<Uint8Array> | undefined = first
    while (!this.#abort.signal.aborted) {
      try {
        stream ??= await this.#connect(state.lastId)
        for await (const { id, event, data } of frames(stream)) {
          if (id !== '') state.lastId = id
          const seen = readEvent(event, data, Date.now())
          if (seen) take(seen)
        }
      } catch {
        // Cut or refused: it is tried again until closed, as any browser would.
      }
      stream = undefined
      await pause(RECONNECT_MS, undefined, { signal: this.#abort.signal }).catch(() => undefined)
    }
  }
}

interface Frame {
  id: string
  event: string
  data: string
}

/** Server-sent events of a stream of bytes (WHATWG HTML, section 9.2.6). */
export async function* frames(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Frame> {
  const decoder = new TextDecoder()
  let rest = ''
  let frame: Frame = { id: '', event: '', data: '' }
  for await (const bytes of stream) {
    rest += decoder.decode(bytes, { stream: true })
    const lines = rest.split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop() ?? ''
    if (rest.length > EVENT_CHARACTERS_MAX) throw new Error('an event is too long')
    for (const line of lines) {
      if (line === '') {
        if (frame.data !== '') yield frame
        frame = { id: frame.id, event: '', data: '' }
        continue
      }
      const colon = line.indexOf(':')
      if (colon === 0) continue
      const field = colon < 0 ? line : line.slice(0, colon)
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
      if (field === 'data') frame.data = frame.data === '' ? value : `${frame.data}\n${value}`
      else if (field === 'event' || field === 'id') frame[field] = value
    }
  }
}

/** A frame as a disruption event; undefined for frames of other kinds and for what cannot be read. */
export function readEvent(event: string, data: string, atMs: number): SeenEvent | undefined {
  const type = TYPES.find(candidate => event === `io.foreshock.disruption.${candidate}.v1`)
  if (!type) return undefined
  try {
    const disruption = JSON.parse(data) as Partial<Disruption> | null
    if (typeof disruption?.id !== 'string' || !Array.isArray(disruption.suspects)) return undefined
    return { type, disruption: disruption as Disruption, atMs }
  } catch {
    return undefined
  }
}
