import { median } from '../measure.ts'
import { cpuNsOf, type HeadlineResult } from './headline.ts'

/** What the headline run says of itself, for a terminal and for docs/results.md. */

const GIB = 2 ** 30
/** The goal: all in, of the service. */
const RSS_MAX = 8 * GIB

const gib = (bytes: number) => `${(bytes / GIB).toFixed(2)} GiB`
const ms = (value: number) => (value >= 1000 ? `${(value / 1000).toFixed(1)} s` : `${value.toFixed(0)} ms`)

/** Rows of name and value. */
export function rowsOf(result: HeadlineResult): [string, string][] {
  const { fleet, options, steps, samples, verdict } = result
  const wallS = steps.reduce((sum, one) => sum + one.wallS, 0)
  const cpuS = steps.reduce((sum, one) => sum + one.cpuS, 0)
  const senderS = steps.reduce((sum, one) => sum + one.senderCpuS, 0)
  const slowest = steps.reduce((most, one) => Math.max(most, one.wallS), 0)
  const cpu = cpuNsOf(result)
  const first = steps[0]
  const rss = (at: number) => gib(steps[Math.min(steps.length - 1, at)]?.rss ?? 0)
  const eventS = steps.length * options.stepS
  return [
    ...(result.broken === undefined ? [] : ([['ended early', result.broken]] as [string, string][])),
    [
      'series · services · pods',
      `${fleet.series} · ${fleet.services} · ${fleet.pods}, ${100 * options.churn} % of pods replaced a minute`,
    ],
    ['event time', `${steps.length} steps of ${options.stepS} s = ${(eventS / 60).toFixed(1)} min`],
    ['samples', `${samples} in ${wallS.toFixed(0)} s wall: ${Math.round(samples / wallS)} a second`],
    [
      'a step of wall time',
      `median ${median(steps.map(one => one.wallS)).toFixed(2)} s, slowest ${slowest.toFixed(2)} s of ${options.stepS} s: ${slowest <= options.stepS ? 'keeps up' : wallS <= eventS ? 'keeps up in the mean' : 'does not keep up'}`,
    ],
    [
      'CPU of the service',
      `${cpuS.toFixed(0)} s: ${cpu.all.toFixed(0)} ns a sample, ${cpu.steady.toFixed(0)} in the second half, ${(cpuS / wallS).toFixed(2)} cores`,
    ],
    [
      '· first step (series never seen)',
      `${first ? ((1e9 * first.cpuS) / fleet.series).toFixed(0) : '–'} ns a series`,
    ],
    ['CPU of the sender', `${((1e9 * senderS) / samples).toFixed(0)} ns a sample`],
    [
      'resident memory',
      `peak ${gib(result.rssPeak)} (${(result.rssPeak / fleet.series).toFixed(0)} B a series)${result.rssPeak <= RSS_MAX ? '' : ', more than 8 GiB'}; after step 1 ${rss(0)}, half ${rss(steps.length >> 1)}, end ${rss(steps.length - 1)}`,
    ],
    [
      '· of it, B a series',
      Object.entries(result.stateBytes)
        .map(([part, bytes]) => `${part} ${(bytes / fleet.series).toFixed(0)}`)
        .join(', ') || 'not told',
    ],
    [
      'series sent · held at the end',
      `${result.distinct} · ${result.held}: ${Math.max(0, result.distinct - result.held)} evicted or never scored`,
    ],
    [
      'answers',
      `p50 ${ms(result.answerMs[0])}, p99 ${ms(result.answerMs[1])}, slowest ${ms(result.answerMs[2])}; ${result.retried} repeated, ${result.refused} refused, ${result.rejects} samples rejected${result.firstRefusal === '' ? '' : ` (${result.firstRefusal.slice(0, 160)})`}`,
    ],
    [
      'bytes',
      `${(result.bytesSent / samples).toFixed(1)} B a sample sent and journaled; data folder at most ${gib(result.diskPeak)}, at the end ${gib(result.diskEnd)}`,
    ],
    [
      'faults',
      `${verdict.found} of ${verdict.faults} found${verdict.delayS ? `, after ${verdict.delayS[0].toFixed(0)} s of event time (median; latest ${verdict.delayS[1].toFixed(0)} s)` : ''}; missed: ${verdict.missed.join(', ') || 'none'}`,
    ],
    [
      'false disruptions',
      `${verdict.falseAlarms}${verdict.falseAlarms > 0 ? ` (${verdict.falseEntities.slice(0, 5).join(', ')} …)` : ''}; ${result.anomaliesOpen} anomalies open at the end`,
    ],
  ]
}

export function textOf(result: HeadlineResult): string {
  const rows = rowsOf(result)
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n')
}

/** A section of docs/results.md. */
export function markdownOf(
  result: HeadlineResult,
  head: { title: string; command: string; date: string; commit: string; machine: string; load: string },
): string {
  return [
    `## ${head.title}`,
    '',
    `\`${head.command}\`, ${head.date}, commit ${head.commit}; ${head.machine}; load average ${head.load}.`,
    'Real remote-write 1.0 bodies over HTTP into the built service, which runs as a process of its own; bodies are made once',
    'and changed in place, with event time not bound to wall time.',
    '',
    '| what | found |',
    '| --- | --- |',
    ...rowsOf(result).map(([name, value]) => `| ${name} | ${value} |`),
    '',
  ].join('\n')
}
