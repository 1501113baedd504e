import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import cliProgress from 'cli-progress'
import { type Command, Option } from 'commander'
import { ForeshockError } from '../core/errors.ts'
import { isZone } from '../core/local-time.ts'
import { detectorHelp } from './score-detectors.ts'
import { type ScoreTask, scoreFile } from './score-file.ts'
import { resultsOf, runTasks } from './task-pool.ts'

export interface ScoreOptions {
  readonly input: string
  readonly out?: string | undefined
  readonly train?: string | undefined
  readonly shape?: 'univariate' | 'multivariate' | undefined
  readonly detector?: string | undefined
  /** Seconds, or a number with a unit: `300`, `5m`, `500ms`. */
  readonly step?: string | undefined
  readonly header?: 'none' | 'row' | undefined
  /** IANA name; UTC without. */
  readonly timeZone?: string | undefined
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of a `--step`. */
export function stepOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text.trim())
  const stepMs = match ? Number(match[1]) * UNITS[match[2] ?? 's'] : NaN
  if (!(stepMs >= 1 && stepMs <= 366 * UNITS.d))
    throw new ForeshockError(
      'FS_INPUT_INVALID',
      `--step '${text}': expected seconds or a number with ms, s, m, h, d`,
    )
  return stepMs
}

function zoneOf({ timeZone, shape }: ScoreOptions): string | undefined {
  if (timeZone === undefined) return undefined
  if (!isZone(timeZone))
    throw new ForeshockError(
      'FS_INPUT_INVALID',
      `--time-zone '${timeZone}': expected the IANA name of a time zone, such as Europe/Berlin`,
    )
  if (shape === 'multivariate')
    throw new ForeshockError(
      'FS_INPUT_INVALID',
      '--time-zone: ridge@1 follows no clocks but UTC, here and in the live service',
    )
  return timeZone
}

/** Files of a folder and below, by name; hidden ones left out. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && !entry.name.startsWith('.'))
    .map(entry => relative(folder, join(entry.parentPath, entry.name)))
    .sort()
}

function tasksOf(options: ScoreOptions): ScoreTask[] {
  const common = {
    shape: options.shape ?? 'univariate',
    detector: options.detector,
    stepMs: options.step === undefined ? undefined : stepOf(options.step),
    header: options.header !== 'none',
    timeZone: zoneOf(options),
  } as const
  if (options.input !== '-' && !existsSync(options.input))
    throw new ForeshockError('FS_INPUT_INVALID', `${options.input}: no such file or folder`)
  if (options.train !== undefined && !existsSync(options.train))
    throw new ForeshockError('FS_INPUT_INVALID', `${options.train}: no such file or folder`)
  if (options.input === '-' || !statSync(options.input).isDirectory())
    return [{ ...common, input: options.input, out: options.out ?? '-', train: options.train }]
  const { input: folder, out, train } = options
  if (out === undefined || out === '-')
    throw new ForeshockError('FS_INPUT_INVALID', `${folder}: a folder of inputs needs --out FOLDER`)
  if (train !== undefined && !statSync(train).isDirectory())
    throw new ForeshockError(
      'FS_INPUT_INVALID',
      `--train ${train}: a folder of inputs has a folder of histories, with the same names`,
    )
  const files = filesIn(folder)
  if (files.length === 0) throw new ForeshockError('FS_INPUT_INVALID', `${folder}: holds no files`)
  mkdirSync(out, { recursive: true })
  return files.map(name => ({
    ...common,
    input: join(folder, name),
    out: join(out, name),
    train: train === undefined ? undefined : trainFor(train, name),
  }))
}

function trainFor(train: string, name: string): string | undefined {
  const path = join(train, name)
  return existsSync(path) ? path : undefined
}

/** `foreshock score`: 0 done, 2 bad input or usage, said on one line of stderr. */
export async function scoreCommand(options: ScoreOptions): Promise<number> {
  try {
    const tasks = tasksOf(options)
    const bar = progressBar(tasks.length)
    try {
      resultsOf(await runTasks(tasks, 'score-worker', scoreFile, () => bar?.increment()))
    } finally {
      bar?.stop()
    }
    return 0
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    process.stderr.write(`foreshock score: ${message.replaceAll('\n', ' ')}\n`)
    return error instanceof ForeshockError && error.code === 'FS_INPUT_INVALID' ? 2 : 1
  }
}

function progressBar(total: number): cliProgress.SingleBar | undefined {
  if (!process.stderr.isTTY || total < 2) return undefined
  const bar = new cliProgress.SingleBar(
    { format: 'scoring {bar} {value}/{total} files, {eta_formatted} left', stream: process.stderr },
    cliProgress.Presets.rect,
  )
  bar.start(total, 0)
  return bar
}

export function addScoreCommand(program: Command): void {
  program
    .command('score')
    .description('score recorded series causally, exactly as live')
    .requiredOption('--input <path>', 'CSV file, folder of CSV files, or - for stdin; .gz is read as is')
    .option('--out <path>', 'output file or folder; stdout without it')
    .option('--train <path>', 'history that is learned from and not scored (same names in a folder)')
    .addOption(
      new Option('--shape <shape>', 'one series a file, or many metrics of one entity')
        .choices(['univariate', 'multivariate'])
        .default('univariate'),
    )
    .option(
      '--detector <id>',
      'detector; those of one series are listed below, for many there is ridge@1, or model:FOLDER',
    )
    .option(
      '--step <duration>',
      'sampling step: seconds, or a number with ms, s, m, h, d; else from the times',
    )
    .option('--time-zone <name>', 'clocks that daily shapes follow, such as Europe/Berlin; UTC without')
    .addOption(
      new Option('--header <kind>', 'none when the first row is already data')
        .choices(['row', 'none'])
        .default('row'),
    )
    .addHelpText('after', detectorHelp())
    .action(async (options: ScoreOptions) => {
      process.exitCode = await scoreCommand(options)
    })
}
