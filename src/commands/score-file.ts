import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { ForeshockError } from '../core/errors.ts'
import { readCsvChunks } from '../ingest/csv.ts'
import { Output } from './output.ts'
import { MultivariateScorer } from './score-multivariate.ts'
import { type LineScorer, UnivariateScorer } from './score-univariate.ts'

/** Rows that are looked at for bytes that no text has. */
const TEXT_ROWS = 100

/** All that one file's scoring depends on; plain data, so that a worker can be handed it. */
export interface ScoreTask {
  readonly input: string
  readonly train?: string | undefined
  /** A path, or `-` for stdout. */
  readonly out: string
  readonly shape: 'univariate' | 'multivariate'
  readonly detector?: string | undefined
  readonly stepMs?: number | undefined
  readonly header: boolean
  readonly timeZone?: string | undefined
}

/** Scores one file into another. Throws FS_INPUT_INVALID or FS_IO with file, row and reason. */
export async function scoreFile(task: ScoreTask): Promise<{ rows: number }> {
  const scorer: LineScorer =
    task.shape === 'multivariate' ? new MultivariateScorer(task) : new UnivariateScorer(task)
  if (task.train !== undefined) {
    await eachRow(task.train, scorer, true, async () => {})
  }
  if (task.out !== '-') mkdirSync(dirname(task.out), { recursive: true })
  const out = new Output(task.out, [task.input, task.train])
  try {
    await out.write(`${scorer.header}\n`)
    const rows = await eachRow(task.input, scorer, false, lines => out.write(lines))
    await out.write(await ended(scorer, task.input, rows))
    return { rows }
  } finally {
    await scorer.close()
    await out.end()
  }
}

async function eachRow(
  path: string,
  scorer: LineScorer,
  learnOnly: boolean,
  take: (lines: string) => Promise<void>,
): Promise<number> {
  let row = 0
  let rows = 0
  try {
    scorer.begin()
    for await (const chunk of readCsvChunks(path)) {
      let out = ''
      for (const { row: at, fields } of chunk) {
        row = at
        if (rows++ < TEXT_ROWS && fields.some(field => field.includes('\0')))
          throw new ForeshockError('FS_INPUT_INVALID', `row ${row}: this is no text`)
        const line = scorer.line(fields, row, learnOnly)
        out += typeof line === 'string' ? line : await line
      }
      await take(out)
    }
  } catch (error) {
    throw inputError(path, row, error)
  }
  if (rows === 0) throw new ForeshockError('FS_INPUT_INVALID', `${path}: row 1: the file is empty`)
  return rows
}

async function ended(scorer: LineScorer, path: string, rows: number): Promise<string> {
  try {
    return await scorer.end()
  } catch (error) {
    throw inputError(path, rows, error)
  }
}

function inputError(path: string, row: number, error: unknown): ForeshockError {
  if (error instanceof ForeshockError) {
    if (error.code === 'FS_IO') return error // of what is written, not of what is read
    // The reader names the file and the row itself.
    if (error.message.startsWith(`${path}, `))
      return new ForeshockError(error.code, `${path}: ${error.message.slice(path.length + 2)}`)
    const place = /^row /.test(error.message) ? path : `${path}: row ${row}`
    return new ForeshockError(error.code, `${place}: ${error.message}`)
  }
  const reason = error instanceof Error ? error.message : String(error)
  return new ForeshockError('FS_INPUT_INVALID', `${path}: after row ${row}: ${reason}`, { cause: error })
}
