import type { SampleBatch } from '../core/batch.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import type { Envelope, Receipt } from '../core/envelope.ts'
import type { Rejects } from '../core/rejects.ts'
import type { SeriesTable } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { Intake } from '../core/stages.ts'
import { BodyReader } from './body-reader.ts'
import { Converter } from './convert.ts'
import { cutConverter, restoreConverter, snapshotConverter } from './convert-state.ts'
import { INTAKE_DEFAULTS, type IntakeOptions } from './options.ts'
import { Tally } from './tally.ts'

export interface IntakeContext {
  readonly series: SeriesTable
  readonly rejects: Rejects
}

/** Bytes of any supported wire format → converted samples. */
export class IngestIntake implements Intake {
  readonly #series: SeriesTable
  readonly #convert: Converter
  readonly #body: BodyReader

  constructor(options: Partial<IntakeOptions>, context: IntakeContext) {
    const all = { ...INTAKE_DEFAULTS, ...options }
    const tally = new Tally()
    this.#series = context.series
    this.#convert = new Converter(all, this.#series, tally)
    this.#body = new BodyReader(all, this.#convert, tally, context.rejects)
  }

  decode(envelope: Envelope, take: (batch: SampleBatch) => void): Receipt {
    const refused = this.#body.open(envelope)
    if (refused) return refused
    this.#convert.begin(envelope.arrivalMs, take)
    const failure = this.#body.read(envelope)
    this.#convert.end()
    return this.#body.close(envelope, failure)
  }

  snapshot(): Snapshot[] {
    return snapshotConverter(this.#convert)
  }

  cut(cut: Cut): CutSnapshot[] {
    return cutConverter(this.#convert, cut)
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
    return this.#convert.table.bytes() + this.#body.bytes()
  }

  /** Wire series dropped because their table was full. */
  get evictions(): number {
    return this.#convert.evictions
  }
}
