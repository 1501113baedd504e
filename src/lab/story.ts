import { styleText } from 'node:util'
import type { Disruption } from '../core/disruption.ts'
import type { LabProgress } from './lab.ts'
import { PLAN, SERVICES } from './plan.ts'
import { type FaultOutcome, type LabReport, rankOf } from './report.ts'

/** The run told in lines of text, for people at a terminal. */

type Style = Parameters<typeof styleText>[0]
export type Paint = (style: Style, text: string) => string

export function paint(coloured: boolean): Paint {
  return (style, text) => (coloured ? styleText(style, text) : text)
}

/** Suspects shown: further ones are in the report. */
const SUSPECTS_SHOWN = 4
const REASONS_SHOWN = 2

/** Lines for what happened; none for what only moves a progress bar. */
export function storyLines(progress: LabProgress, tint: Paint, url: string): string[] {
  switch (progress.type) {
    case 'fleet-starting':
      return [tint('dim', 'Starting a small fleet of real HTTP services on loopback …')]
    case 'fleet-running':
      return fleetLines(progress.instances, tint, url)
    case 'injected': {
      const { fault, index, count } = progress
      const place = count > 1 ? `${index + 1}/${count} ` : ''
      const hidden = fault.root === undefined ? 'must not be called a disruption' : 'hidden from Foreshock'
      const what = fault.root === undefined ? 'control' : `fault injected in ${fault.root}`
      return [
        '',
        `${tint(['bold', 'yellow'], `▶ ${place}${what}`)}: ${fault.deed} ${tint('dim', `(${hidden})`)}`,
      ]
    }
    case 'event':
      return eventLines(progress, tint)
    case 'healed':
      return [tint('dim', `  ${progress.fault.kind} ended; the fleet is healthy again from here`)]
    case 'judged':
      return [verdictLine(progress.outcome, tint)]
    case 'waiting':
      return []
  }
}

function fleetLines(instances: readonly string[], tint: Paint, url: string): string[] {
  const calls = SERVICES.filter(name => PLAN[name].calls.length > 0).map(
    name => `    ${name} → ${PLAN[name].calls.join(', ')}`,
  )
  return [
    `${tint('bold', `${SERVICES.length} services, ${instances.length} instances`)}, users arriving at random, metrics pushed by the OpenTelemetry SDK every second:`,
    ...calls.map(line => tint('dim', line)),
    `Foreshock knows none of this beforehand: it learns what is normal and who calls whom. Watch it at ${tint('cyan', url)}`,
  ]
}

function eventLines(progress: Extract<LabProgress, { type: 'event' }>, tint: Paint): string[] {
  const { event, secondsSinceInjection } = progress
  const { disruption, type } = event
  if (type === 'updated') return []
  if (type !== 'opened') return [`  ${tint('green', `✔ ${type}`)}: ${disruption.title}`]
  const after = secondsSinceInjection === null ? '' : ` after ${secondsSinceInjection.toFixed(1)} s`
  return [
    `  ${tint(['bold', 'red'], `● disruption opened${after}`)} ${tint('dim', `${disruption.severity}, score ${disruption.score.toFixed(0)}`)}`,
    `    ${tint('bold', disruption.title)}`,
  ]
}

/** The ranked disruption: suspects in order, each with its reasons, and whether the first one is right. */
export function disruptionLines(disruption: Disruption, root: string, tint: Paint): string[] {
  const lines = [
    `  ${tint('bold', 'Foreshock says:')} ${disruption.title}`,
    tint(
      'dim',
      `    ${disruption.severity} · score ${disruption.score.toFixed(0)} · confidence ${(100 * disruption.confidence).toFixed(0)} % · ${disruption.impact.entities} entities · since ${disruption.startedAt.slice(11, 19)} UTC`,
    ),
    '    suspects, most probable cause first:',
  ]
  for (const { rank, entity, metric, score, why } of disruption.suspects.slice(0, SUSPECTS_SHOWN)) {
    const name = entity === root ? tint(['bold', 'green'], entity) : tint('bold', entity)
    lines.push(`    ${rank}. ${name} ${metric} ${tint('dim', `(${score.toFixed(2)})`)}`)
    for (const reason of why.slice(0, REASONS_SHOWN)) lines.push(tint('dim', `         ${reason}`))
  }
  const rank = rankOf(root, disruption)
  const truth =
    rank === 1
      ? tint(['bold', 'green'], `the true cause, ${root}, is ranked first`)
      : rank === null
        ? tint('red', `the true cause, ${root}, is not among the suspects`)
        : tint('yellow', `the true cause, ${root}, is ranked ${rank}`)
  return [...lines, `    ${truth}`]
}

function verdictLine(outcome: FaultOutcome, tint: Paint): string {
  if (outcome.control) {
    return outcome.detected
      ? `  ${tint('red', '✘')} ${outcome.kind}: wrongly called a disruption: ${outcome.titleAtOpening}`
      : `  ${tint('green', '✔')} ${outcome.kind}: left in peace, as it should be`
  }
  if (!outcome.detected) return `  ${tint('red', '✘')} ${outcome.kind}: not found`
  const resolved =
    outcome.secondsToResolve === null
      ? 'not resolved yet'
      : `resolved ${outcome.secondsToResolve.toFixed(0)} s after healing`
  const cause = outcome.rankAtEnd === null ? 'true cause not named' : `true cause ranked ${outcome.rankAtEnd}`
  return `  ${tint('green', '✔')} ${outcome.kind}: found in ${outcome.secondsToDetect?.toFixed(1)} s, ${cause}, ${resolved}`
}

/** The report as a table with its totals. */
export function reportLines(report: LabReport, tint: Paint): string[] {
  const rows = report.outcomes.map(outcome => [
    String(outcome.seed),
    outcome.kind,
    outcome.root ?? '(control)',
    outcome.control ? (outcome.detected ? 'CALLED' : 'quiet') : outcome.detected ? 'found' : 'MISSED',
    outcome.secondsToDetect?.toFixed(1) ?? '',
    outcome.rankAtOpening?.toString() ?? '',
    outcome.rankAtEnd?.toString() ?? '',
    outcome.titleAtEnd ?? '',
  ])
  const head = ['seed', 'fault', 'cause', 'result', 'seconds', 'rank at opening', 'at end', 'title']
  const widths = head.map((name, column) => Math.max(name.length, ...rows.map(row => row[column].length)))
  const line = (row: readonly string[]) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]))).join('  ')
  const { totals } = report
  const share = (value: number | null) => (value === null ? '–' : `${(100 * value).toFixed(0)} %`)
  return [
    '',
    tint('bold', line(head)),
    ...rows.map(line),
    '',
    `faults found ${totals.detected}/${totals.faults} (${share(totals.recall)}), median ${totals.medianSeconds?.toFixed(1) ?? '–'} s, true cause first ${totals.causeFirst}/${totals.faults} (${share(totals.causeFirstShare)}), controls called ${totals.controlsCalled}/${totals.controls}, false disruptions ${totals.falseDisruptions}`,
    ...report.falseDisruptions.map(
      ({ seed, at, title, during }) => `false: seed ${seed}, ${at}, ${during ?? 'quiet time'}: ${title}`,
    ),
  ]
}
