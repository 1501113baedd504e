import type { ExperimentReport } from '../core/experiment.ts'
import type { Evidence } from './evidence.ts'
import { finite } from './guardrails.ts'
import type { UnitTally } from './labelled-units.ts'
import type { Tally } from './pair-statistics.ts'

const DAY_MS = 86_400_000

type Judged = Pick<
  ExperimentReport,
  | 'windows'
  | 'rows'
  | 'series'
  | 'seriesRefused'
  | 'agreement'
  | 'silent'
  | 'alerts'
  | 'alertsPerDay'
  | 'latencyMs'
  | 'failed'
  | 'verdict'
  | 'labels'
  | 'buckets'
>

/** What the evidence says at present. */
export function reportOf(evidence: Evidence): Judged {
  const { statistics, seen, units } = evidence
  const { whole, champion, challenger } = statistics
  const days = (evidence.newestMs - evidence.startMs) / DAY_MS
  const perDay = (alerts: number) => (days > 0 ? finite(alerts / days) : null)
  return {
    windows: whole.windows,
    rows: whole.rows,
    series: seen.size,
    seriesRefused: seen.refused,
    agreement: {
      both: whole.both,
      championOnly: whole.championOnly,
      challengerOnly: whole.challengerOnly,
      neither: whole.rows - whole.both - whole.championOnly - whole.challengerOnly,
      share: agreementOf(whole),
      rankCorrelation: finite(statistics.ranks.value),
    },
    silent: { champion: whole.championSilent, challenger: whole.challengerSilent },
    alerts: { champion: whole.championAlerts, challenger: whole.challengerAlerts },
    alertsPerDay: { champion: perDay(whole.championAlerts), challenger: perDay(whole.challengerAlerts) },
    latencyMs: {
      p50: { champion: finite(champion.quantile(0.5)), challenger: finite(challenger.quantile(0.5)) },
      p99: { champion: finite(champion.quantile(0.99)), challenger: finite(challenger.quantile(0.99)) },
      max: { champion: whole.championMsMax, challenger: whole.challengerMsMax },
    },
    failed: { champion: whole.championFailed, challenger: whole.challengerFailed },
    verdict: verdictOf(evidence),
    labels: units.labels,
    buckets: statistics.buckets.map(one => ({
      start: new Date(one.startMs).toISOString(),
      windows: one.windows,
      rows: one.rows,
      alerts: { champion: one.championAlerts, challenger: one.challengerAlerts },
      agreement: agreementOf(one),
      failed: { champion: one.championFailed, challenger: one.challengerFailed },
      msMax: { champion: one.championMsMax, challenger: one.challengerMsMax },
    })),
  }
}

function verdictOf({ units, maxima }: Evidence): ExperimentReport['verdict'] {
  const { bets, anomalous, normal } = units
  const thresholds = maxima.thresholds()
  const side = bets.side
  const { above, below } = bets.evidence
  return {
    better: side === 'above' ? 'challenger' : side === 'below' ? 'champion' : 'undecided',
    units: bets.count,
    unitsWaiting: units.waiting,
    unitsVoid: units.unitsVoid,
    waitingFor: maxima.isReady
      ? null
      : `the alert budget: ${maxima.units} of ${maxima.unitsNeeded} units of series seen; a shorter unitSeconds or more alertsPerSeriesWeek need fewer`,
    threshold: { champion: finite(thresholds.champion), challenger: finite(thresholds.challenger) },
    anomalous: {
      units: anomalous.units,
      detected: { champion: anomalous.champion, challenger: anomalous.challenger },
      lateness: latenessOf(anomalous),
    },
    normal: {
      units: normal.units,
      falseAlerts: { champion: normal.champion, challenger: normal.challenger },
    },
    advantage: bets.count > 0 ? { mean: bets.mean, ...bets.interval } : null,
    evidence: { challenger: above, champion: below },
  }
}

function latenessOf(tally: UnitTally): { champion: number | null; challenger: number | null } {
  return {
    champion: finite(tally.championLate / tally.champion),
    challenger: finite(tally.challengerLate / tally.challenger),
  }
}

function agreementOf({ both, championOnly, challengerOnly }: Tally): number | null {
  return finite(both / (both + championOnly + challengerOnly))
}
