import { type AssembledInline, assemble } from '../assembly.ts'
import { loadConfig } from '../config.ts'
import type { SampleBatch } from '../core/batch.ts'
import type { Change } from '../core/change.ts'
import type { DisruptionEvent } from '../core/disruption.ts'
import { Rejects } from '../core/rejects.ts'
import type { ExplainedSuspect } from '../core/stages.ts'
import { Telemetry } from '../core/telemetry.ts'
import type { CallEdge } from '../core/topology.ts'
import type { CauseRules } from '../disruptions/cause.ts'
import { Pipeline } from '../pipeline.ts'

export interface RecordedWorldOptions {
  readonly stepMs: number
  /** Windows kept per series: as many as the recording has, so that the whole past can be asked about. */
  readonly windows: number
  readonly config?: string | undefined
  /** Variables of the environment that are read; none for a measurement. */
  readonly environment?: Readonly<Record<string, string | undefined>>
}

/** Bytes that the history of a recording may take; the rest has no past and is told as refused. */
const HISTORY_BUDGET = String(2 ** 30)

/** Rows of a recording are given out before it plays, so none may be taken back while it does. */
export const KEEP_ALL = '36500d'

/** The shipped pipeline over recorded samples: what `replay` runs, with a history long enough to be asked. */
export class RecordedWorld {
  readonly parts: AssembledInline
  readonly rejects = new Rejects()
  readonly events: DisruptionEvent[] = []
  readonly #pipeline: Pipeline
  #position = 0

  constructor({ stepMs, windows, config, environment }: RecordedWorldOptions) {
    const flags = {
      FORESHOCK_FEATURES_STEP: `${stepMs}ms`,
      FORESHOCK_FEATURES_LATENESS: '1ms',
      FORESHOCK_FEATURES_RETENTION: KEEP_ALL,
      FORESHOCK_FEATURES_HISTORY_WINDOWS: String(Math.max(2, windows)),
      FORESHOCK_FEATURES_HISTORY_BUDGET: HISTORY_BUDGET,
    }
    this.parts = assemble(
      loadConfig({ file: config, flags, ...(environment ? { environment } : {}) }),
      this.rejects,
    )
    this.#pipeline = new Pipeline(
      this.parts,
      async (_, outcome) => {
        this.events.push(...outcome.events)
      },
      new Telemetry(),
    )
  }

  know(edges: readonly CallEdge[], changes: readonly Change[]): void {
    this.parts.disruptions.addEdges(edges, 0)
    for (const change of changes) this.parts.disruptions.change(change)
  }

  async take(batch: SampleBatch): Promise<void> {
    if (batch.length === 0) return
    this.parts.windows.add(batch, batch.timeMs[batch.length - 1])
    await this.#pipeline.drain(++this.#position)
  }

  end(): Promise<void> {
    return this.#pipeline.finish(++this.#position)
  }

  explain(
    atMs: number,
    lookbackMs: number,
    alert?: { readonly entity: string; readonly metric: string },
    rules?: CauseRules,
  ): readonly ExplainedSuspect[] {
    return this.parts.disruptions.explain(atMs, lookbackMs, alert, undefined, rules)
  }
}
