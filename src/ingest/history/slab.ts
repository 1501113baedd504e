import { ByteWriter, varintSize } from '../../core/byte-writer.ts'

/** A body is sent on when it is this long, so that no body limit is met. */
const BODY_BYTES = 1_048_576

interface Held {
  /** The labels as a remote-write series carries them, sorted by name. */
  readonly labels: Uint8Array
  timeMs: Float64Array
  value: Float64Array
  length: number
  /** Whole histograms as the sender wrote them, with their times. */
  readonly histograms: { readonly timeMs: number; readonly bytes: Uint8Array }[]
  at: number
  histogramAt: number
}

/**
 * Fetched history of many series, which comes series by series, turned to bodies in time order: remote-write bodies of one
 * window's samples each, so that the intake and the windows take them as they take live ones, and a series is the
 * same series in both.
 */
export class HistorySlab {
  readonly #series = new Map<string, Held>()
  samples = 0

  get seriesCount(): number {
    return this.#series.size
  }

  /** The series of a label set, made when new; label bytes equal to those that Prometheus writes. */
  series(labels: Readonly<Record<string, string>>): Held {
    const names = Object.keys(labels).sort()
    const writer = new ByteWriter(256)
    const label = new ByteWriter(128)
    for (const name of names) {
      label.clear()
      label.text(0x0a, name)
      label.text(0x12, labels[name])
      writer.field(0x0a, label.take())
    }
    return this.#held(JSON.stringify(names.map(name => [name, labels[name]])), writer)
  }

  #held(key: string, labels: ByteWriter): Held {
    let held = this.#series.get(key)
    if (!held) {
      held = {
        labels: labels.take(),
        timeMs: new Float64Array(64),
        value: new Float64Array(64),
        length: 0,
        histograms: [],
        at: 0,
        histogramAt: 0,
      }
      this.#series.set(key, held)
    }
    return held
  }

  /** Takes a sample; one that is not later than the series' last is a repetition by an overlapping query. */
  add(held: Held, timeMs: number, value: number): void {
    const { length } = held
    if (length > 0 && timeMs <= held.timeMs[length - 1]) return
    if (length === held.timeMs.length) {
      held.timeMs = longer(held.timeMs)
      held.value = longer(held.value)
    }
    held.timeMs[length] = timeMs
    held.value[length] = value
    held.length++
    this.samples++
  }

  addHistogram(held: Held, timeMs: number, bytes: Uint8Array): void {
    const last = held.histograms[held.histograms.length - 1]
    if (last && timeMs <= last.timeMs) return
    held.histograms.push({ timeMs, bytes })
    this.samples++
  }

  /** All of it once, a window of `stepMs` after another, each in one body or more; the slab is spent afterwards. */
  *bodies(stepMs: number): Generator<{ readonly bytes: Uint8Array; readonly endMs: number }> {
    const body = new ByteWriter(BODY_BYTES)
    const one = new ByteWriter(4096)
    // By label set: which of several questions was answered first must not decide anything.
    const all = [...this.#series.keys()].sort().map(key => this.#series.get(key) as Held)
    for (let endMs = this.#nextEnd(all, stepMs); Number.isFinite(endMs); endMs = this.#nextEnd(all, stepMs)) {
      for (const held of all) {
        one.clear()
        writeSamples(held, endMs, one)
        if (one.length === 0) continue
        const length = held.labels.length + one.length
        body.varint(0x0a)
        body.varint(length)
        body.bytes(held.labels)
        body.bytes(one.take())
        if (body.length < BODY_BYTES) continue
        yield { bytes: body.take(), endMs }
        body.clear()
      }
      if (body.length > 0) yield { bytes: body.take(), endMs }
      body.clear()
    }
  }

  /** End of the window that the earliest waiting sample lies in; Infinity when nothing waits. */
  #nextEnd(all: readonly Held[], stepMs: number): number {
    let first = Number.POSITIVE_INFINITY
    for (const held of all) {
      if (held.at < held.length) first = Math.min(first, held.timeMs[held.at])
      if (held.histogramAt < held.histograms.length)
        first = Math.min(first, held.histograms[held.histogramAt].timeMs)
    }
    return (Math.floor(first / stepMs) + 1) * stepMs
  }
}

function writeSamples(held: Held, endMs: number, out: ByteWriter): void {
  while (held.at < held.length && held.timeMs[held.at] < endMs) {
    const timeMs = held.timeMs[held.at]
    out.varint(0x12)
    out.varint(9 + 1 + varintSize(timeMs))
    out.varint(0x09)
    out.double(held.value[held.at])
    out.varint(0x10)
    out.varint(timeMs)
    held.at++
  }
  for (; held.histogramAt < held.histograms.length; held.histogramAt++) {
    const { timeMs, bytes } = held.histograms[held.histogramAt]
    if (timeMs >= endMs) return
    out.field(0x22, bytes)
  }
}

function longer(column: Float64Array): Float64Array {
  const twice = new Float64Array(2 * column.length)
  twice.set(column)
  return twice
}
