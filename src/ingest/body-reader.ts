import type { Envelope, EnvelopeKind, Receipt } from '../core/envelope.ts'
import type { Rejects } from '../core/rejects.ts'
import { hashText } from '../math/hash.ts'
import { ColumnsReader } from './columns-reader.ts'
import type { DecodeContext } from './context.ts'
import { Inflater } from './inflate.ts'
import { JsonBodies } from './json-bodies.ts'
import { decodeJsonLines } from './json-lines.ts'
import { KernelBodies } from './kernel-bodies.ts'
import { LabelSet } from './labels.ts'
import type { IntakeOptions } from './options.ts'
import { decodeOtlpJson } from './otlp-json.ts'
import { decodeOtlp } from './otlp-protobuf.ts'
import type { PointSink } from './point-sink.ts'
import { HistogramPoint } from './points.ts'
import { ProtoReader, wellFramed } from './protobuf.ts'
import { decodeRemoteWrite1 } from './remote-write-1.ts'
import { RemoteWrite2 } from './remote-write-2.ts'
import type { Tally } from './tally.ts'

const NOTHING = new Uint8Array(0)

/** Bytes of any supported format → calls of a sink, with what was taken and refused in a receipt. */
export class BodyReader {
  readonly #options: IntakeOptions
  readonly #rejects: Pick<Rejects, 'add'>
  readonly #tally: Tally
  readonly #inflater: Inflater
  readonly #context: DecodeContext
  readonly #remoteWrite2 = new RemoteWrite2()
  readonly #columns = new ColumnsReader()
  #length = 0
  /** The kind whose seeds are in the context, with its tenant. */
  #seededKind: EnvelopeKind | '' = ''
  #kernel: KernelBodies | undefined
  #plain: boolean
  /** Made with the first body of JSON lines, where it can be had. */
  #json: JsonBodies | undefined
  #hasJson = false
  /** Whether the body at hand is the kernel's. */
  #kernelReads = false

  constructor(options: IntakeOptions, convert: PointSink, tally: Tally, rejects: Pick<Rejects, 'add'>) {
    this.#options = options
    this.#plain = options.plain
    this.#rejects = rejects
    this.#tally = tally
    this.#inflater = new Inflater(options.inflatedBytesMax)
    this.#context = {
      reader: new ProtoReader(),
      convert,
      labels: new LabelSet(options),
      point: new HistogramPoint(options.bucketsMax),
      tally,
      hash: new Int32Array(3),
      options,
      entityLabel: options.entityLabels[0] ?? '',
      tenant: 'default',
      seed: 0,
      seedCheck: 0,
    }
  }

  /** Makes a body ready to be read; a receipt when it cannot be read at all. */
  open(envelope: Envelope): Receipt | undefined {
    const { bytes, kind } = envelope
    this.#kernelReads = false
    // Our own messages, as long as the log takes them: limits are for what comes from outside.
    if (kind === 'columns') return this.#begin(envelope, bytes, bytes.length)
    const { bodyBytesMax, inflatedBytesMax } = this.#options
    if (bytes.length > bodyBytesMax) {
      return this.#fail(envelope, 'FS_INPUT_TOO_LARGE', `${bytes.length} bytes; at most ${bodyBytesMax}`)
    }
    if (envelope.encoding !== 'gzip' && (kind === 'remote-write-1' || kind === 'remote-write-2')) {
      const failure = this.#kernelFor()?.open(envelope.encoding, bytes, inflatedBytesMax) ?? 'no-room'
      if (failure !== 'no-room') {
        this.#kernelReads = true
        return this.#inflationFailure(envelope, failure) ?? this.#begin(envelope, NOTHING, 0)
      }
    }
    const inflated = this.#inflater.inflate(envelope.encoding, bytes)
    return (
      this.#inflationFailure(envelope, inflated.failure) ??
      this.#begin(envelope, inflated.bytes, inflated.length)
    )
  }

  /** The kernel over the memory of the sink's table as it is now; undefined where bodies are read plainly. */
  #kernelFor(): KernelBodies | undefined {
    if (this.#plain) return undefined
    const { memory } = this.#context.convert.table
    if (this.#kernel?.memory !== memory) {
      this.#kernel = KernelBodies.over(memory)
      this.#plain = this.#kernel === undefined
    }
    return this.#kernel
  }

  #inflationFailure(envelope: Envelope, failure: '' | 'too-large' | 'corrupt'): Receipt | undefined {
    if (failure === 'too-large') {
      const detail = `inflates to more than ${this.#options.inflatedBytesMax} bytes`
      return this.#fail(envelope, 'FS_INPUT_TOO_LARGE', detail)
    }
    if (failure !== '') {
      return this.#fail(envelope, 'FS_INPUT_INVALID', `the ${envelope.encoding} encoding is corrupt`)
    }
    return undefined
  }

  #begin(envelope: Envelope, bytes: Uint8Array, length: number): Receipt | undefined {
    const { kind } = envelope
    const c = this.#context
    c.reader.reset(bytes, length)
    this.#length = length
    if (c.tenant !== envelope.tenant || this.#seededKind !== kind) this.#seed(envelope)
    const protobuf = kind === 'remote-write-1' || kind === 'remote-write-2' || kind === 'otlp-protobuf'
    const framed = this.#kernelReads
      ? this.#kernel?.framed(kind === 'remote-write-1' ? 1 : 2)
      : !protobuf || wellFramed(c.reader)
    if (!framed) {
      return this.#fail(envelope, 'FS_INPUT_INVALID', 'the body is not a protobuf message of its kind')
    }
    this.#tally.clear()
    return undefined
  }

  /** The seeds of identities: bodies of one tenant and kind mostly follow each other. */
  #seed({ tenant, kind }: Envelope): void {
    const c = this.#context
    c.tenant = tenant
    this.#seededKind = kind
    hashText(`${tenant}/${kind}`, 1, c.hash)
    c.seed = c.hash[0]
    c.seedCheck = c.hash[1]
  }

  /** Reads what was opened; '' or why the whole of it cannot be read. */
  read(envelope: Envelope): string {
    const c = this.#context
    if (this.#kernelReads && this.#kernel) {
      const version = envelope.kind === 'remote-write-1' ? 1 : 2
      return this.#kernel.read(c, version, this.#remoteWrite2, c.convert.converts)
    }
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
        return decodeOtlpJson(c, this.#length)
      case 'json-lines':
        return this.#readLines(c)
      case 'columns':
        return this.#columns.decode(c)
      default:
        return `${envelope.kind} carries no samples`
    }
  }

  #readLines(c: DecodeContext): string {
    if (!this.#options.plain && !this.#hasJson) {
      this.#hasJson = true
      this.#json = JsonBodies.make()
    }
    return this.#json ? this.#json.decode(c, this.#length) : decodeJsonLines(c, this.#length)
  }

  /** What became of it. */
  close(envelope: Envelope, failure: string): Receipt {
    const tally = this.#tally
    tally.flush(this.#rejects, envelope.arrivalMs)
    const { samples, histograms, exemplars, rejected } = tally
    const taken = { samples, histograms, exemplars }
    if (failure === '') return { ...taken, rejected, reasons: tally.reasons() }
    // What was read before the rest was given up is taken all the same.
    const failed = this.#fail(envelope, 'FS_INPUT_INVALID', failure)
    return { ...failed, ...taken, rejected: rejected + failed.rejected }
  }

  /** Bytes held. */
  bytes(): number {
    return this.#inflater.held + (this.#kernel?.held ?? 0) + (this.#json?.bytes() ?? 0)
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
