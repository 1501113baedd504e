import type { Command } from 'commander'
import { ForeshockError } from '../core/errors.ts'
import type { ExplainedSuspect } from '../core/stages.ts'
import { parseTime } from '../core/time.ts'
import { RecordedWorld } from './recorded-world.ts'
import { Recording } from './recording.ts'
import { assertStep } from './recording-pipeline.ts'
import { readChanges } from './replay.ts'
import { readTopology } from './topology-file.ts'

interface ExplainFlags {
  readonly input: string
  readonly at: string
  readonly topology?: string
  readonly changes?: string
  readonly lookback?: string
  readonly alert?: string
  readonly step?: string
  readonly config?: string
}

export function addExplainCommand(cli: Command): void {
  cli
    .command('explain')
    .description('ranked suspects for one moment of recorded metrics, as JSON')
    .requiredOption('--input <file|dir>', 'CSV, wide (timestamp, entity|metric…) or long; .gz and - as well')
    .requiredOption('--at <time>', 'when it began: Unix s or ms, or ISO 8601')
    .option('--topology <file>', 'CSV with the columns source,target, or an adjacency matrix')
    .option('--changes <file>', 'JSON lines of {time, entity, kind, ref}')
    .option('--lookback <seconds>', 'how far back normal is looked for; default: everything before')
    .option('--alert <entity|metric>', 'what was noticed, when that is known')
    .option('--step <seconds>', 'window length; default: as far apart as the samples are')
    .option('--config <file>', 'configuration file')
    .option('--json', 'JSON, which is what is printed anyway')
    .action(explain)
}

async function explain(flags: ExplainFlags): Promise<void> {
  const atMs = parseTime(flags.at)
  if (atMs === undefined || Number.isNaN(atMs))
    throw new ForeshockError('FS_INPUT_INVALID', `--at ${flags.at}: write Unix s, Unix ms or ISO 8601`)
  const recording = new Recording()
  if (flags.topology !== undefined) recording.edges.push(...(await readTopology(flags.topology)))
  if (flags.changes !== undefined) recording.changes.push(...readChanges(flags.changes))
  await recording.read(flags.input)
  const stepMs = flags.step === undefined ? recording.stepMs() : 1000 * positive('--step', flags.step)
  const { firstMs, lastMs } = recording.span()
  assertStep(flags.input, flags.step, `${stepMs}ms`, windowsPlayed(recording, atMs, stepMs))
  if (!(atMs >= firstMs && atMs <= lastMs + stepMs)) {
    const [from, to] = [firstMs, lastMs].map(ms => new Date(ms).toISOString())
    throw new ForeshockError('FS_INPUT_INVALID', `--at ${flags.at}: the recording is from ${from} to ${to}`)
  }
  const suspects = await explainRecording(recording, {
    atMs,
    stepMs,
    lookbackMs: flags.lookback === undefined ? undefined : 1000 * positive('--lookback', flags.lookback),
    alert: alertOf(flags.alert),
    config: flags.config,
  })
  const printed = suspects.map(({ onsetMs, observed, expected, ...suspect }) => ({
    rank: suspect.rank,
    entity: suspect.entity,
    metric: suspect.metric,
    score: suspect.score,
    onset: new Date(onsetMs).toISOString(),
    direction: suspect.direction,
    observed: shown(observed),
    expected: shown(expected),
    why: suspect.why,
  }))
  process.stdout.write(
    `${JSON.stringify({ at: new Date(atMs).toISOString(), suspects: printed }, null, 1)}\n`,
  )
}

/** Six digits are more than any measurement has; the history keeps seven. */
function shown(value: number): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(6)) : null
}

interface ExplainQuestion {
  readonly atMs: number
  readonly stepMs: number
  readonly lookbackMs: number | undefined
  readonly alert?: { readonly entity: string; readonly metric: string } | undefined
  readonly config?: string | undefined
}

/** Windows after the moment that are played: as many as a cause is measured on, and the one it lies in. */
const POST_WINDOWS = 6

/** Plays a recording up to a few windows after a moment and asks who began it. */
async function explainRecording(
  recording: Recording,
  { atMs, stepMs, lookbackMs, alert, config }: ExplainQuestion,
): Promise<readonly ExplainedSuspect[]> {
  const { firstMs } = recording.span()
  const world = new RecordedWorld({ stepMs, windows: windowsPlayed(recording, atMs, stepMs), config })
  await recording.play(world, atMs + POST_WINDOWS * stepMs)
  const onsetMs = onsetOf(recording, atMs, stepMs)
  return world.explain(onsetMs, lookbackMs ?? onsetMs - firstMs + stepMs, alert)
}

/** As many as the samples that are played may lie in, and one more. */
function windowsPlayed(recording: Recording, atMs: number, stepMs: number): number {
  const { firstMs, lastMs } = recording.span()
  return Math.ceil((Math.min(lastMs, atMs + POST_WINDOWS * stepMs) - firstMs) / stepMs) + 2
}

/** Start of the first window that may be strange: the one in which the newest sample up to then lies. */
export function onsetOf(recording: Recording, atMs: number, stepMs: number): number {
  const newestMs = recording.newestUpTo(atMs)
  return Math.floor((atMs - newestMs < stepMs ? newestMs : atMs) / stepMs) * stepMs
}

function alertOf(text: string | undefined): { entity: string; metric: string } | undefined {
  if (text === undefined) return undefined
  const at = text.lastIndexOf('|')
  if (at <= 0) throw new ForeshockError('FS_INPUT_INVALID', `--alert ${text}: write entity|metric`)
  return { entity: text.slice(0, at), metric: text.slice(at + 1) }
}

function positive(name: string, text: string): number {
  const value = Number(text.replace(/s$/, ''))
  if (value > 0 && Number.isFinite(value)) return value
  throw new ForeshockError('FS_INPUT_INVALID', `${name} ${text}: write a number of seconds above 0`)
}
