import { calendarOf, maintenanceOf } from './alerting.ts'
import type { Stateful } from './checkpoint.ts'
import { seriesLimits } from './config/quota.ts'
import type { Config } from './config/schema.ts'
import { defined } from './core/defined.ts'
import { sha256 } from './core/identity.ts'
import type { Rejects } from './core/rejects.ts'
import { SeriesTable } from './core/series.ts'
import type { Scoring } from './core/stages.ts'
import { VERSION } from './core/version.ts'
import { SubTable } from './detectors/sub-table.ts'
import { Maintenance } from './disruptions/maintenance.ts'
import { DISRUPTION_DEFAULTS } from './disruptions/options.ts'
import { Disruptions } from './disruptions/stage.ts'
import { type HistoryOptions, WindowHistory } from './features/history.ts'
import type { WindowOptions } from './features/window-options.ts'
import { EventTimeWindows } from './features/windows.ts'
import { IngestIntake } from './ingest/intake.ts'
import type { IntakeOptions } from './ingest/options.ts'
import type { PipelineParts } from './pipeline.ts'
import { assembleScoring, listedScoring, type ModelsPort, scorerOf, seesWhole } from './scoring-assembly.ts'
import { type ShardedOptions, ShardedScoring } from './shards/sharded-scoring.ts'

/** The pipeline's parts before they are widened to their stage interfaces: `main` reads the history. */
export interface Assembled extends PipelineParts {
  readonly history: WindowHistory
  readonly disruptions: Disruptions
}

/** The same where scoring is done within the pipeline. */
export interface AssembledInline extends Assembled {
  readonly scoring: Scoring
}

/** Those whose learned state a checkpoint holds, in the order in which they are put back. */
export function statefulParts({
  intake,
  windows,
  scoring,
  disruptions,
  history,
}: Pick<Assembled, 'intake' | 'windows' | 'scoring' | 'disruptions' | 'history'>): Stateful[] {
  const past: Stateful = {
    snapshot: () => [history.snapshot()],
    cut: cut => [history.cut(cut)],
    restore: saved => history.restore(saved),
  }
  return [intake, windows, scoring, disruptions, past]
}

/** What a disruption stage of a fleet holds: the scorers have scored. */
export type StageParts = Pick<Assembled, 'series' | 'history' | 'disruptions'>

/** How windows are divided into batches. */
export type BatchOptions = Pick<WindowOptions, 'batchRows' | 'windowRows' | 'isWhole'>

/** What decides results, and nothing else: two runs with one digest give the same numbers. */
export function configDigest(config: Config): string {
  const { ingest, features, detection, disruptions, maintenance, tenants } = config
  const quotas =
    seriesLimits(tenants) && Object.entries(tenants).map(([name, { quota }]) => [name, quota?.series])
  // What a calendar file says decides, not how it is called.
  const { workers, workerPatience: _, ...scoring } = detection
  // One worker finds what none finds; several share no calibrations.
  const apart = typeof workers === 'number' && workers > 1 ? { workers } : {}
  const told = { ...scoring, ...apart, calendar: calendarOf(detection) }
  return `sha256:${sha256(JSON.stringify({ version: VERSION, ingest, features, detection: told, disruptions, maintenance, quotas }))}`
}

/** What senders see as a series may be one of many that make one of ours: the buckets of a histogram. */
const WIRES_PER_SERIES = 2

/** What the configuration says of reading samples. */
export function intakeOptions({ ingest, server, kernels }: Config): Partial<IntakeOptions> {
  return {
    plain: kernels === 'plain',
    wiresMax: WIRES_PER_SERIES * ingest.maxSeries,
    bodyBytesMax: server.maxBodyBytes,
    inflatedBytesMax: ingest.maxInflatedBytes,
    labelsMax: ingest.maxLabels,
    labelValueLengthMax: ingest.maxLabelBytes,
    futureMsMax: ingest.future,
    entityLabels: ingest.entityLabels,
    overrides: Object.fromEntries(ingest.overrides.map(({ metric, ...rest }) => [metric, defined(rest)])),
  }
}

/** `nextKept`: whose windows are kept, everybody's when left out. */
export function historyOf(
  { features }: Config,
  context: ConstructorParameters<typeof WindowHistory>[1],
  nextKept?: HistoryOptions['nextKept'],
): WindowHistory {
  const { step: stepMs, historyWindows: depth, historyBudget: budgetBytes } = features
  return new WindowHistory({ stepMs, depth, budgetBytes, nextKept }, context)
}

