import type { Config } from './config.ts'
import type { Detector, DetectorContext } from './core/detector.ts'
import { sha256 } from './core/identity.ts'
import type { Rejects } from './core/rejects.ts'
import { SeriesTable } from './core/series.ts'
import { VERSION } from './core/version.ts'
import { AbsenceDetector } from './detectors/absence.ts'
import { DeviationDetector } from './detectors/deviation.ts'
import { Ensemble } from './detectors/ensemble.ts'
import { ENSEMBLE_DEFAULTS } from './detectors/ensemble-options.ts'
import { profileMembers } from './detectors/profile-member.ts'
import { RidgeMember } from './detectors/ridge-member.ts'
import { ShiftDetector } from './detectors/shift.ts'
import { DISRUPTION_DEFAULTS } from './disruptions/options.ts'
import { Disruptions } from './disruptions/stage.ts'
import { WindowHistory } from './features/history.ts'
import { EventTimeWindows } from './features/windows.ts'
import { IngestIntake } from './ingest/intake.ts'
import type { PipelineParts } from './pipeline.ts'

/** The pipeline's parts before they are widened to their stage interfaces: `main` reads the history. */
export interface Assembled extends PipelineParts {
  readonly history: WindowHistory
  readonly disruptions: Disruptions
}

/** Tier 0 scores every series; a profile knows its daily shape. */
function detectorsOf(
  context: DetectorContext,
  { profile, profiles, multivariate }: Config['detection'],
): Detector[] {
  const { maxMetrics, budget: budgetBytes, cpuShare, warmUp: warmUpMax } = multivariate
  const together =
    multivariate.profile === 'none'
      ? []
      : [new RidgeMember(context, { maxMetrics, budgetBytes, cpuShare, warmUpMax })]
  // The first that has an expectation draws the band of quiet windows.
  return [
    ...profileMembers(context, profile, profiles),
    new DeviationDetector(context),
    new ShiftDetector(context),
    new AbsenceDetector(context),
    ...together,
  ]
}

/** What decides results, and nothing else: two runs with one digest give the same numbers. */
export function configDigest(config: Config): string {
  const { ingest, features, detection, disruptions } = config
  return `sha256:${sha256(JSON.stringify({ version: VERSION, ingest, features, detection, disruptions }))}`
}

/** Builds the stages of the pipeline, the same for the live service and for replay. */
export function assemble(config: Config, rejects: Rejects): Assembled {
  const { features, detection } = config
  const series = new SeriesTable(config.ingest.maxSeries)
  const context = { series, rejects, stepMs: features.step }
  const history = new WindowHistory(
    { stepMs: features.step, depth: features.historyWindows, budgetBytes: features.historyBudget },
    context,
  )
  const detectors = detectorsOf(context, detection)
  const intake = new IngestIntake(
    {
      bodyBytesMax: config.server.maxBodyBytes,
      inflatedBytesMax: config.ingest.maxInflatedBytes,
      labelsMax: config.ingest.maxLabels,
      labelValueLengthMax: config.ingest.maxLabelBytes,
      futureMsMax: config.ingest.future,
      entityLabels: config.ingest.entityLabels,
      overrides: Object.fromEntries(
        config.ingest.overrides.map(({ metric, ...rest }) => [metric, defined(rest)]),
      ),
    },
    context,
  )
  const windows = new EventTimeWindows(
    {
      stepMs: features.step,
      latenessMs: features.lateness,
      idleMs: features.idle,
      retentionMs: features.retention,
      futureLimitMs: config.ingest.future,
      seasonMs: features.season,
      features: false,
      expressions: features.expressions.map(defined),
    },
    context,
  )
  const scoring = new Ensemble(
    detectors,
    {
      ...ENSEMBLE_DEFAULTS,
      ...defined({ openAt: detection.openSurprise, closeAt: detection.closeSurprise }),
    },
    context,
  )
  const disruptions = new Disruptions(
    {
      ...DISRUPTION_DEFAULTS,
      stepMs: features.step,
      ...defined({ openAt: config.disruptions.openEvidence }),
      maxOpen: config.disruptions.maxOpen,
      configDigest: configDigest(config),
      models: Object.fromEntries(detectors.map(detector => [detector.id, VERSION])),
      log: 'record',
      linksBase: config.server.publicUrl?.replace(/\/$/, '') ?? '',
    },
    { series, history },
  )
  disruptions.addEdges(config.disruptions.topology, 0)
  return { series, intake, windows, scoring, disruptions, history }
}

/** The object without the keys whose value is undefined, as exact optional types want it. */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as never
}
