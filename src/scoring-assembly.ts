import { policyOptions } from './alerting.ts'
import type { Config } from './config/schema.ts'
import type { Detector, DetectorContext } from './core/detector.ts'
import { ForeshockError } from './core/errors.ts'
import type { SeriesHistory } from './core/history.ts'
import { LocalTime } from './core/local-time.ts'
import { Rejects } from './core/rejects.ts'
import { SeriesTable } from './core/series.ts'
import type { Scoring } from './core/stages.ts'
import { AbsenceDetector } from './detectors/absence.ts'
import { AlertPolicy } from './detectors/alert-policy.ts'
import { COMBINER_FOLDER, Combiner } from './detectors/combiner.ts'
import { DeviationDetector } from './detectors/deviation.ts'
import { Ensemble } from './detectors/ensemble.ts'
import { ENSEMBLE_DEFAULTS } from './detectors/ensemble-options.ts'
import { ModelMember, type ModelMemberOptions } from './detectors/model-member.ts'
import { PlainAbsence } from './detectors/plain-absence.ts'
import { PlainDetector } from './detectors/plain-detector.ts'
import { profileMembers } from './detectors/profile-member.ts'
import { RidgeMember } from './detectors/ridge-member.ts'
import { ShiftDetector } from './detectors/shift.ts'
import { SubHistory } from './detectors/sub-history.ts'
import { SubTable } from './detectors/sub-table.ts'
import { SuspectPool } from './detectors/suspect-pool.ts'
import { TieredScoring } from './detectors/tiered-scoring.ts'
import { WindowHistory } from './features/history.ts'

/** How learned models are had, and who is told of windows that two of their versions scored. */
export type ModelsPort = Pick<ModelMemberOptions, 'openModel' | 'observe' | 'cardOf'>

/** Tier 0 scores every series; a profile knows its daily shape. */
function detectorsOf(
  context: DetectorContext,
  { profile, profiles, combiner, memory, multivariate }: Config['detection'],
  onWarning: (text: string) => void,
): Detector[] {
  const onFailure = (error: ForeshockError) =>
    onWarning(`${error.code}: the combiner is left out, profiles speak for themselves: ${error.message}`)
  const weigher = combiner ? new Combiner(context, { folder: COMBINER_FOLDER, onFailure }) : undefined
  const { maxMetrics, budget: budgetBytes, cpuShare, warmUp: warmUpMax } = multivariate
  const together =
    multivariate.profile === 'none'
      ? []
      : [new RidgeMember(context, { maxMetrics, budgetBytes, cpuShare, warmUpMax })]
  // The first that has an expectation draws the band of quiet windows.
  return [
    ...profileMembers(context, profile, profiles, { budgetBytes: memory }, weigher),
    new DeviationDetector(context),
    new ShiftDetector(context),
    new AbsenceDetector(context),
    ...together,
  ]
}

/**
 * The ensemble, of which some series see all and the others a part where there may be more of them than can have everything.
 * `rows`: who sees all.
 */
export function assembleScoring(
  config: Config,
  context: DetectorContext,
  history: SeriesHistory & { forget(row: number): void },
  rows: SubTable | undefined,
  onWarning: (text: string) => void,
  models?: ModelsPort,
): {
  readonly scoring: Ensemble | TieredScoring
  readonly learned: ModelMember | undefined
  /** Whose budgets all series have. */
  readonly policy: AlertPolicy | undefined
} {
  const { series } = context
  if (rows === undefined) return ensembleOf(config, context, history, onWarning, models)
  const own = { ...context, series: rows }
  const past = new SubHistory(history, rows)
  const { scoring: rich, learned, policy: elder } = ensembleOf(config, own, past, onWarning, models)
  const { told, options, policy } = toldOf(context, config, elder)
  const shape = new PlainDetector(told)
  const plain = new Ensemble([shape], options, context, { policy, silence: new PlainAbsence(told, shape) })
  const onPlain = (row: number) => history.forget(row)
  return {
    scoring: new TieredScoring({ series, rows, rich, plain, stepMs: context.stepMs, onPlain }),
    learned,
    policy: elder,
  }
}