function disruptionsOf(
  config: Config,
  context: { readonly series: SeriesTable; readonly history: WindowHistory },
  { detectors }: Pick<Scoring, 'detectors'>,
  digests: (names: Iterable<string>) => Readonly<Record<string, string>> | undefined = () => undefined,
): Disruptions {
  const disruptions = new Disruptions(
    {
      ...DISRUPTION_DEFAULTS,
      stepMs: config.features.step,
      ...defined({ openAt: config.disruptions.openEvidence }),
      maxOpen: config.disruptions.maxOpen,
      configDigest: configDigest(config),
      models: Object.fromEntries(detectors.map(detector => [detector.id, VERSION])),
      modelsOf: names => digests(names) ?? {},
      log: 'record',
      linksBase: config.server.publicUrl?.replace(/\/$/, '') ?? '',
    },
    { ...context, maintenance: new Maintenance(maintenanceOf(config)) },
  )
  disruptions.addEdges(config.disruptions.topology, 0)
  return disruptions
}

/**
 * Builds the stages of the pipeline, the same for the live service and for replay. `onWarning` is told, once each, what
 * has to be done without. `models` opens the packages of learned models that are ordered to score; without it none can.
 * `batches`: where other than usual.
 */
export function assemble(
  config: Config,
  rejects: Rejects,
  onWarning: (text: string) => void = () => {},
  models?: ModelsPort,
  batches: BatchOptions = {},
): AssembledInline {
  const series = new SeriesTable(config.ingest.maxSeries, seriesLimits(config.tenants))
  const context = { series, stepMs: config.features.step }
  const { richSeries } = config.detection
  const rows = series.limit > richSeries ? new SubTable(series, richSeries) : undefined
  const history = historyOf(
    config,
    context,
    rows && ((series, from, length) => rows.next(series, from, length)),
  )
  const { scoring, learned } = assembleScoring(config, context, history, rows, onWarning, models)
  const beside = assembleAround(config, rejects, {
    series,
    history,
    scoring,
    digests: names => learned?.digests(names),
    batches,
  })
  return { ...beside, scoring }
}

/**
 * As `assemble`, with scoring in so many threads of their own. `modelFolders`: where packages of models lie, the first that
 * has one; without it none can score.
 */
export function assembleSharded(
  config: Config,
  rejects: Rejects,
  options: Omit<ShardedOptions, 'config' | 'listed'>,
): Assembled & { readonly scoring: ShardedScoring } {
  const series = new SeriesTable(config.ingest.maxSeries, seriesLimits(config.tenants))
  const listed = listedScoring(config, options.modelFolders !== undefined)
  const hasTiers = series.limit > config.detection.richSeries
  const history: WindowHistory = historyOf(
    config,
    { series },
    hasTiers ? (series, from, length) => scoring.nextRich(series, from, length) : undefined,
  )
  const scoring = new ShardedScoring({ ...options, config, listed }, { series, history })
  const beside = assembleAround(config, rejects, {
    series,
    history,
    scoring,
    digests: names => scoring.digests(names),
  })
  return { ...beside, scoring }
}

/** What comes before and after scoring. */
function assembleAround(
  config: Config,
  rejects: Rejects,
  {
    series,
    history,
    scoring,
    digests,
    batches,
  }: Pick<Assembled, 'series' | 'history' | 'scoring'> & {
    readonly batches?: BatchOptions
    readonly digests: (names: Iterable<string>) => Readonly<Record<string, string>> | undefined
  },
): Assembled {
  const context = { series, rejects, stepMs: config.features.step }
  const intake = new IngestIntake(intakeOptions(config), context)
  const isWhole = () => seesWhole(config, scoring)
  const windows = windowsOf(config, context, { isWhole, ...batches })
  const disruptions = disruptionsOf(config, { series, history }, scoring, digests)
  return { series, intake, windows, scoring, disruptions, history }
}

/** `batches`: where other than usual. */
export function windowsOf(
  { features, ingest }: Config,
  context: ConstructorParameters<typeof EventTimeWindows>[1],
  batches: BatchOptions,
): EventTimeWindows {
  return new EventTimeWindows(
    {
      stepMs: features.step,
      latenessMs: features.lateness,
      idleMs: features.idle,
      retentionMs: features.retention,
      futureLimitMs: ingest.future,
      features: false,
      expressions: features.expressions.map(defined),
      ...batches,
    },
    context,
  )
}

/** The parts of one disruption stage, as `assemble` builds them. */
export function assembleStage(
  config: Config,
  /** Digests of the learned models that speak in the fleet, and of those among the names that did. */
  digests?: (names: Iterable<string>) => Readonly<Record<string, string>>,
): StageParts {
  const series = new SeriesTable(config.ingest.maxSeries)
  const history = historyOf(config, { series })
  const context = { series, history }
  return { series, history, disruptions: disruptionsOf(config, context, scorerOf(config), digests) }
}
