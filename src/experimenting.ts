import { systemClock } from './core/clock.ts'
import type { Logger } from './core/logger.ts'
import type { ModelState, PairedScores } from './core/model.ts'
import type { ModelDesk } from './core/model-standing.ts'
import type { SeriesTable } from './core/series.ts'
import type { Telemetry } from './core/telemetry.ts'
import type { Effects } from './effects.ts'
import { Experiments } from './experiments/experiments.ts'
import { FileExperiments } from './store/file-experiments.ts'

/**
 * Pairs of scores on their way to experiments: the detectors that tell of them are built before there can be any.
 * Until `to` is set nobody hears them.
 */
export class PairRelay {
  to: ((pair: PairedScores) => void) | undefined
  readonly observe = (pair: PairedScores): void => this.to?.(pair)
}

interface ExperimentSurroundings {
  /** Where they are kept. */
  readonly folder: string
  readonly series: SeriesTable
  readonly openSurprise: number
  readonly models: () => readonly ModelState[]
  /** Where orders are given; asked for only once the service runs. */
  readonly desk: () => Pick<ModelDesk, 'order'>
  readonly pairs: PairRelay
  readonly effects: Effects
  readonly telemetry: Telemetry
  readonly logger: Logger
  readonly onAuditError: (error: unknown) => void
}

/**
 * Goes on with the experiments of a folder. To be opened before the journal is replayed, so that windows which
 * were scored but not yet saved are counted again.
 */
export async function openExperiments(around: ExperimentSurroundings): Promise<Experiments> {
  const { folder, series, openSurprise, models, desk, pairs, effects, telemetry, logger, onAuditError } =
    around
  const experiments = await Experiments.open({
    store: new FileExperiments({
      dir: folder,
      onWarning: text => logger.warn(text),
    }),
    clock: systemClock,
    table: series,
    openSurprise,
    memoryBytes: () => process.memoryUsage.rss(),
    models,
    order: async order => void (await desk().order(order)),
    audit: (who, action, detail) => {
      effects.audit(systemClock(), who, action, detail).catch(onAuditError)
    },
    tell: (id, model, { what, why }) => {
      telemetry.count('foreshock_experiment_events_total', 1, { what })
      const isBad = what === 'withdrawn' || what === 'problem'
      logger[isBad ? 'warn' : 'info']({ experiment: id, model, what }, `experiment ${what}: ${why}`)
    },
  })
  pairs.to = pair => experiments.observe(pair)
  return experiments
}
