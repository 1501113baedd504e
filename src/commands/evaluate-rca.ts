import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ForeshockError } from '../core/errors.ts'
import { bootstrap95, mean } from '../evaluate/bootstrap.ts'
import { accuracyAt, averageAt5, microF1, reciprocalRank } from '../evaluate/ranking.ts'
import { LOCALISE_SETS, type LocaliseGroup, localiseGroups } from './rca-data.ts'
import { DRILL_SETS, type DrillAnswer, drillSet } from './rca-drill.ts'
import { type LocaliseAnswer, localise, VARIANTS } from './rca-localise.ts'
import { overlay, type StreamResult, stream } from './rca-stream.ts'

/** A figure with its 95 % bootstrap interval over incidents. */
interface Figure {
  readonly value: number
  readonly interval: readonly [number, number]
}

export interface RcaReport {
  readonly localise: readonly {
    readonly set: string
    readonly variant: string
    readonly incidents: number
    readonly ac1: Figure
    readonly ac3: Figure
    readonly avg5: Figure
    readonly mrr: Figure
    readonly blast: number | null
  }[]
  readonly stream: readonly {
    readonly set: string
    readonly faults: number
    readonly days: number
    readonly recall: Figure
    readonly precision: number
    readonly falsePerDay: number
    readonly fragmentation: number
    readonly merged: number
    readonly medianDelaySeconds: number | null
    readonly ac1: Figure
    readonly ac3: Figure
    readonly rand: number | null
  }[]
  readonly drill: readonly {
    readonly set: string
    readonly incidents: number
    readonly ac1: Figure
    readonly ac3: Figure
    /** Of all combinations named; null where a ranked list is the answer. */
    readonly f1: Figure | null
  }[]
}

export interface EvaluateRcaOptions {
  readonly data: string
  readonly json?: string | boolean | undefined
}

