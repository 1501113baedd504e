import { readFileSync } from 'node:fs'
import { SingleBar } from 'cli-progress'
import type { Command } from 'commander'
import type { Assembled } from '../assembly.ts'
import type { SampleBatch } from '../core/batch.ts'
import { type Change, changeLine, changeOf } from '../core/change.ts'
import type { DisruptionEvent } from '../core/disruption.ts'
import { ForeshockError } from '../core/errors.ts'
import { Telemetry } from '../core/telemetry.ts'
import { replayFiles, replayRows } from '../ingest/csv-replay.ts'
import { Pipeline } from '../pipeline.ts'
import { Output } from './output.ts'
import { openRecording, type RecordingFlags } from './recording-pipeline.ts'

interface ReplayFlags extends RecordingFlags {
  readonly input: string
  readonly changes?: string
  readonly speed: string
  readonly out?: string
  readonly json?: boolean
}

export function addReplayCommand(cli: Command): void {
  cli
    .command('replay')
    .description(
      'runs recorded metrics of many entities through the whole pipeline; writes disruption events',
    )
    .requiredOption('--input <file|dir>', 'CSV, wide (timestamp, entity|metric…) or long; .gz and - as well')
    .option('--topology <file>', 'CSV with the columns source,target: source calls target')
    .option('--changes <file>', 'JSON lines of {time, entity, kind, ref}')
    .option('--speed <max|n>', 'max, or n times as fast as it was recorded', 'max')
    .option('--out <file>', 'write the events here instead of to standard output')
    .option('--step <duration>', 'window length; default: as far apart as the first samples are')
    .option('--config <file>', 'configuration file')
    .option('--json', 'print a summary as JSON on standard error')
    .action(replay)
}

async function replay(flags: ReplayFlags): Promise<void> {
  const speed = speedOf(flags.speed)
  const changes = flags.changes === undefined ? [] : readChanges(flags.changes)
  const { parts, rejects } = await openRecording('replay', flags.input, flags)
  const read = [...replayFiles(flags.input), flags.topology, flags.changes, flags.config]
  const out = new Output(flags.out ?? '-', read)
  const run = new Run(parts, changes, speed, out)
  const bar = progressBar(flags)
  const summary = await replayRows(flags.input, { series: parts.series, rejects }, async batch => {
    await run.take(batch)
    bar?.update(run.samples)
  })
  await run.end(summary.lastMs)
  bar?.stop()
  await out.end()
  if (flags.json) {
    process.stderr.write(
      `${JSON.stringify({ ...summary, stepMs: parts.history.stepMs, series: parts.series.size, ...run.counts, rejects: rejects.counts() })}\n`,
    )
  }
}

/** Feeds samples and changes in time order and writes the events. */
class Run {
  readonly counts = { opened: 0, updated: 0, resolved: 0, retracted: 0 }
  samples = 0
  readonly #parts: Assembled
  readonly #pipeline: Pipeline
  readonly #changes: Change[]
  readonly #speed: number
  #startedMs = Number.NaN
  #firstMs = Number.NaN
  #position = 0

  constructor(parts: Assembled, changes: readonly Change[], speed: number, out: Output) {
    this.#parts = parts
    this.#changes = [...changes].sort((a, b) => a.timeMs - b.timeMs)
    this.#speed = speed
    const write = async (events: readonly DisruptionEvent[]) => {
      for (const event of events) {
        this.counts[event.type]++
        const type = `io.foreshock.disruption.${event.type}.v1`
        const line = { type, time: new Date(event.timeMs).toISOString(), ...event.disruption }
        await out.write(`${JSON.stringify(line)}\n`)
      }
    }
    this.#pipeline = new Pipeline(parts, (_, outcome) => write(outcome.events), new Telemetry())
  }

  async take(batch: SampleBatch): Promise<void> {
    for (let from = 0, to = 0; from < batch.length; from = to) {
      await this.#changesUntil(batch.timeMs[from])
      to = this.#untilChange(batch, from)
      await this.#feed(to === batch.length && from === 0 ? batch : stretch(batch, from, to))
    }
  }

  async #feed(batch: SampleBatch): Promise<void> {
    const lastMs = batch.timeMs[batch.length - 1]
    await this.#pace(lastMs)
    this.#parts.windows.add(batch, lastMs)
    this.samples += batch.length
    await this.#pipeline.drain(++this.#position)
  }

  /** The first sample after `from` that the next change comes before; the length where there is none. */
  #untilChange({ length, timeMs }: SampleBatch, from: number): number {
    const [next] = this.#changes
    if (next === undefined || timeMs[length - 1] < next.timeMs) return length
    let to = from
    while (timeMs[to] < next.timeMs) to++
    return to
  }

  async end(lastMs: number): Promise<void> {
    await this.#changesUntil(lastMs)
    await this.#pipeline.finish(++this.#position)
  }

  async #changesUntil(timeMs: number): Promise<void> {
    while (this.#changes.length > 0 && this.#changes[0].timeMs <= timeMs) {
      const change = this.#changes.shift() as Change
      const bytes = new TextEncoder().encode(changeLine(change))
      const envelope = {
        kind: 'change',
        encoding: 'identity',
        arrivalMs: change.timeMs,
        tenant: 'default',
        bytes,
      } as const
      await this.#pipeline.process(++this.#position, envelope)
    }
  }

  /** Waits until as much real time has passed as the recording says, divided by the speed. */
  async #pace(timeMs: number): Promise<void> {
    if (!Number.isFinite(this.#speed)) return
    if (Number.isNaN(this.#firstMs)) {
      this.#firstMs = timeMs
      this.#startedMs = performance.now()
    }
    const waitMs = (timeMs - this.#firstMs) / this.#speed - (performance.now() - this.#startedMs)
    if (waitMs > 0) await new Promise(done => setTimeout(done, waitMs))
  }
}

/** Samples of a batch, in its memory. */
function stretch({ series, timeMs, value }: SampleBatch, from: number, to: number): SampleBatch {
  const [length, capacity] = [to - from, to - from]
  return {
    length,
    capacity,
    series: series.subarray(from, to),
    timeMs: timeMs.subarray(from, to),
    value: value.subarray(from, to),
  }
}

function speedOf(text: string): number {
  if (text === 'max') return Number.POSITIVE_INFINITY
  const speed = Number(text)
  if (speed > 0 && Number.isFinite(speed)) return speed
  throw new ForeshockError('FS_INPUT_INVALID', `--speed ${text}: write max, or a number such as 60`)
}

function progressBar(flags: ReplayFlags): SingleBar | undefined {
  if (!process.stderr.isTTY || flags.json) return undefined
  const bar = new SingleBar({ format: 'replay {value} samples, {duration} s', stream: process.stderr })
  bar.start(0, 0)
  return bar
}

/** Changes of a file of JSON lines. */
export function readChanges(file: string): Change[] {
  let text: string
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8')
  } catch (error) {
    throw new ForeshockError('FS_INPUT_INVALID', `${file}: cannot be read (${(error as Error).message})`)
  }
  const changes: Change[] = []
  for (const [index, line] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    if (line.trim() === '') continue
    let value: unknown
    try {
      value = JSON.parse(line)
    } catch {
      throw new ForeshockError('FS_INPUT_INVALID', `${file}: row ${index + 1}: not JSON`)
    }
    const change = changeOf(value)
    if (typeof change === 'string')
      throw new ForeshockError('FS_INPUT_INVALID', `${file}: row ${index + 1}: ${change}`)
    changes.push(change)
  }
  return changes
}
