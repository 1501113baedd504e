import type { ExperimentReport } from '../core/experiment.ts'

/** Experiments as lines of text. */

export function listLines(items: readonly ExperimentReport[]): string[] {
  if (items.length === 0) return ['no experiments']
  return items.map(
    one =>
      `${one.id}  ${one.status.padEnd(9)}  ${one.plan.model} ${one.plan.champion} against ${one.plan.challenger} (${one.plan.mode})  ` +
      `${one.windows} windows, ${one.verdict.units} labelled units, ${betterOf(one)}`,
  )
}

export function experimentLines(one: ExperimentReport): string[] {
  const { plan, agreement, alerts, alertsPerDay, latencyMs, failed, verdict } = one
  const { anomalous, normal, threshold, advantage, evidence } = verdict
  const mode = plan.mode === 'canary' ? `canary for ${plan.share} of the series` : 'shadow'
  const pair = (name: string, a: string | number, b: string | number) =>
    `  ${name.padEnd(30)} ${String(a).padStart(12)} ${String(b).padStart(12)}`
  return [
    `${one.id}  ${one.status}${one.reason === null ? '' : `: ${one.reason}`}`,
    `${plan.model}: version ${plan.challenger} as ${mode} beside version ${plan.champion}, since ${one.startedAt}, until ${one.endedAt ?? one.endsAt}`,
    `${one.windows} windows, ${one.rows} rows of ${one.series} series; of what either called strange both did ${percent(agreement.share)}, rank correlation ${number(agreement.rankCorrelation)}`,
    pair('', 'champion', 'challenger'),
    pair('alerts', alerts.champion, alerts.challenger),
    pair('alerts a day', number(alertsPerDay.champion), number(alertsPerDay.challenger)),
    pair('rows only it called strange', agreement.championOnly, agreement.challengerOnly),
    pair('rows failed', failed.champion, failed.challenger),
    pair('ms a window, median', number(latencyMs.p50.champion), number(latencyMs.p50.challenger)),
    pair('ms a window, p99', number(latencyMs.p99.champion), number(latencyMs.p99.challenger)),
    pair('surprise that is an alert', number(threshold.champion), number(threshold.challenger)),
    pair(
      `found, of ${anomalous.units} anomalies`,
      anomalous.detected.champion,
      anomalous.detected.challenger,
    ),
    pair(
      `false, of ${normal.units} normal units`,
      normal.falseAlerts.champion,
      normal.falseAlerts.challenger,
    ),
    pair('evidence of being better', number(evidence.champion), number(evidence.challenger)),
    `better: ${betterOf(one)}` +
      (advantage
        ? `; advantage of the challenger ${number(advantage.mean)} a unit (${number(advantage.lower)} to ${number(advantage.upper)})`
        : '') +
      (verdict.waitingFor === null ? '' : `; waits for ${verdict.waitingFor}`),
    ...one.guardrails
      .filter(guardrail => guardrail.isBroken)
      .map(({ name, value, limit }) => `guardrail ${name}: ${number(value)}, limit ${limit}`),
  ]
}

function betterOf({ verdict }: ExperimentReport): string {
  return verdict.better === 'undecided' ? 'undecided' : `${verdict.better} is better`
}

function number(value: number | null): string {
  if (value === null) return '–'
  return Number.isInteger(value) ? String(value) : value.toPrecision(3)
}

function percent(share: number | null): string {
  return share === null ? 'nothing' : `${(100 * share).toFixed(1)} %`
}