/** `foreshock evaluate rca`: localise, stream and drill-down on the sets that are there. */
export async function evaluateRca({ data, json }: EvaluateRcaOptions): Promise<void> {
  if (!existsSync(join(data, 'rca')))
    throw new ForeshockError('FS_INPUT_INVALID', `${join(data, 'rca')}: no such folder`)
  const report = await measureRca(data, text => {
    if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`)
  })
  const text = `${JSON.stringify(report, null, 1)}\n`
  if (typeof json === 'string' && json !== '-') writeFileSync(json, text)
  process.stdout.write(json === true || json === '-' ? text : renderRca(report))
}

/** Streams are measured where faults lie in a longer stretch of ordinary life. */
const STREAMED: ReadonlySet<string> = new Set(['nezha-ob', 'nezha-tt'])

async function measureRca(data: string, tell: (text: string) => void): Promise<RcaReport> {
  const groups = localiseGroups(data)
  const answers: LocaliseAnswer[] = []
  for (const [i, group] of groups.entries()) {
    tell(`localise ${i + 1} of ${groups.length}: ${group.set}`)
    answers.push(...(await localise(group)))
  }
  const days: LocaliseGroup[] = groups.filter(group => STREAMED.has(group.set))
  const streams: StreamResult[] = []
  for (const group of days) {
    tell(`stream: ${group.set}`)
    streams.push(await stream(group))
  }
  const both = await overlay(days)
  if (both) streams.push(both)
  const drills: DrillAnswer[] = []
  for (const set of DRILL_SETS) {
    tell(`drill-down: ${set}`)
    drills.push(...(await drillSet(data, set)))
  }
  tell('')
  return {
    localise: localiseRows(answers),
    stream: streams.map(streamRow),
    drill: DRILL_SETS.flatMap(set => drillRow(drills.filter(one => one.set === set))),
  }
}

function figure(values: readonly number[]): Figure {
  return {
    value: mean(values),
    interval: bootstrap95(values.length, indices => mean(indices.map(i => values[i]))),
  }
}

function localiseRows(answers: readonly LocaliseAnswer[]): RcaReport['localise'] {
  return LOCALISE_SETS.flatMap(set => {
    const own = answers.filter(one => one.set === set)
    if (own.length === 0) return []
    return VARIANTS.map(variant => {
      const of = (measure: (ranked: readonly string[], truth: readonly string[]) => number): Figure =>
        figure(own.map(one => measure(one.ranked[variant], one.truth)))
      const blast = mean(own.map(one => one.blast))
      return {
        set,
        variant,
        incidents: own.length,
        ac1: of((ranked, truth) => accuracyAt(ranked, truth, 1)),
        ac3: of((ranked, truth) => accuracyAt(ranked, truth, 3)),
        avg5: of(averageAt5),
        mrr: of(reciprocalRank),
        blast: variant === 'shipped' && Number.isFinite(blast) ? blast : null,
      }
    })
  })
}

function streamRow(result: StreamResult): RcaReport['stream'][number] {
  const { faults, days, disruptions, unmatched } = result
  const found = faults.filter(fault => fault.matches > 0)
  const delays = found.map(fault => fault.delayMs).sort((a, b) => a - b)
  return {
    set: result.set,
    faults: faults.length,
    days,
    recall: figure(faults.map(fault => (fault.matches > 0 ? 1 : 0))),
    precision: disruptions === 0 ? Number.NaN : (disruptions - unmatched) / disruptions,
    falsePerDay: unmatched / days,
    fragmentation: mean(found.map(fault => fault.matches)),
    merged: result.merged,
    medianDelaySeconds: delays.length === 0 ? null : delays[delays.length >> 1] / 1000,
    ac1: figure(faults.map(fault => accuracyAt(fault.suspects, fault.truth, 1))),
    ac3: figure(faults.map(fault => accuracyAt(fault.suspects, fault.truth, 3))),
    rand: Number.isFinite(result.rand) ? result.rand : null,
  }
}

function drillRow(answers: readonly DrillAnswer[]): RcaReport['drill'] {
  if (answers.length === 0) return []
  const counts = answers.map(one => one.counts)
  return [
    {
      set: answers[0].set,
      incidents: answers.length,
      ac1: figure(answers.map(one => accuracyAt(one.found, one.truth, 1))),
      ac3: figure(answers.map(one => accuracyAt(one.found, one.truth, 3))),
      f1:
        answers[0].set !== 'squeeze-b0'
          ? null
          : {
              value: microF1(counts),
              interval: bootstrap95(counts.length, ids => microF1(ids.map(i => counts[i]))),
            },
    },
  ]
}

const cell = (value: number | null): string =>
  value === null || !Number.isFinite(value) ? '–' : value.toFixed(2).replace(/^0\./, '.')
const told = ({ value, interval }: Figure): string =>
  `${cell(value)} (${cell(interval[0])}–${cell(interval[1])})`

function table(title: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows].map(row => `| ${row.join(' | ')} |`)
  return `${title}\n\n${lines.join('\n')}\n`
}

function renderRca(report: RcaReport): string {
  return [
    table(
      'Localise (fault time given)',
      ['set', 'n', 'variant', 'AC@1', 'AC@3', 'Avg@5', 'MRR', 'blast Jaccard'],
      report.localise.map(row => [
        row.set,
        String(row.incidents),
        row.variant,
        told(row.ac1),
        told(row.ac3),
        told(row.avg5),
        cell(row.mrr.value),
        cell(row.blast),
      ]),
    ),
    table(
      'Stream',
      [
        'set',
        'faults',
        'recall',
        'precision',
        'false a day',
        'a fault',
        'merged',
        'delay s',
        'AC@1',
        'AC@3',
        'ARI',
      ],
      report.stream.map(row => [
        row.set,
        String(row.faults),
        told(row.recall),
        cell(row.precision),
        cell(row.falsePerDay),
        cell(row.fragmentation),
        String(row.merged),
        row.medianDelaySeconds === null ? '–' : String(row.medianDelaySeconds),
        told(row.ac1),
        told(row.ac3),
        cell(row.rand),
      ]),
    ),
    table(
      'Drill-down',
      ['set', 'n', 'top 1', 'top 3', 'F1'],
      report.drill.map(row => [
        row.set,
        String(row.incidents),
        told(row.ac1),
        told(row.ac3),
        row.f1 ? told(row.f1) : '–',
      ]),
    ),
  ].join('\n')
}
