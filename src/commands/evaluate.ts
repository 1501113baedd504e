import { writeFileSync } from 'node:fs'
import cliProgress from 'cli-progress'
import { Argument, type Command } from 'commander'
import { ForeshockError } from '../core/errors.ts'
import { PARTS, partsOf } from './ablation.ts'
import { namesOf, SUITES, type Suite, UNIVARIATE_SUITES } from './evaluate-data.ts'
import { type EvaluateLabOptions, evaluateLab } from './evaluate-lab.ts'
import { evaluateRca } from './evaluate-rca.ts'
import { evaluateSeries } from './evaluate-series.ts'
import { type ContestantTable, renderTables, tablesOf } from './evaluate-table.ts'
import type { EvaluateTask } from './evaluate-task.ts'
import type { StartService } from './lab.ts'
import { modelFolder, modelLooksAt } from './model-detector.ts'
import { univariateChoice } from './score-detectors.ts'
import { MULTIVARIATE_RULE } from './score-multivariate.ts'
import { resultsOf, runTasks } from './task-pool.ts'

export interface EvaluateOptions {
  readonly suite: Suite | 'all'
  readonly data: string
  /** A path for all figures as JSON; `-` or `true` for stdout instead of the tables. */
  readonly json?: string | boolean | undefined
  readonly detector?: string | undefined
  /** Parts of the detector to leave out, comma-separated. */
  readonly without?: string | undefined
  /** A folder for the views that a combiner is trained on; nothing is measured then. */
  readonly views?: string | undefined
}

/** `foreshock evaluate`: 0 done, 1 failed, 2 bad input or usage. */
export async function evaluateCommand(options: EvaluateOptions): Promise<number> {
  try {
    if (options.views !== undefined && options.suite !== 'kpi')
      throw new ForeshockError('FS_INPUT_INVALID', '--views: only kpi has a labelled history')
    const suites = suitesOf(options)
    const without = options.without === undefined ? [] : partsOf(options.without)
    const isEntityModel = modelFolder(options.detector) !== undefined && !suites.some(isUnivariate)
    const { rule } = univariateChoice(isEntityModel ? undefined : options.detector)
    const tasks: EvaluateTask[] = suites.flatMap(suite =>
      namesOf(suite, options.data).map(name => ({
        suite,
        data: options.data,
        name,
        detector: options.detector,
        without,
        views: options.views,
      })),
    )
    const bar = progressBar(tasks.length)
    const results = await runTasks(tasks, 'evaluate-worker', evaluateSeries, () => bar?.increment())
    bar?.stop()
    const found = resultsOf(results)
    if (options.views !== undefined) return 0
    const tables: ContestantTable[][] = suites.map(suite => {
      const own = found.filter((_, i) => tasks[i].suite === suite)
      return tablesOf(suite, own, { point: rule.point, incident: rule.incident, ...MULTIVARIATE_RULE })
    })
    const json = JSON.stringify(
      { detector: options.detector ?? 'default', without, tables: tables.flat() },
      null,
      1,
    )
    if (typeof options.json === 'string' && options.json !== '-') writeFileSync(options.json, `${json}\n`)
    if (options.json === true || options.json === '-') process.stdout.write(`${json}\n`)
    else process.stdout.write(tables.map(renderTables).join('\n'))
    return 0
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    process.stderr.write(`foreshock evaluate: ${message.replaceAll('\n', ' ')}\n`)
    return error instanceof ForeshockError && error.code === 'FS_INPUT_INVALID' ? 2 : 1
  }
}

const isUnivariate = (suite: Suite) => (UNIVARIATE_SUITES as readonly Suite[]).includes(suite)

/** The suites asked for; of all, those that a model fits that is asked for. */
function suitesOf({ suite, detector }: EvaluateOptions): readonly Suite[] {
  const folder = modelFolder(detector)
  if (folder === undefined) return suite === 'all' ? SUITES : [suite]
  const looksAt = modelLooksAt(folder)
  const fitting = SUITES.filter(one => isUnivariate(one) === (looksAt === 'series'))
  if (suite === 'all') return fitting
  if (fitting.includes(suite)) return [suite]
  throw new ForeshockError('FS_INPUT_INVALID', `${folder}: it looks at ${looksAt}, for ${fitting.join(', ')}`)
}

function progressBar(total: number): cliProgress.SingleBar | undefined {
  if (!process.stderr.isTTY) return undefined
  const bar = new cliProgress.SingleBar(
    { format: 'evaluating {bar} {value}/{total} series, {eta_formatted} left', stream: process.stderr },
    cliProgress.Presets.rect,
  )
  bar.start(total, 0)
  return bar
}

type CommandOptions = Omit<EvaluateOptions, 'suite' | 'data'> &
  EvaluateLabOptions & { readonly data?: string }

export function addEvaluateCommand(program: Command, startService: StartService): void {
  program
    .command('evaluate')
    .description("run a benchmark suite's series through the shipped detectors and print its table")
    .addArgument(
      new Argument(
        '<suite>',
        'what to measure; all stands for the suites of detection: rca and lab have their own run',
      ).choices([...SUITES, 'rca', 'lab', 'all']),
    )
    .option('--data <folder>', 'folder of the evaluation sets; lab makes its own data')
    .option('--json [file]', 'all figures as JSON, to a file or in place of the tables')
    .option('--detector <id>', 'univariate detector instead of the default, or model:FOLDER')
    .option('--without <parts>', `parts of it to leave out: ${Object.keys(PARTS).join(', ')}`)
    .option(
      '--views <folder>',
      'instead, write what a combiner learns from: the views of the labelled history',
    )
    .option('--seeds <list>', 'lab: one run of every fault each; about ten minutes a seed', '1,2,3')
    .option('--fault <kinds>', 'lab: these faults only, with commas', 'all')
    .option('--seconds <n>', 'lab: how long a fault lasts at most')
    .action(async (suite: Suite | 'rca' | 'lab' | 'all', options: CommandOptions) => {
      if (suite === 'lab') return evaluateLab(options, startService)
      const { data } = options
      if (data === undefined)
        throw new ForeshockError('FS_INPUT_INVALID', `evaluate ${suite}: say --data, the folder of the sets`)
      if (suite === 'rca') return evaluateRca({ ...options, data })
      process.exitCode = await evaluateCommand({ ...options, data, suite })
    })
}
