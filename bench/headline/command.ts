// `npm run bench -- --series N`: the headline run as a command.
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { commit, load, machine, writeSection } from '../report.ts'
import { type HeadlineOptions, headline } from './headline.ts'
import { markdownOf, textOf } from './report.ts'

/** Flags of it, for `parseArgs`. */
export const HEADLINE_FLAGS = {
  series: { type: 'string' },
  step: { type: 'string', default: '15' },
  minutes: { type: 'string', default: '10' },
  /** Percent of pods replaced a minute. */
  churn: { type: 'string', default: '1' },
  /** Another seed is another world; the results told of are of the default. */
  seed: { type: 'string', default: '7' },
  /** Nothing goes wrong: every disruption is a false one. */
  well: { type: 'boolean', default: false },
  label: { type: 'string' },
  body: { type: 'string', default: '5000' },
  connections: { type: 'string', default: '4' },
  pace: { type: 'string', default: '0' },
  set: { type: 'string', multiple: true, default: [] as string[] },
  node: { type: 'string', multiple: true, default: [] as string[] },
  folder: { type: 'string' },
  'cpu-prof': { type: 'string' },
} as const

export interface HeadlineFlags {
  readonly series: string
  readonly step: string
  readonly minutes: string
  readonly churn: string
  readonly seed: string
  readonly well: boolean
  readonly label?: string | undefined
  readonly body: string
  readonly connections: string
  readonly pace: string
  readonly set: readonly string[]
  readonly node: readonly string[]
  readonly folder?: string | undefined
  readonly 'cpu-prof'?: string | undefined
  readonly json?: string | undefined
  readonly write: boolean
}

function positive(name: string, text: string, least: number): number {
  const value = Number(text)
  if (!(value >= least && Number.isFinite(value)))
    throw new Error(`--${name} ${text}: not a number of at least ${least}`)
  return value
}

function optionsOf(flags: HeadlineFlags): HeadlineOptions {
  const profile = flags['cpu-prof']
  return {
    series: positive('series', flags.series, 1),
    stepS: positive('step', flags.step, 1),
    minutes: positive('minutes', flags.minutes, 0.1),
    churn: positive('churn', flags.churn, 0) / 100,
    seed: positive('seed', flags.seed, 0),
    faults: !flags.well,
    bodySeries: positive('body', flags.body, 1),
    connections: positive('connections', flags.connections, 1),
    paceS: positive('pace', flags.pace, 0),
    set: flags.set,
    node: [
      ...flags.node,
      ...(profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(profile)}`]),
    ],
    folder: flags.folder,
  }
}

export async function runHeadline(flags: HeadlineFlags): Promise<void> {
  const options = optionsOf(flags)
  const before = load()
  const result = await headline(options, ({ step, wallS, cpuS, rss, retried }) =>
    process.stderr.write(
      `step ${step}: ${wallS.toFixed(2)} s wall, ${cpuS.toFixed(2)} s CPU, ${(rss / 2 ** 20).toFixed(0)} MiB${retried > 0 ? `, ${retried} bodies again` : ''}\n`,
    ),
  )
  const command = `npm run bench -- ${process.argv.slice(2).join(' ')}`
  const head = {
    title: `Headline: ${flags.label ?? `${options.series / 1e6} M series`}`,
    command,
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    commit: commit(),
    machine: machine(),
    load: `${before} before, ${load()} after`,
  }
  process.stdout.write(`${textOf(result)}\n`)
  if (flags.json !== undefined)
    writeFileSync(flags.json, `${JSON.stringify({ ...head, ...result }, null, 2)}\n`)
  if (flags.write)
    writeSection(resolve(import.meta.dirname, '../../docs/results.md'), markdownOf(result, head))
  if (result.broken !== undefined || result.verdict.missed.length > 0) process.exitCode = 1
}
