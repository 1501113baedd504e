// A checkpoint of many series by a cut: how long it stops the pipeline, what it costs in all, what a window costs that
// closes right behind the cut and so copies everything that is not written yet, and how long it takes to start from it.
// node --expose-gc --import tsx bench/measures/cut.ts [--series N] [--rich N] [--windows N] [--dir FOLDER]
import { mkdtempSync, statSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate as breathe } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { assemble } from '../../src/assembly.ts'
import { cutAt, restore, type Stateful } from '../../src/checkpoint.ts'
import { parseConfig } from '../../src/config.ts'
import { Cut } from '../../src/core/cut.ts'
import type { Envelope } from '../../src/core/envelope.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { CutPace } from '../../src/cut-pace.ts'
import { Pipeline } from '../../src/pipeline.ts'
import { CheckpointEncoder } from '../../src/store/checkpoint-format.ts'
import { FileCheckpoints } from '../../src/store/file-checkpoints.ts'
import { BodyWriter } from '../bodies.ts'
import { collect, cpuNs, type Measured, QUICK, say } from '../measure.ts'

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    series: { type: 'string', default: QUICK ? '4000' : '1000000' },
    rich: { type: 'string' },
    windows: { type: 'string', default: '6' },
    body: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: QUICK ? '2' : '5' },
    dir: { type: 'string' },
  },
})
const count = Number(args.series)
const perBody = Number(args.body)
const rounds = Number(args.rounds)
const STEP_MS = 10_000
const T0 = 1_700_000_000_000
const config = parseConfig({
  ingest: { maxSeries: Math.max(count, 1_000_000) },
  ...(args.rich === undefined ? {} : { detection: { richSeries: Number(args.rich) } }),
})
const build = () => assemble(config, new Rejects())
type Parts = ReturnType<typeof build>

function statefulOf({ intake, windows, scoring, disruptions, history }: Parts): Stateful[] {
  const past: Stateful = {
    snapshot: () => [history.snapshot()],
    cut: cut => [history.cut(cut)],
    restore: saved => history.restore(saved),
  }
  return [intake, windows, scoring, disruptions, past]
}

const parts = build()
const pipeline = new Pipeline(parts, async () => {}, new Telemetry())
const writer = new BodyWriter()
let position = 0
let t = 0

async function send(first: number): Promise<void> {
  const ms = T0 + t * STEP_MS
  const envelope: Envelope = {
    kind: 'remote-write-1',
    encoding: 'snappy',
    arrivalMs: ms + 2000,
    tenant: 'default',
    bytes: writer.body(first, Math.min(perBody, count - first), t, ms),
  }
  await pipeline.process(++position, envelope)
}

/** A window's samples; the first body closes the window before. */
async function window(): Promise<void> {
  for (let first = 0; first < count; first += perBody) await send(first)
  t++
}

const cutOfAll = () => new Cut(config.checkpoint.copies, parts.series.capacity)
const newCut = (cut = cutOfAll()) => cutAt(position, T0, parts.series, statefulOf(parts), cut)
const own = args.dir ?? mkdtempSync(join(tmpdir(), 'foreshock-cut-'))
const store = new FileCheckpoints({ dir: own })

/** ms of CPU of opening the cut, and of the longest block made of it. */
async function steps(): Promise<{ open: number; block: number; all: number }> {
  collect()
  const started = cpuNs()
  const checkpoint = newCut()
  const open = (cpuNs() - started) / 1e6
  const encoder = new CheckpointEncoder(checkpoint)
  const into = Buffer.alloc(1_048_576)
  let block = 0
  for (;;) {
    const before = cpuNs()
    const length = encoder.read(into)
    block = Math.max(block, (cpuNs() - before) / 1e6)
    if (length === 0) break
  }
  checkpoint.cut?.close()
  return { open, block, all: (cpuNs() - started) / 1e6 }
}

/**
 * A checkpoint written while the bodies of a window go on, as a service that waits for the window's end writes it; or with
 * `closes` at the worst moment: the first body behind the cut closes a window, and all its rows are touched.
 */
async function saved(closes: boolean) {
  if (!closes) await send(0)
  collect()
  const cut = cutOfAll()
  const checkpoint = newCut(cut)
  const started = performance.now()
  const before = cpuNs()
  let done = false
  const saving = store
    .save(checkpoint)
    .then(
      () => '',
      error => String(error.code),
    )
    .finally(() => {
      done = true
    })
  const pace = new CutPace(cut, STEP_MS)
  pipeline.beforeBatch = batch => pace.wait(batch)
  const loop = monitorEventLoopDelay({ resolution: 1 })
  loop.enable()
  let bodies = 0
  if (closes) await send(0)
  while (!done) {
    await breathe()
    // A real sender's bodies lie apart: about 15 ms at a million series in 15 s.
    const due = performance.now() - started > 15 * (bodies + 1)
    if (due && (bodies + 2) * perBody <= count) await send(++bodies * perBody)
  }
  const failed = await saving
  loop.disable()
  pipeline.beforeBatch = undefined
  const cpuMs = (cpuNs() - before) / 1e6
  const wallMs = performance.now() - started
  while ((bodies + 2) * perBody <= count) await send(++bodies * perBody)
  t++
  const [copiedMB, peakMB] = [cut.copiedBytes / 1e6, cut.heldBytesPeak / 1e6]
  return { failed, wallMs, cpuMs, bodies, copiedMB, peakMB, waitedMs: pace.waitedMs, loopMs: loop.max / 1e6 }
}

for (let n = 0; n < Number(args.windows); n++) await window()
const opened = []
for (let i = 0; i < rounds; i++) opened.push(await steps())
process.stderr.write(`${JSON.stringify(opened)}\n`)
process.stderr.write(`behind a window: ${JSON.stringify(await saved(false))}\n`)
process.stderr.write(`before a window: ${JSON.stringify(await saved(true))}\n`)
await store.save(newCut())
const newest = (await readdir(own))
  .filter(name => name.endsWith('.bin'))
  .sort()
  .at(-1) as string
const bytes = statSync(join(own, newest)).size

collect()
const loading = cpuNs()
const loaded = await store.load()
const read = (cpuNs() - loading) / 1e9
if (!loaded) throw new Error('nothing was saved')
const next = build()
const restoring = cpuNs()
restore(loaded, next.series, statefulOf(next), true)
const put = (cpuNs() - restoring) / 1e9
if (next.series.size !== parts.series.size) throw new Error('series are missing after the restore')
await rm(args.dir ? join(own, newest) : own, { recursive: true, force: true })

const measured: Measured[] = [
  {
    id: 'cut.open.ms',
    what: `opening the cut of ${count} series stops the pipeline for`,
    unit: 'ms CPU',
    atMost: 50,
    values: opened.map(one => one.open),
  },
  {
    id: 'cut.block.ms',
    what: '· the longest of its blocks, made between envelopes',
    unit: 'ms CPU',
    atMost: 10,
    values: opened.map(one => one.block),
  },
  { id: 'cut.all.ms', what: '· all of them', unit: 'ms CPU', values: opened.map(one => one.all) },
  { id: 'cut.bytes', what: 'bytes of the checkpoint', unit: 'B/series', values: [bytes / count] },
  { id: 'cut.read.us', what: 'reading it', unit: 'µs CPU/series', values: [(read * 1e6) / count] },
  {
    id: 'cut.restore.us',
    what: 'putting it back',
    unit: 'µs CPU/series',
    atMost: 5,
    values: [(put * 1e6) / count],
  },
]
say(measured)
