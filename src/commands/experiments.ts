import type { Command } from 'commander'
import { duration } from '../config/values.ts'
import { defined } from '../core/defined.ts'
import { ForeshockError } from '../core/errors.ts'
import type { ExperimentReport } from '../core/experiment.ts'
import { experimentLines, listLines } from './experiment-lines.ts'
import { readLabels } from './label-file.ts'
import { addServiceOptions, askService, type ServiceFlags } from './service-client.ts'

interface Flags extends ServiceFlags {
  readonly json?: boolean
}

interface StartFlags extends Flags {
  readonly challenger: string
  readonly champion?: string
  readonly canary?: string
  readonly autoPromote?: boolean
  readonly maxDuration?: string
  readonly probation?: string
  readonly minWindows?: string
  readonly alpha?: string
  readonly unit?: string
  readonly alerts?: string
  readonly alertRatio?: string
  readonly p99?: string
  readonly failedShare?: string
  readonly memory?: string
}

/** Labels sent in one request; the service takes as many. */
const LABELS_AT_ONCE = 1000

/** `foreshock experiments …`: champion against challenger, over HTTP. */
export function addExperimentsCommand(cli: Command): void {
  const group = cli
    .command('experiments')
    .description('champion against challenger on the same windows: start, watch, label, stop')
  addServiceOptions(group.command('list').description('experiments, those that run first'), 'read').action(
    async (flags: Flags) => {
      const { items } = await askService<{ items: ExperimentReport[] }>(flags, 'GET', '/api/experiments')
      print(flags, { items }, listLines(items))
    },
  )
  addServiceOptions(
    group
      .command('status')
      .description('how an experiment stands')
      .argument('[id]', 'which; the newest when left out'),
    'read',
  ).action(async (id: string | undefined, flags: Flags) => {
    const report = await one(flags, id)
    print(flags, report, experimentLines(report))
  })
  addStart(group)
  addServiceOptions(
    group
      .command('stop')
      .description('ends an experiment at once: its challenger is withdrawn')
      .argument('<id>')
      .option('--promote', 'promote the challenger instead')
      .option('--why <text>', 'goes into the audit trail'),
    'models',
  ).action(async (id: string, flags: Flags & { promote?: boolean; why?: string }) => {
    const body = { promote: flags.promote ?? false, ...(flags.why === undefined ? {} : { why: flags.why }) }
    const report = await askService<ExperimentReport>(flags, 'POST', `${pathOf(id)}/stop`, body)
    print(flags, report, experimentLines(report))
  })
  addServiceOptions(
    group
      .command('label')
      .description('says what was anomalous and what was normal')
      .argument('<id>')
      .requiredOption(
        '--input <file>',
        'CSV: entity or series, from, to, kind (anomalous, normal); - is stdin',
      ),
    'label',
  ).action(label)
}

function addStart(group: Command): void {
  const start = group
    .command('start')
    .description('lets a challenger score beside the champion, in shadow unless --canary')
    .argument('<model>')
    .requiredOption('--challenger <version>', 'a version that was pushed')
    .option('--champion <version>', 'refuse unless this version is champion')
    .option('--canary <share>', 'let it speak for this share of the series, 0..1')
    .option('--auto-promote', 'promote it once it is shown to be better')
    .option(
      '--probation <duration>',
      'watch it so long once promoted by itself, roll it back if it fails',
      '1h',
    )
    .option('--max-duration <duration>', 'withdraw it after this', '14d')
    .option('--min-windows <n>', 'before it can be promoted')
    .option('--alpha <p>', 'chance, at most, of calling the worse one better')
    .option('--unit <duration>', 'in which a series alerts or does not, and normal time is counted', '1h')
    .option('--alerts <n>', 'alerts a series and week at which both are judged')
    .option('--alert-ratio <n>', 'guardrail: alerts, as a multiple of the champion’s')
    .option('--p99 <duration>', 'guardrail: time for a window')
    .option('--failed-share <share>', 'guardrail: rows without an answer, 0..1')
    .option('--memory <MB>', 'guardrail: growth of the service')
  addServiceOptions(start, 'models').action(async (model: string, flags: StartFlags) => {
    const report = await askService<ExperimentReport>(flags, 'POST', '/api/experiments', planOf(model, flags))
    print(flags, report, [
      `${report.id} started; foreshock experiments status ${report.id}`,
      ...experimentLines(report),
    ])
  })
}