/** `elder`: the policy of other series, whose budgets are these ones' too. */
function toldOf(context: DetectorContext, { detection }: Config, elder?: AlertPolicy) {
  const configured = policyOptions(detection)
  const { openSurprise: openAt = ENSEMBLE_DEFAULTS.openAt, closeSurprise = ENSEMBLE_DEFAULTS.closeAt } =
    detection
  // Where only one of the two is said the other may lie beyond it: what opens is not calm at once.
  const options = { ...ENSEMBLE_DEFAULTS, openAt, closeAt: Math.min(openAt, closeSurprise) }
  const policy = configured && new AlertPolicy(configured, options, context, elder)
  const told: DetectorContext = {
    ...context,
    localTime: new LocalTime(detection.timeZone),
    ...(policy ? { direction: (row: number) => policy.direction(row) } : {}),
  }
  return { told, options, policy }
}

function ensembleOf(
  config: Config,
  context: DetectorContext,
  history: SeriesHistory,
  onWarning: (text: string) => void,
  models?: ModelsPort,
): {
  readonly scoring: Ensemble
  readonly learned: ModelMember | undefined
  readonly policy: AlertPolicy | undefined
} {
  const { detection } = config
  const { told, options, policy } = toldOf(context, config)
  const { size, timeout: timeoutMs } = detection.models
  const learned =
    models && size > 0 ? new ModelMember(told, { size, timeoutMs, history, ...models }) : undefined
  const scoring = new Ensemble(detectorsOf(told, detection, onWarning), options, context, {
    policy,
    pool: detection.pool.size > 0 ? new SuspectPool(detection.pool, told, history) : undefined,
    models: learned,
  })
  return { scoring, learned, policy }
}

/** Whether a row may be judged by others of its window, at the least in order: see `WINDOW_ROWS`. */
export function seesWhole({ detection }: Config, scoring: Pick<Scoring, 'models'>): boolean {
  const { multivariate, budget, budgets, rules } = detection
  const hasBudgets =
    budget !== undefined || budgets.length > 0 || rules.some(rule => rule.budget !== undefined)
  return multivariate.profile !== 'none' || hasBudgets || scoring.models().length > 0
}

/** Scoring as it would be done here, without any series: who speaks, and what parts of a checkpoint are theirs. */
export function listedScoring(config: Config, hasModels: boolean): Scoring {
  const series = new SeriesTable(1)
  const context = { series, stepMs: config.features.step }
  const { richSeries } = config.detection
  const rows = config.ingest.maxSeries > richSeries ? new SubTable(series, 1) : undefined
  const history = new WindowHistory({ stepMs: config.features.step, depth: 1, budgetBytes: 0 }, { series })
  const none = async () => {
    throw new ForeshockError('FS_ASSERTION', 'a list of scorers opens no model')
  }
  const plain = { ...config, detection: { ...config.detection, combiner: false } }
  return assembleScoring(plain, context, history, rows, () => {}, hasModels ? { openModel: none } : undefined)
    .scoring
}

/** A scorer that scores nothing: it knows who would, for the events to name them. */
export function scorerOf({ detection, features }: Config): Ensemble {
  const series = new SeriesTable(1)
  const context = { series, rejects: new Rejects(), stepMs: features.step }
  const detectors = detectorsOf(context, { ...detection, combiner: false }, () => {})
  const history = new WindowHistory({ stepMs: features.step, depth: 1, budgetBytes: 0 }, { series })
  const pool = detection.pool.size > 0 ? new SuspectPool(detection.pool, context, history) : undefined
  return new Ensemble(detectors, ENSEMBLE_DEFAULTS, context, { pool })
}
