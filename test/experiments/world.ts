import type {
  ExperimentEvent,
  ExperimentLabel,
  ExperimentStore,
  SavedExperiment,
} from '../../src/core/experiment.ts'
import { experimentPlanSchema } from '../../src/core/experiment.ts'
import type { ModelState, ModelUse, PairedScores } from '../../src/core/model.ts'
import { SeriesTable, seriesKey } from '../../src/core/series.ts'
import type { ExperimentOrder, ExperimentPorts } from '../../src/experiments/experiment-course.ts'
import { Experiments } from '../../src/experiments/experiments.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'

export const STEP_MS = 10_000
export const START_MS = Date.UTC(2026, 10, 20)
export const MODEL = 'shape-detector'

/** Two versions as scorers of one standard normal deviation: surprise of each from it and from noise of their own. */
export interface Scorer {
  /** How much of an anomaly's surprise it sees. */
  readonly sight: number
  /** Its surprises are this many times as large as calibration would have them. */
  readonly loudness?: number
  readonly ms?: number
  /** Rows of a window that fail. */
  readonly failed?: number
}

export interface Stretch {
  readonly entity: string
  readonly fromMs: number
  readonly toMs: number
}

/** A seeded fleet under two versions, and the models as the orders leave them. */
export class PairWorld {
  nowMs = START_MS
  windowEndMs = START_MS
  memoryBytes = 300e6
  readonly table = new SeriesTable(10_000)
  readonly orders: ExperimentOrder[] = []
  readonly audits: { who: string; action: string; detail: unknown }[] = []
  readonly told: (ExperimentEvent & { id: string })[] = []
  readonly store = new JsonStore()
  readonly anomalies: Stretch[] = []
  champion = 1
  challenger: number | undefined
  orderFails: string | undefined
  challengerProblem: string | undefined
  championUse = { rows: 0, failed: 0 }
  readonly #random: () => number
  readonly #rows: Uint32Array

  constructor(seed: number, entities = 10, seriesEach = 2) {
    this.#random = mulberry32(seed)
    const rows: number[] = []
    for (let e = 0; e < entities; e++)
      for (let s = 0; s < seriesEach; s++) {
        const labels = { service: `s${e}` }
        const metric = `m${s}`
        const meta = {
          tenant: 'default',
          metric,
          labels,
          entity: `s${e}`,
          unit: 's',
          kind: 'latency',
        } as const
        rows.push(this.table.intern({ key: seriesKey(metric, labels), bad: 'up', ...meta }))
      }
    this.#rows = Uint32Array.from(rows)
  }

  ports(more: Partial<ExperimentPorts> = {}): ExperimentPorts {
    return {
      store: this.store,
      clock: () => this.nowMs,
      table: this.table,
      openSurprise: 4,
      memoryBytes: () => this.memoryBytes,
      models: () => [this.state()],
      order: async order => {
        if (this.orderFails !== undefined) throw new Error(this.orderFails)
        this.orders.push(order)
        if (order.op === 'rollback') this.champion = 1
        else if (order.op === 'promote') {
          this.champion = order.version
          this.challenger = undefined
        } else this.challenger = 'version' in order ? order.version : undefined
      },
      audit: (who, action, detail) => this.audits.push({ who, action, detail }),
      tell: (id, _, event) => this.told.push({ id, ...event }),
      ...more,
    }
  }

  open(): Promise<Experiments> {
    return Experiments.open(this.ports())
  }

  state(): ModelState {
    const use = (version: number): ModelUse => ({
      version,
      digest: `sha256:${version}`,
      rows: 0,
      failed: 0,
      msPerRow: 0,
      msMax: 0,
    })
    return {
      model: MODEL,
      champion: { ...use(this.champion), ...this.championUse },
      previous: null,
      challenger:
        this.challenger === undefined
          ? null
          : {
              ...use(this.challenger),
              mode: 'shadow',
              share: 0,
              ...(this.challengerProblem === undefined ? {} : { problem: this.challengerProblem }),
            },
      covered: this.#rows.length,
      refused: 0,
    }
  }

  /** An anomaly of one entity in every `every` windows, five windows long, for labels. */
  plant(windows: number, every: number): void {
    for (let w = every; w + 5 < windows; w += every) {
      const entity = `s${(w / every) % 7}`
      const fromMs = this.windowEndMs + w * STEP_MS
      this.anomalies.push({ entity, fromMs, toMs: fromMs + 5 * STEP_MS })
    }
  }

  labels(kind: 'anomalous' | 'normal' = 'anomalous'): ExperimentLabel[] {
    return this.anomalies.map(({ entity, fromMs, toMs }) => ({
      tenant: 'default',
      of: 'entity',
      name: entity,
      fromMs,
      toMs,
      kind,
      by: 'ann',
    }))
  }

  /** The next windows as both saw them. */
  run(windows: number, to: (pair: PairedScores) => void, champion: Scorer, challenger: Scorer): void {
    for (let w = 0; w < windows; w++) {
      this.windowEndMs += STEP_MS
      this.nowMs += STEP_MS
      to(this.pair(champion, challenger))
    }
  }

  pair(champion: Scorer, challenger: Scorer): PairedScores {
    const n = this.#rows.length
    const a = new Float32Array(n)
    const b = new Float32Array(n)
    for (let k = 0; k < n; k++) {
      const { entity } = this.table.meta(this.#rows[k])
      const isStrange = this.anomalies.some(
        one => one.entity === entity && one.fromMs < this.windowEndMs && this.windowEndMs <= one.toMs,
      )
      a[k] = this.#surprise(isStrange, champion)
      b[k] = this.#surprise(isStrange, challenger)
    }
    if (challenger.failed) b.fill(NaN, 0, challenger.failed)
    return {
      model: MODEL,
      champion: 1,
      challenger: 2,
      windowEndMs: this.windowEndMs,
      length: n,
      series: this.#rows,
      championSurprise: a,
      challengerSurprise: b,
      championMs: champion.ms ?? 1,
      challengerMs: challenger.ms ?? 1.5,
      championFailed: 0,
      challengerFailed: challenger.failed ?? 0,
    }
  }

  /** −log₁₀ of a uniform number, and what it sees of the anomaly on top. */
  #surprise(isStrange: boolean, { sight, loudness = 1 }: Scorer): number {
    const ordinary = -Math.log10(1 - this.#random())
    return loudness * (isStrange && this.#random() < sight ? ordinary + 5 : ordinary)
  }
}

/** Keeps what a file would: text. */
export class JsonStore implements ExperimentStore {
  readonly kept = new Map<string, string>()
  async save(experiment: SavedExperiment): Promise<void> {
    this.kept.set(experiment.report.id, JSON.stringify(experiment))
  }
  async remove(id: string): Promise<void> {
    this.kept.delete(id)
  }
  async load(): Promise<SavedExperiment[]> {
    return [...this.kept.values()].map(text => JSON.parse(text))
  }
}

/** Units of a minute, so that a few hours are enough to know both versions' thresholds. */
export function plan(more: Record<string, unknown> = {}) {
  return experimentPlanSchema.parse({
    model: MODEL,
    challenger: 2,
    unitSeconds: 60,
    alertsPerSeriesWeek: 400,
    autoPromote: true,
    probationSeconds: 0,
    ...more,
  })
}
