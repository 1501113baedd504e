import type { Disruption, DisruptionEvent } from '../core/disruption.ts'
import { ForeshockError } from '../core/errors.ts'

/** A CloudEvents 1.0 event in structured JSON form. */
export interface CloudEvent {
  readonly specversion: '1.0'
  readonly id: string
  readonly source: string
  readonly type: string
  readonly subject: string
  readonly time: string
  readonly datacontenttype: 'application/json'
  /** Extension: pieces of evidence left out to keep the event small; absent when none was. */
  readonly evidenceomitted?: number
  readonly data: Disruption
}

/** Media type of a structured event. */
export const CLOUDEVENTS_TYPE = 'application/cloudevents+json; charset=utf-8'

export function cloudEvent(event: DisruptionEvent, source: string): CloudEvent {
  return {
    specversion: '1.0',
    id: event.id,
    source,
    type: `io.foreshock.disruption.${event.type}.v1`,
    subject: event.disruption.id,
    time: new Date(event.timeMs).toISOString(),
    datacontenttype: 'application/json',
    data: event.disruption,
  }
}

/**
 * Attributes of the binary form: `ce-…` HTTP headers, or `ce_…` for Kafka with `prefix`. HTTP header values are
 * percent-encoded as the HTTP binding asks (§3.1.3.2); Kafka takes UTF-8 as it is.
 */
export function binaryHeaders(
  event: DisruptionEvent,
  source: string,
  prefix: 'ce-' | 'ce_' = 'ce-',
): Record<string, string> {
  const { data: _, datacontenttype, ...attributes } = cloudEvent(event, source)
  const headers: Record<string, string> = { 'content-type': datacontenttype }
  for (const [name, value] of Object.entries(attributes)) {
    headers[prefix + name] = prefix === 'ce_' ? String(value) : percentEncoded(String(value))
  }
  return headers
}

function percentEncoded(value: string): string {
  return value.replace(/[^\x21\x23\x24\x26-\x7e]/gu, c =>
    Array.from(Buffer.from(c), byte => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
}

/**
 * The structured event as JSON of at most `bytesMax` bytes: evidence is left out from the weakest (last) on, then
 * suspects, changes and words beyond the first of each. What was left out can be read at `links.self`.
 */
export function fittedJson(event: CloudEvent, bytesMax: number): string {
  const whole = JSON.stringify(event)
  if (Buffer.byteLength(whole) <= bytesMax) return whole
  const { data } = event
  let low = 0
  let high = data.evidence.length
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (Buffer.byteLength(withEvidence(event, data, middle)) <= bytesMax) low = middle
    else high = middle - 1
  }
  const text = withEvidence(event, data, low)
  if (Buffer.byteLength(text) <= bytesMax) return text
  const short = withEvidence(event, shortened(data), 0)
  if (Buffer.byteLength(short) <= bytesMax) return short
  throw new ForeshockError('FS_INPUT_TOO_LARGE', `event ${event.id} does not fit into ${bytesMax} bytes`)
}

function withEvidence(event: CloudEvent, data: Disruption, count: number): string {
  const evidenceomitted = event.data.evidence.length - count
  return JSON.stringify({
    ...event,
    evidenceomitted,
    data: { ...data, evidence: data.evidence.slice(0, count) },
  })
}

/** Longest text kept in a shortened event. */
const TEXT_MAX = 300

function shortened(data: Disruption): Disruption {
  const cut = (text: string) => (text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX - 1)}…` : text)
  return {
    ...data,
    title: cut(data.title),
    entities: data.entities.slice(0, 10).map(cut),
    why: data.why.slice(0, 3).map(cut),
    suspects: data.suspects
      .slice(0, 3)
      .map(suspect => ({ ...suspect, why: suspect.why.slice(0, 1).map(cut) })),
    changes: data.changes.slice(0, 5),
    replay: { ...data.replay, models: {} },
  }
}
