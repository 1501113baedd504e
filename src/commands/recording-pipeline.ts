import { type Assembled, assemble } from '../assembly.ts'
import { loadConfig } from '../config.ts'
import { ForeshockError } from '../core/errors.ts'
import { Rejects } from '../core/rejects.ts'
import { parseTime } from '../core/time.ts'
import { readCsv } from '../ingest/csv.ts'
import { replayFiles } from '../ingest/csv-replay.ts'
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
  if (input === '-' && flags.step === undefined)
    throw new ForeshockError(
      'FS_INPUT_INVALID',
      'standard input cannot be looked at twice: say --step, such as --step 1m',
    )
  const step = flags.step ?? `${await inferStepMs(replayFiles(input)[0])}ms`
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

/** The median distance of the first distinct times of a file, ms. */
async function inferStepMs(file: string): Promise<number> {
  const times = new Set<number>()
  let rows = 0
  for await (const { fields, row } of readCsv(file)) {
    if (row === 1) continue
    const timeMs = parseTime(fields[0])
    if (timeMs !== undefined && !Number.isNaN(timeMs)) times.add(timeMs)
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
          ? 'has no time in the first column of any row'
          : 'has no row below a header'
    throw new ForeshockError('FS_INPUT_INVALID', `${file}, row ${rows + 1}: ${reason}`)
  }
  return step
}
