// The control of goal 1: what most services do with remote write. Packages from npm inflate and decode, labels become a
// string that is looked up in a Map, every sample is an object, and each series is an instance of a class. It scores less
// than ours: an EWMA with its variance, and a two-sided CUSUM.
import protobuf from 'protobufjs'
import { uncompress } from 'snappyjs'

const SCHEMA = `
syntax = "proto3";
message Label { string name = 1; string value = 2; }
message Sample { double value = 1; int64 timestamp = 2; }
message TimeSeries { repeated Label labels = 1; repeated Sample samples = 2; }
message WriteRequest { repeated TimeSeries timeseries = 1; }
`

interface WriteRequest {
  readonly timeseries: readonly {
    readonly labels: readonly { readonly name: string; readonly value: string }[]
    readonly samples: readonly {
      readonly value: number
      readonly timestamp: number | { toNumber(): number }
    }[]
  }[]
}

interface Sample {
  readonly series: SeriesState
  readonly timeMs: number
  readonly value: number
}

export interface Score {
  readonly key: string
  readonly timeMs: number
  readonly score: number
}

/** Half-life of some ten samples, and the slack and bound of a textbook CUSUM, in standard deviations. */
const ALPHA = 0.07
const SLACK = 0.5
const CUSUM_MAX = 50
/** Samples before the first opinion. */
const WARM = 8

class SeriesState {
  readonly key: string
  mean = 0
  variance = 0
  up = 0
  down = 0
  count = 0

  constructor(key: string) {
    this.key = key
  }

  score(value: number): number {
    if (this.count === 0) this.mean = value
    const delta = value - this.mean
    const z = delta / (Math.sqrt(this.variance) + 1e-9)
    this.mean += ALPHA * delta
    this.variance = (1 - ALPHA) * (this.variance + ALPHA * delta * delta)
    if (this.count++ < WARM) return 0
    this.up = Math.min(CUSUM_MAX, Math.max(0, this.up + z - SLACK))
    this.down = Math.min(CUSUM_MAX, Math.max(0, this.down - z - SLACK))
    return Math.max(Math.abs(z), this.up, this.down)
  }
}

export class IdiomaticScorer {
  readonly #type = protobuf.parse(SCHEMA).root.lookupType('WriteRequest')
  readonly #series = new Map<string, SeriesState>()

  get size(): number {
    return this.#series.size
  }

  /** Scores of all samples of a snappy remote-write 1.0 body. */
  write(body: Uint8Array): Score[] {
    const request = this.#type.decode(uncompress(body)) as unknown as WriteRequest
    const samples: Sample[] = []
    for (const { labels, samples: points } of request.timeseries) {
      const key = labels.map(({ name, value }) => `${name}="${value}"`).join(',')
      let series = this.#series.get(key)
      if (!series) {
        series = new SeriesState(key)
        this.#series.set(key, series)
      }
      for (const { value, timestamp } of points) {
        const timeMs = typeof timestamp === 'number' ? timestamp : timestamp.toNumber()
        samples.push({ series, timeMs, value })
      }
    }
    return samples.map(({ series, timeMs, value }) => ({
      key: series.key,
      timeMs,
      score: series.score(value),
    }))
  }
}
