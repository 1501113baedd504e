import { assemble } from '../src/assembly.ts'
import { parseConfig } from '../src/config.ts'
import type { FeatureBatch, OpinionBatch } from '../src/core/batch.ts'
import type { Disruption } from '../src/core/disruption.ts'
import { Rejects } from '../src/core/rejects.ts'
import { Telemetry } from '../src/core/telemetry.ts'
import { type Outcome, Pipeline } from '../src/pipeline.ts'
import { jsonLines } from './envelopes.ts'

export interface Line {
  readonly metric: string
  readonly labels: Readonly<Record<string, string>>
  /** NaN is sent as null, which is an explicit gap. */
  readonly value: number
  readonly type?: 'gauge' | 'counter'
}

/** The pipeline as shipped, fed with JSON lines as the live service is, and everything it said. */
export class PipelineWorld {
  readonly rejects = new Rejects()
  readonly parts
  readonly told: Outcome[] = []
  readonly #pipeline: Pipeline
  #position = 0

  /** `listen` sees every batch with what was said of it. */
  constructor(config: object, listen: (batch: FeatureBatch, opinions: OpinionBatch) => void = () => {}) {
    this.parts = assemble(parseConfig({ ingest: { entityLabels: ['service'] }, ...config }), this.rejects)
    const { scoring } = this.parts
    const judge = scoring.judge.bind(scoring)
    scoring.judge = (batch, opinions) => {
      listen(batch, opinions)
      return judge(batch, opinions)
    }
    this.#pipeline = new Pipeline(
      this.parts,
      async (_, outcome) => void this.told.push(outcome),
      new Telemetry(),
    )
  }

  async send(timeMs: number, lines: readonly Line[], arrivalMs = timeMs + 1000): Promise<void> {
    const told = lines.map(line => ({ time: timeMs, type: 'gauge', ...line }))
    await this.#pipeline.process(++this.#position, jsonLines(told, arrivalMs))
  }

  /** An export of OTLP metrics, as JSON. */
  async sendOtlp(arrivalMs: number, body: object): Promise<void> {
    const bytes = new TextEncoder().encode(JSON.stringify(body))
    const envelope = { kind: 'otlp-json', encoding: 'identity', tenant: 'default', bytes, arrivalMs } as const
    await this.#pipeline.process(++this.#position, envelope)
  }

  /** Wall time passes. */
  async tick(arrivalMs: number): Promise<void> {
    const bytes = new Uint8Array(0)
    const envelope = { kind: 'tick', encoding: 'identity', tenant: 'default', arrivalMs, bytes } as const
    await this.#pipeline.process(++this.#position, envelope)
  }

  finish(): Promise<void> {
    return this.#pipeline.finish(++this.#position)
  }

  opened(): Disruption[] {
    return this.told.flatMap(({ events }) =>
      events.filter(({ type }) => type === 'opened').map(({ disruption }) => disruption),
    )
  }
}
