import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'
import type { Command } from 'commander'
import { ForeshockError } from '../core/errors.ts'
import { matcherOf } from '../core/series-match.ts'
import { Telemetry } from '../core/telemetry.ts'
import { parseTime } from '../core/time.ts'
import type { WindowFormat } from '../core/window-rows.ts'
import { replayFiles, replayRows } from '../ingest/csv-replay.ts'
import { Pipeline } from '../pipeline.ts'
import { openWindowFile } from '../store/window-file.ts'
import { Output, openOutput } from './output.ts'
import { openRecording, type RecordingFlags } from './recording-pipeline.ts'
import { addServiceAddress, askRaw, type ServiceFlags } from './service-client.ts'
import { WindowRecorder } from './window-recorder.ts'

interface ExportFlags extends ServiceFlags, RecordingFlags {
  readonly out: string
  readonly from?: string
  readonly to?: string
  readonly entity?: string
  readonly metric?: string
  readonly format?: string
  readonly input?: string
  readonly json?: boolean
}

export function addWindowsCommand(cli: Command): void {
  const command = cli
    .command('windows')
    .description('windows as the detectors saw them, to train models on')
    .command('export')
  addServiceAddress(command, 'read')
    .description('writes windows with what was said of them, from the running service or from a recording')
    .requiredOption(
      '--out <file>',
      'where to; - is standard output, as JSON lines unless --format says other',
    )
    .option('--format <name>', 'parquet or ndjson; default: as --out ends')
    .option('--from <time>', 'windows that end after this')
    .option('--to <time>', 'windows that end by this')
    .option('--entity <glob>', 'of these entities; * stands for any text')
    .option('--metric <glob>', 'of these metrics; * stands for any text')
    .option('--input <file|dir>', 'instead of a service: recorded metrics, as replay reads them')
    .option('--topology <file>', 'of the recording: CSV with the columns source,target')
    .option('--step <duration>', 'of the recording: window length; default: as far apart as samples are')
    .option('--config <file>', 'of the recording: configuration file')
    .option('--json', 'print what was written as JSON on standard error')
    .action(exportWindows)
}

async function exportWindows(flags: ExportFlags): Promise<void> {
  const format = formatOf(flags)
  const span = { from: timeOf('--from', flags.from), to: timeOf('--to', flags.to) }
  const summary =
    flags.input === undefined
      ? await fromService(flags, format, span)
      : await fromRecording(flags, flags.input, format, span)
  if (flags.json) process.stderr.write(`${JSON.stringify({ out: flags.out, format, ...summary })}\n`)
}

interface Span {
  /** Unix ms. */
  readonly from: number | undefined
  readonly to: number | undefined
}

/** What the running service remembers: as long as `features.historyWindows` is. */
async function fromService(flags: ExportFlags, format: WindowFormat, { from, to }: Span) {
  const wanted = new URLSearchParams({ format })
  for (const [name, value] of Object.entries({ from, to, entity: flags.entity, metric: flags.metric }))
    if (value !== undefined) wanted.set(name, String(value))
  const answer = await askRaw(flags, `/api/windows?${wanted}`)
  const out =
    flags.out === '-' ? process.stdout : createWriteStream(flags.out, { fd: openOutput(flags.out, []) })
  let bytes = 0
  const body = Readable.fromWeb(answer.body as ReadableStream)
  body.on('data', chunk => {
    bytes += chunk.length
  })
  // Standard output stays open for whoever else writes to it.
  await pipeline(body, out, { end: flags.out !== '-' }).catch(error => {
    throw new ForeshockError('FS_IO', `${flags.out}: cut off after ${bytes} bytes (${error.message})`)
  })
  return { bytes }
}

/** Runs recorded samples through the pipeline as it ships, and writes every window of it. */
async function fromRecording(flags: ExportFlags, input: string, format: WindowFormat, span: Span) {
  const { parts, rejects } = await openRecording('windows', input, flags)
  const out = new Output(flags.out, [...replayFiles(input), flags.topology, flags.config])
  const made: Uint8Array[] = []
  const written = async () => {
    for (const bytes of made.splice(0)) await out.write(bytes)
  }
  const recorder = new WindowRecorder(
    parts,
    openWindowFile(format, bytes => made.push(bytes)),
    {
      fromMs: span.from ?? -Infinity,
      toMs: span.to ?? Infinity,
      matches: matcherOf({ metric: flags.metric, group: flags.entity }),
    },
  )
  const world = new Pipeline(
    { ...parts, history: recorder },
    async (_, outcome) => recorder.heard(outcome),
    new Telemetry(),
  )
  let position = 0
  const read = await replayRows(input, { series: parts.series, rejects }, async batch => {
    if (batch.length === 0) return
    parts.windows.add(batch, batch.timeMs[batch.length - 1])
    await world.drain(++position)
    recorder.writeSettled(parts.history.newestEndMs)
    await written()
  })
  await world.finish(++position)
  await recorder.finish(written)
  await out.end()
  return { rows: recorder.rows, samples: read.samples, series: parts.series.size, rejects: rejects.counts() }
}

function formatOf({ format, out }: ExportFlags): WindowFormat {
  const said =
    format ?? (out.endsWith('.parquet') ? 'parquet' : /(^-|\.(ndjson|jsonl))$/.test(out) ? 'ndjson' : '')
  if (said === 'parquet' || said === 'ndjson') return said
  const reason =
    format === undefined ? `--out ${out}: ends in none of .parquet, .ndjson, .jsonl` : `--format ${format}`
  throw new ForeshockError('FS_INPUT_INVALID', `${reason}; say --format parquet or --format ndjson`)
}

function timeOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const timeMs = parseTime(text)
  if (Number.isNaN(timeMs))
    throw new ForeshockError('FS_INPUT_INVALID', `${flag} ${text}: write ISO 8601, Unix s or Unix ms`)
  return timeMs
}
