import { statSync } from 'node:fs'
import { type Assembled, assemble } from '../assembly.ts'
import { HISTORY_WINDOWS_MAX } from '../config/schema.ts'
import { timer } from '../config/values.ts'
import { loadConfig } from '../config.ts'
import { ForeshockError } from '../core/errors.ts'
import { Rejects } from '../core/rejects.ts'
import { parseTime } from '../core/time.ts'
import { readCsv } from '../ingest/csv.ts'
import { replayFiles, timeColumn } from '../ingest/csv-replay.ts'
import { KEEP_ALL } from './recorded-world.ts'
import { readTopology } from './topology-file.ts'

/** What a command is told of the recording that it runs. */
export interface RecordingFlags {
  readonly topology?: string
  readonly step?: string
  readonly config?: string
}

/** Rows looked at to find how far apart the samples of a recording are. */
const STEP_ROWS = 400

/** The pipeline as it ships, with the window length and the call graph of a recording; `command` is named in warnings. */
export async function openRecording(
  command: string,
  input: string,
  flags: RecordingFlags,
): Promise<{ readonly parts: Assembled; readonly rejects: Rejects }> {
  const edges = flags.topology === undefined ? [] : await readTopology(flags.topology)
  const step = flags.step === undefined ? await inferredStep(input) : flags.step
  assertStep(input, flags.step, step)
  const config = loadConfig({
    file: flags.config,
    flags: {
      FORESHOCK_FEATURES_STEP: step,
      FORESHOCK_FEATURES_LATENESS: '1ms',
      FORESHOCK_FEATURES_RETENTION: KEEP_ALL,
    },
  })
  const rejects = new Rejects()
  const parts = assemble(config, rejects, text => process.stderr.write(`foreshock ${command}: ${text}\n`))
  parts.disruptions.addEdges(edges, 0)
  return { parts, rejects }
}

/**
 * Throws FS_INPUT_INVALID where windows of a recording cannot be as long as `step`, or are more than are looked back on; `flag`: the
 * step that was asked for.
 */
export function assertStep(input: string, flag: string | undefined, step: string, windows = 0): void {
  const most = HISTORY_WINDOWS_MAX
  const wrong =
    timer.safeParse(step).error?.issues[0].message ??
    (windows > most
      ? `${windows} windows of it are more than the ${most} that are looked back on`
      : undefined)
  const said = flag === undefined ? `${input}: its times lie ${step} apart` : `--step ${flag}`
  if (wrong !== undefined) throw invalid(`${said}: ${wrong}`)
}

/** Of a file or folder, which is read once for it. */
async function inferredStep(input: string): Promise<string> {
  const [file] = replayFiles(input)
  const isPipe = file === '-' || !statSync(file).isFile()
  if (isPipe) {
    const name = file === '-' ? 'standard input' : file
    throw invalid(`${name} cannot be looked at twice: say --step, such as --step 1m`)
  }
  return `${await inferStepMs(file)}ms`
}

function invalid(text: string): ForeshockError {
  return new ForeshockError('FS_INPUT_INVALID', text)
}

/** The median distance of the first distinct times of a file, ms. */
async function inferStepMs(file: string): Promise<number> {
  const times = new Set<number>()
  let rows = 0
  let column = 0
  for await (const { fields, row } of readCsv(file)) {
    if (row === 1) {
      column = Math.max(0, timeColumn(fields))
      continue
    }
    const timeMs = parseTime(fields[column] ?? '')
    if (!Number.isNaN(timeMs)) times.add(timeMs)
    if (++rows >= STEP_ROWS && times.size > 1) break
    if (rows >= 100 * STEP_ROWS) break
  }
  const sorted = [...times].sort((a, b) => a - b)
  const gaps = sorted.slice(1).map((timeMs, i) => timeMs - sorted[i])
  gaps.sort((a, b) => a - b)
  const step = gaps[gaps.length >> 1]
  if (step === undefined) {
    const reason =
      sorted.length > 0
        ? 'has one time only; say --step'
        : rows > 0
          ? `has no time in column ${column + 1} of any row`
          : 'has no row below a header'
    throw invalid(`${file}, row ${rows + 1}: ${reason}`)
  }
  return step
}
