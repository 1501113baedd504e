import type { Anomaly } from '../../src/core/anomaly.ts'
import { featureBatch, opinionBatch } from '../../src/core/batch.ts'
import { LocalTime } from '../../src/core/local-time.ts'
import { type SeriesMeta, SeriesTable, seriesKey } from '../../src/core/series.ts'
import type { AnomalyChange } from '../../src/core/stages.ts'
import { AbsenceDetector } from '../../src/detectors/absence.ts'
import { AlertPolicy, type PolicyOptions } from '../../src/detectors/alert-policy.ts'
import { DeviationDetector } from '../../src/detectors/deviation.ts'
import { Ensemble } from '../../src/detectors/ensemble.ts'
import { ENSEMBLE_DEFAULTS } from '../../src/detectors/ensemble-options.ts'
import type { Profile } from '../../src/detectors/profile-choice.ts'
import { profileMembers } from '../../src/detectors/profile-member.ts'
import { ShiftDetector } from '../../src/detectors/shift.ts'

/** Monday, 2 March 2026. */
export const START_MS = Date.UTC(2026, 2, 2)

export const NO_POLICY: PolicyOptions = { rules: [], budgets: [], calendar: [], timeZone: 'UTC' }

export function metaOf(metric: string, entity: string, more: Partial<SeriesMeta> = {}): SeriesMeta {
  const labels = { service: entity, ...more.labels }
  return {
    tenant: 'default',
    metric,
    entity,
    unit: '',
    kind: 'other',
    bad: 'both',
    ...more,
    labels,
    key: seriesKey(metric, labels),
  }
}

export interface Told extends AnomalyChange {
  /** Window in which it was told. */
  readonly t: number
}

/** The live ensemble over some series, as assembly.ts builds it, fed window by window. */
export class PolicyWorld {
  readonly series = new SeriesTable()
  readonly ensemble: Ensemble
  readonly stepMs: number
  readonly out
  readonly #batch
  readonly #weight: Float32Array
  /** Start of window 0, Unix ms. */
  readonly startMs: number

  constructor(
    metas: readonly SeriesMeta[],
    policy: Partial<PolicyOptions> | undefined,
    { stepMs = 60_000, profile = 'none' as Profile, startMs = START_MS } = {},
  ) {
    this.stepMs = stepMs
    this.startMs = startMs
    for (const meta of metas) this.series.intern(meta)
    const context = { series: this.series, stepMs }
    const configured = policy && new AlertPolicy({ ...NO_POLICY, ...policy }, ENSEMBLE_DEFAULTS, context)
    const told = {
      ...context,
      localTime: new LocalTime(policy?.timeZone ?? 'UTC'),
      ...(configured ? { direction: (row: number) => configured.direction(row) } : {}),
    }
    const detectors = [
      ...profileMembers(told, profile, []),
      new DeviationDetector(told),
      new ShiftDetector(told),
      new AbsenceDetector(told),
    ]
    this.ensemble = new Ensemble(detectors, ENSEMBLE_DEFAULTS, context, { policy: configured })
    this.#batch = featureBatch(metas.length, 0)
    this.out = opinionBatch(metas.length)
    this.#weight = new Float32Array(metas.length).fill(1)
  }

  /** One window: `value` by row. */
  async step(t: number, value: (row: number) => number): Promise<AnomalyChange[]> {
    const batch = this.#batch
    batch.length = batch.capacity
    for (let row = 0; row < batch.length; row++) {
      batch.series[row] = row
      batch.windowEndMs[row] = this.startMs + (t + 1) * this.stepMs
      batch.observed[row] = value(row)
      batch.coverage[row] = Number.isNaN(batch.observed[row]) ? 0 : 1
    }
    await this.ensemble.score(batch, this.out)
    const changes = this.ensemble.judge(batch, this.out)
    this.ensemble.learn(batch, this.out, this.#weight)
    return changes
  }

  async drive(from: number, to: number, value: (row: number, t: number) => number): Promise<Told[]> {
    const told: Told[] = []
    for (let t = from; t < to; t++) {
      for (const change of await this.step(t, row => value(row, t))) told.push({ ...change, t })
    }
    return told
  }

  /** Another world with what this one learned. */
  restoreInto(other: PolicyWorld): PolicyWorld {
    other.ensemble.restore(this.ensemble.snapshot())
    return other
  }
}

export const opened = (told: readonly Told[]): readonly (Anomaly & { t: number })[] =>
  told.filter(one => one.event === 'opened').map(({ anomaly, t }) => ({ ...anomaly, t }))
