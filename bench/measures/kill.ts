// Kill -9 in the midst of a checkpoint of many series: the built service takes a fleet's bodies over HTTP, some services fail,
// and when the sender is done the next checkpoint begins to be written and the process is killed. Started again, it must take
// the checkpoint before, read the journal behind it and know the same series, anomalies and disruptions, field by field.
// node --import tsx bench/measures/kill.ts [--series N] [--rich N] [--steps N] [--every 60s] [--folder FOLDER]
import { fork } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { configOf } from '../headline/headline.ts'
import type { SendPlan, Told } from '../headline/sender.ts'
import { cpuSecondsOf, residentOf } from '../process-stat.ts'
import { configFile, type Serving, serve } from '../service.ts'

const { values: args } = parseArgs({
  options: {
    series: { type: 'string', default: '3000000' },
    rich: { type: 'string', default: '100000' },
    steps: { type: 'string', default: '12' },
    every: { type: 'string', default: '60s' },
    folder: { type: 'string', default: tmpdir() },
    /** Bytes of the new checkpoint that are written when the process is killed, of those of the one before. */
    share: { type: 'string', default: '0.4' },
  },
})
const STEP_S = 15
const WAIT_MS = 1_800_000

interface Service extends Serving {
  readonly log: readonly string[]
}

async function start(file: string): Promise<Service> {
  const log: string[] = []
  return { ...(await serve(file, { log })), log }
}

async function ask<T>(url: string): Promise<T> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(300_000) })
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`)
  return (await answer.json()) as T
}

/** What it knows, as text that can be compared. */
async function known({
  url,
}: Service): Promise<{ series: number; anomaliesOpen: number; disruptions: string[] }> {
  const { series, anomaliesOpen } = await ask<{ series: number; anomaliesOpen: number }>(`${url}/api/status`)
  const { items } = await ask<{ items: { id: string }[] }>(`${url}/api/disruptions?limit=100`)
  const disruptions = items.map(one => JSON.stringify(one)).sort()
  return { series, anomaliesOpen, disruptions }
}

async function send(url: string): Promise<number> {
  const steps = Number(args.steps)
  const stepMs = STEP_S * 1000
  const startMs = Math.floor(Date.now() / stepMs) * stepMs - steps * stepMs
  const plan: SendPlan = {
    url,
    series: Number(args.series),
    steps,
    stepMs,
    startMs,
    bodySeries: 5000,
    connections: 4,
    churn: 0.01,
    seed: 7,
    faults: true,
    paceMs: 0,
  }
  const child = fork(resolve(import.meta.dirname, '../headline/sender.ts'), [JSON.stringify(plan)], {
    execArgv: ['--import', 'tsx'],
  })
  let samples = 0
  child.on('message', (told: Told) => {
    if (told.kind !== 'step') return
    samples += told.samples
    say(`step ${told.step}: ${(told.wallMs / 1000).toFixed(1)} s`)
  })
  const code = await new Promise(done => child.once('exit', done))
  if (code !== 0) throw new Error(`the sender ended with ${code}`)
  return samples
}

const say = (text: string) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`)
const sizeOf = (path: string) => (existsSync(path) ? statSync(path).size : 0)

const base = mkdtempSync(join(args.folder, 'foreshock-kill-'))
const data = join(base, 'data')
const checkpoints = join(data, 'checkpoints')
const config = configOf({
  series: Number(args.series),
  stepS: STEP_S,
  set: [`detection.richSeries=${args.rich}`, `checkpoint.every=${args.every}`, 'log.level=info'],
} as unknown as Parameters<typeof configOf>[0])
const file = configFile(base, config, data)

let service = await start(file)
try {
  const samples = await send(service.url)
  const before = await known(service)
  say(`${samples} samples sent; ${before.series} series, ${before.disruptions.length} disruptions`)
  const temporary = join(checkpoints, 'checkpoint.tmp')
  const whole = () =>
    existsSync(checkpoints)
      ? readdirSync(checkpoints)
          .filter(name => name.endsWith('.bin'))
          .sort()
      : []
  for (const until = performance.now() + WAIT_MS; ; await pause(5)) {
    const newest = whole().at(-1)
    const size = newest === undefined ? 0 : sizeOf(join(checkpoints, newest))
    if (size > 0 && sizeOf(temporary) > Number(args.share) * size) break
    if (performance.now() > until) throw new Error('no checkpoint began')
  }
  const rssPeak = residentOf(service.pid).peak
  service.kill('SIGKILL')
  await service.ended
  const newest = whole().at(-1) as string
  const written = sizeOf(temporary)
  say(`killed with ${written} bytes of the next one written; kept ${whole().join(', ')}`)
  service = await start(file)
  const cpuS = cpuSecondsOf(service.pid)
  const after = await known(service)
  const restored = service.log.map(line => JSON.parse(line)).find(({ msg }) => msg === 'state restored')
  const same = JSON.stringify(before) === JSON.stringify(after)
  const found = {
    series: before.series,
    anomaliesOpen: [before.anomaliesOpen, after.anomaliesOpen],
    disruptions: [before.disruptions.length, after.disruptions.length],
    same,
    checkpoint: { file: newest, bytes: sizeOf(join(checkpoints, newest)), writtenOfNext: written },
    position: restored?.position,
    bodiesReplayed: restored?.replayed,
    readS: restored?.readSeconds,
    readAndReplayedS: restored?.seconds,
    readyS: service.readyMs / 1000,
    cpuS,
    rssPeakMiB: [rssPeak / 2 ** 20, residentOf(service.pid).peak / 2 ** 20],
  }
  process.stdout.write(`${JSON.stringify(found, null, 2)}\n`)
  if (!same) {
    writeFileSync(join(tmpdir(), 'foreshock-kill-differs.json'), JSON.stringify({ before, after }, null, 2))
    process.exitCode = 1
  }
} finally {
  service.kill('SIGKILL')
  await service.ended
  rmSync(base, { recursive: true, force: true })
}
