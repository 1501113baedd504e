/**
 * Everything that enters the pipeline, as it came: the journal keeps envelopes, replay reads them again, and the
 * pipeline is a pure function of their sequence. That is what makes a restart repeat itself exactly.
 */
export type EnvelopeKind =
  | 'remote-write-1'
  | 'remote-write-2'
  | 'otlp-protobuf'
  | 'otlp-json'
  | 'json-lines'
  /** Raw points as one gateway of a fleet hands them to a scorer. */
  | 'columns'
  | 'change'
  | 'tick'
  | 'maintenance'
  | 'model'

export interface Envelope {
  readonly kind: EnvelopeKind
  /** Content encoding of `bytes` as received. Remote write is a snappy block. */
  readonly encoding: 'identity' | 'gzip' | 'snappy'
  /** Wall clock at arrival, Unix ms: the only time that is not event time. */
  readonly arrivalMs: number
  readonly tenant: string
  readonly bytes: Uint8Array
}

/** What became of one envelope: the answer to its sender. */
export interface Receipt {
  /** Samples, histograms and exemplars taken. */
  readonly samples: number
  readonly histograms: number
  readonly exemplars: number
  readonly rejected: number
  /** First reasons, at most a few, each naming what was wrong and where. */
  readonly reasons: readonly string[]
  /** Set when the body could not be read, or not to its end. */
  readonly failure?: { readonly code: 'FS_INPUT_INVALID' | 'FS_INPUT_TOO_LARGE'; readonly detail: string }
}

export const EMPTY_RECEIPT: Receipt = { samples: 0, histograms: 0, exemplars: 0, rejected: 0, reasons: [] }
