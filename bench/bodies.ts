import { compress } from 'snappyjs'
import type { Envelope } from '../src/core/envelope.ts'

/**
 * Remote-write 1.0 bodies as Prometheus sends them: sorted labels, one sample a series, snappy. Written by hand
 * straight into one buffer, so that making a million series' bodies costs less than what is measured with them.
 */
const METRICS = [
  'http_requests_total',
  'process_resident_memory_bytes',
  'queue_depth',
  'cpu_usage_ratio',
] as const
/** Series of one service: enough services that one is not the whole fleet, few enough to be entities. */
const SERVICES = 997
/** Bytes of one series at most, with room to spare. */
const SERIES_BYTES_MAX = 512
/** A fixed table of noise around 1: drawing numbers must not be what is measured. */
const NOISE = Float64Array.from({ length: 65_536 }, (_, i) =>
  Math.exp(0.3 * Math.sin(i * 12.9898) * Math.cos(i * 78.233)),
)
const encoder = new TextEncoder()

/** A value of series `i` at step `t`: lognormal noise around a level of its own; `_total` ones only grow. */
export function sampleOf(i: number, t: number): number {
  const noise = NOISE[(i * 7 + t * 7919) & 65_535]
  if (i % METRICS.length === 0) return 1000 * t + 100 * noise
  return (1 + (i % 31)) * noise
}

/** A snappy remote-write 1.0 body of samples of `ms`, as it comes two seconds later. */
export function scraped(bytes: Uint8Array, ms: number): Envelope {
  return { kind: 'remote-write-1', encoding: 'snappy', arrivalMs: ms + 2000, tenant: 'default', bytes }
}

export class BodyWriter {
  #bytes = new Uint8Array(0)
  #view = new DataView(this.#bytes.buffer)
  #at = 0

  /** The snappy body of `count` series from `first` at step `t`, whose event time is `ms`. */
  body(first: number, count: number, t: number, ms: number): Uint8Array {
    if (this.#bytes.length < count * SERIES_BYTES_MAX) {
      this.#bytes = new Uint8Array(count * SERIES_BYTES_MAX)
      this.#view = new DataView(this.#bytes.buffer)
    }
    this.#at = 0
    for (let i = first; i < first + count; i++) this.#series(i, t, ms)
    return compress(this.#bytes.subarray(0, this.#at))
  }

  #series(i: number, t: number, ms: number): void {
    this.#bytes[this.#at++] = 0x0a
    const lengthAt = this.#at
    // A series is longer than 127 and shorter than 16,384 bytes: its length takes two bytes.
    this.#at += 2
    const start = this.#at
    const service = `service-${i % SERVICES}`
    this.#label('__name__', METRICS[i % METRICS.length])
    this.#label('cluster', 'eu-west-1')
    this.#label('instance', `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}:9090`)
    this.#label('job', service)
    this.#label('namespace', `team-${i % 13}`)
    this.#label('pod', `${service}-7d9f8b6c5-${i.toString(36)}`)
    this.#bytes[this.#at++] = 0x12
    this.#bytes[this.#at++] = 16
    this.#bytes[this.#at++] = 0x09
    this.#view.setFloat64(this.#at, sampleOf(i, t), true)
    this.#at += 8
    this.#bytes[this.#at++] = 0x10
    for (let left = ms; ; left = Math.floor(left / 128)) {
      this.#bytes[this.#at++] = left >= 128 ? (left % 128) + 128 : left
      if (left < 128) break
    }
    const length = this.#at - start
    this.#bytes[lengthAt] = (length & 127) | 128
    this.#bytes[lengthAt + 1] = length >> 7
  }

  #label(name: string, value: string): void {
    const bytes = this.#bytes
    bytes[this.#at++] = 0x0a
    const lengthAt = this.#at++
    bytes[this.#at++] = 0x0a
    this.#text(name)
    bytes[this.#at++] = 0x12
    this.#text(value)
    bytes[lengthAt] = this.#at - lengthAt - 1
  }

  /** Short ASCII with its length in one byte. */
  #text(text: string): void {
    this.#bytes[this.#at] = text.length
    encoder.encodeInto(text, this.#bytes.subarray(this.#at + 1))
    this.#at += text.length + 1
  }
}