function planOf(model: string, flags: StartFlags): Record<string, unknown> {
  const guardrails = defined({
    alertRatio: numberOf('--alert-ratio', flags.alertRatio),
    p99Ms: durationOf('--p99', flags.p99),
    failedShare: numberOf('--failed-share', flags.failedShare),
    memoryMegabytes: numberOf('--memory', flags.memory),
  })
  const seconds = (flag: string, text: string | undefined) => {
    const ms = durationOf(flag, text)
    return ms === undefined ? undefined : ms / 1000
  }
  return defined({
    model,
    challenger: numberOf('--challenger', flags.challenger),
    champion: numberOf('--champion', flags.champion),
    mode: flags.canary === undefined ? 'shadow' : 'canary',
    share: numberOf('--canary', flags.canary),
    alpha: numberOf('--alpha', flags.alpha),
    minWindows: numberOf('--min-windows', flags.minWindows),
    maxDurationSeconds: seconds('--max-duration', flags.maxDuration),
    autoPromote: flags.autoPromote ?? false,
    probationSeconds: seconds('--probation', flags.probation),
    unitSeconds: seconds('--unit', flags.unit),
    alertsPerSeriesWeek: numberOf('--alerts', flags.alerts),
    ...(Object.keys(guardrails).length > 0 ? { guardrails } : {}),
  })
}

async function label(id: string, flags: Flags & { input: string }): Promise<void> {
  const labels = await readLabels(flags.input)
  const refused: { index: number; reason: string }[] = []
  let taken = 0
  for (let at = 0; at < labels.length; at += LABELS_AT_ONCE) {
    const body = { labels: labels.slice(at, at + LABELS_AT_ONCE).map(one => one.label) }
    const answer = await askService<{ taken: number; refused: { index: number; reason: string }[] }>(
      flags,
      'POST',
      `${pathOf(id)}/labels`,
      body,
    )
    taken += answer.taken
    for (const { index, reason } of answer.refused) refused.push({ index: labels[at + index].row, reason })
  }
  const rows = refused.map(({ index, reason }) => ({ row: index, reason }))
  print(flags, { taken, refused: rows }, [
    `${taken} labels taken, ${refused.length} refused`,
    ...rows.map(({ row, reason }) => `${flags.input}, row ${row}: ${reason}`),
  ])
  if (taken === 0 && labels.length > 0) process.exitCode = 2
}

async function one(flags: Flags, id: string | undefined): Promise<ExperimentReport> {
  if (id !== undefined) return askService<ExperimentReport>(flags, 'GET', pathOf(id))
  const { items } = await askService<{ items: ExperimentReport[] }>(flags, 'GET', '/api/experiments')
  if (items.length === 0) throw new ForeshockError('FS_INPUT_INVALID', 'there are no experiments')
  return items[0]
}

function pathOf(id: string): string {
  return `/api/experiments/${encodeURIComponent(id)}`
}

function print(flags: Flags, value: unknown, lines: readonly string[]): void {
  process.stdout.write(flags.json ? `${JSON.stringify(value)}\n` : lines.map(line => `${line}\n`).join(''))
}

function numberOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (!Number.isFinite(value))
    throw new ForeshockError('FS_INPUT_INVALID', `${flag} ${text}: must be a number`)
  return value
}

function durationOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const { data, error } = duration.safeParse(text)
  if (data === undefined)
    throw new ForeshockError('FS_INPUT_INVALID', `${flag} ${text}: ${error?.issues[0].message}`)
  return data
}
