import type { SampleBatch } from '../core/batch.ts'
import type { Envelope, Receipt } from '../core/envelope.ts'
import type { Rejects } from '../core/rejects.ts'
import type { SeriesTable } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { Intake } from '../core/stages.ts'
import { hashText } from '../math/hash.ts'
import type { DecodeContext } from './context.ts'
import { Converter } from './convert.ts'
import { restoreConverter, snapshotConverter } from './convert-state.ts'
import { Inflater } from './inflate.ts'
import { decodeJsonLines } from './json-lines.ts'
import { LabelSet } from './labels.ts'
import { INTAKE_DEFAULTS, type IntakeOptions } from './options.ts'
import { decodeOtlpJson } from './otlp-json.ts'
import { decodeOtlp } from './otlp-protobuf.ts'
import { HistogramPoint } from './points.ts'
import { ProtoReader, wellFramed } from './protobuf.ts'
import { decodeRemoteWrite1 } from './remote-write-1.ts'
import { RemoteWrite2 } from './remote-write-2.ts'
import { Tally } from './tally.ts'

export interface IntakeContext {
  readonly series: SeriesTable
  readonly rejects: Rejects
}

/** Bytes of any supported wire format → converted samples. */
export class IngestIntake implements Intake {
  readonly #options: IntakeOptions
  readonly #series: SeriesTable
  readonly #rejects: Rejects
  readonly #tally = new Tally()
  readonly #inflater: Inflater
  readonly #convert: Converter
  readonly #context: DecodeContext
  readonly #remoteWrite2: RemoteWrite2

  constructor(options: Partial<IntakeOptions>, context: IntakeContext) {
    this.#options = { ...INTAKE_DEFAULTS, ...options }
    this.#series = context.series
    this.#rejects = context.rejects
    this.#inflater = new Inflater(this.#options.inflatedBytesMax)
    this.#convert = new Converter(this.#options, this.#series, this.#tally)
    this.#context = {
      reader: new ProtoReader(),
      convert: this.#convert,
      labels: new LabelSet(this.#options),
      point: new HistogramPoint(this.#options.bucketsMax),
      tally: this.#tally,
      hash: new Int32Array(2),
      options: this.#options,
      entityLabel: this.#options.entityLabels[0] ?? '',
      tenant: 'default',
      seed: 0,
    }
    this.#remoteWrite2 = new RemoteWrite2()
  }

  decode(envelope: Envelope, take: (batch: SampleBatch) => void): Receipt {
    const { bytes, kind } = envelope
    if (bytes.length > this.#options.bodyBytesMax) {
      return this.#fail(
        envelope,
        'FS_INPUT_TOO_LARGE',
        `${bytes.length} bytes; at most ${this.#options.bodyBytesMax}`,
      )
    }
    const inflated = this.#inflater.inflate(envelope.encoding, bytes)
    if (inflated.failure === 'too-large') {
      const detail = `inflates to more than ${this.#options.inflatedBytesMax} bytes`
      return this.#fail(envelope, 'FS_INPUT_TOO_LARGE', detail)
    }
    if (inflated.failure !== '') {
      return this.#fail(envelope, 'FS_INPUT_INVALID', `the ${envelope.encoding} encoding is corrupt`)
    }
    const c = this.#context
    c.reader.reset(inflated.bytes, inflated.length)
    c.tenant = envelope.tenant
    hashText(`${envelope.tenant}/${kind}`, 1, c.hash)
    c.seed = c.hash[0]
    const protobuf = kind === 'remote-write-1' || kind === 'remote-write-2' || kind === 'otlp-protobuf'
    if (protobuf && !wellFramed(c.reader)) {
      return this.#fail(envelope, 'FS_INPUT_INVALID', 'the body is not a protobuf message of its kind')
    }
    this.#tally.clear()
    this.#convert.begin(envelope.arrivalMs, take)
    const failure = this.#decode(envelope, inflated.length)
    this.#convert.end()
    this.#tally.flush(this.#rejects, envelope.arrivalMs)
    if (failure !== '') return this.#fail(envelope, 'FS_INPUT_INVALID', failure)
    return {
      samples: this.#tally.samples,
      histograms: this.#tally.histograms,
      exemplars: this.#tally.exemplars,
      rejected: this.#tally.rejected,
      reasons: this.#tally.reasons(),
    }
  }

  #decode(envelope: Envelope, length: number): string {
    const c = this.#context
    switch (envelope.kind) {
      case 'remote-write-1':
        decodeRemoteWrite1(c)
        return ''
      case 'remote-write-2':
        return this.#remoteWrite2.decode(c)
      case 'otlp-protobuf':
        decodeOtlp(c)
        return ''
      case 'otlp-json':
        return decodeOtlpJson(c, length)
      case 'json-lines':
        decodeJsonLines(c, length)
        return ''
      default:
        return `${envelope.kind} carries no samples`
    }
  }

  snapshot(): Snapshot[] {
    return snapshotConverter(this.#convert)
  }

  restore(parts: readonly Snapshot[]): void {
    restoreConverter(this.#convert, parts, this.#series)
  }

  forget(series: number): void {
    this.#convert.forget(series)
  }

  letGo(): void {
    this.#convert.letGo()
  }

  bytes(): number {
    return this.#convert.table.bytes() + this.#inflater.held
  }

  /** Wire series dropped because their table was full. */
  get evictions(): number {
    return this.#convert.evictions
  }

  #fail(envelope: Envelope, code: 'FS_INPUT_INVALID' | 'FS_INPUT_TOO_LARGE', detail: string): Receipt {
    const text = `${envelope.kind}: ${detail}`
    this.#rejects.add(code === 'FS_INPUT_INVALID' ? 'malformed' : 'too-large', text, envelope.arrivalMs)
    return {
      samples: 0,
      histograms: 0,
      exemplars: 0,
      rejected: 1,
      reasons: [text],
      failure: { code, detail: text },
    }
  }
}
