import { writeFile } from 'node:fs/promises'
import { SingleBar } from 'cli-progress'
import type { Command } from 'commander'
import { type EngineAddresses, engineAddresses } from '../config.ts'
import { ForeshockError } from '../core/errors.ts'
import { FAULT_KINDS, type FaultKind } from '../lab/faults.ts'
import { type LabProgress, runLab } from '../lab/lab.ts'
import { seededRandom } from '../lab/random.ts'
import { type LabReport, merged } from '../lab/report.ts'
import { disruptionLines, type Paint, paint, reportLines, storyLines } from '../lab/story.ts'

/** Starts an embedded Foreshock with steps of a second; given by the caller, which may construct it. */
export type StartService = () => Promise<{ url: string; stop(): Promise<void> }>
/** The same for a fleet of processes on engines that run already. */
export type StartFleet = (engines: EngineAddresses) => Promise<{ url: string; stop(): Promise<void> }>

/** The demo: time to learn, longest fault, how long the opened disruption is watched, seconds. */
const DEMO = { warmUp: 45, fault: 30, hold: 8, settle: 4, resolveMax: 20 }
/** The full run, seconds: time for two or three minutes of normal life before the first fault. */
const FULL = { warmUp: 90, fault: 30, settle: 20, resolveMax: 60 }

interface LabFlags {
  fault: string
  seconds?: string
  warmUp?: string
  seeds: string
  report?: string
  json?: boolean
  url?: string
  apiKey?: string
  cluster?: boolean
  kafka?: string
  redis?: string
  postgres?: string
}

interface Plan {
  readonly faults: readonly FaultKind[]
  readonly all: boolean
  readonly seeds: readonly number[]
  readonly faultSeconds: number
  readonly warmUpSeconds: number
}

export function addLabCommand(program: Command, startService: StartService, startFleet: StartFleet): void {
  program
    .command('lab')
    .description('The demo: a small fleet of real services, a fault injected, Foreshock finding it.')
    .option(
      '--fault <kind>',
      `one of ${FAULT_KINDS.join(', ')}; several with commas; or all`,
      'slow-dependency',
    )
    .option('--seconds <n>', 'how long a fault lasts at most')
    .option('--warm-up <n>', 'seconds of normal life before the first fault')
    .option('--seeds <list>', 'one run each, such as 1,2,3', '1')
    .option('--report <file>', 'write the report as JSON')
    .option('--json', 'print the report as JSON and nothing else')
    .option('--url <url>', 'watch with a Foreshock that runs already, instead of an embedded one')
    .option('--api-key <key>', 'key with the scopes ingest and read, for --url')
    .option('--cluster', 'watch with a fleet: a gateway, two scorers and the disruption stage as processes')
    .option('--kafka <brokers>', 'for --cluster, host:port with commas; or the variable KAFKA_BROKERS')
    .option('--redis <url>', 'for --cluster; or the variable REDIS_URL')
    .option('--postgres <url>', 'for --cluster; or the variable DATABASE_URL')
    .action(async (flags: LabFlags) => {
      const plan = planOf(flags)
      const report = await runAll(plan, flags, starterOf(flags, startService, startFleet))
      if (flags.report !== undefined) await writeFile(flags.report, `${JSON.stringify(report, null, 2)}\n`)
      if (flags.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
      else if (report.outcomes.length > 1) say(reportLines(report, paint(coloured())))
      const { totals } = report
      if (totals.detected < totals.faults || totals.controlsCalled > 0) process.exitCode = 1
    })
}

/** The same for another command: several runs as one report. */
export function runLabPlan(flags: LabFlags, startService: StartService): Promise<LabReport> {
  return runAll(planOf(flags), flags, startService)
}

/** Who watches: everything in this process, or a fleet. */
function starterOf(flags: LabFlags, startService: StartService, startFleet: StartFleet): StartService {
  if (!flags.cluster) return startService
  if (flags.url !== undefined)
    throw new ForeshockError(
      'FS_INPUT_INVALID',
      '--cluster starts a fleet, --url names a running one: give one',
    )
  const engines = engineAddresses(flags)
  return () => startFleet(engines)
}

function planOf(flags: LabFlags): Plan {
  const all = flags.fault === 'all'
  const named = all ? [...FAULT_KINDS] : flags.fault.split(',').map(name => name.trim())
  const faults = named.map(name => {
    const kind = FAULT_KINDS.find(candidate => candidate === name)
    if (!kind)
      throw new ForeshockError(
        'FS_INPUT_INVALID',
        `--fault ${name}: there is no such fault; use all or ${FAULT_KINDS.join(', ')}`,
      )
    return kind
  })
  const seeds = flags.seeds.split(',').map(text => whole('--seeds', text, 0, 2 ** 31))
  const base = faults.length > 1 || seeds.length > 1 ? FULL : DEMO
  return {
    faults,
    all,
    seeds,
    faultSeconds: flags.seconds === undefined ? base.fault : whole('--seconds', flags.seconds, 5, 3600),
    warmUpSeconds: flags.warmUp === undefined ? base.warmUp : whole('--warm-up', flags.warmUp, 5, 86_400),
  }
}

function whole(flag: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isInteger(value) && value >= min && value <= max) return value
  throw new ForeshockError('FS_INPUT_INVALID', `${flag} ${text}: write a whole number from ${min} to ${max}`)
}

async function runAll(plan: Plan, flags: LabFlags, startService: StartService): Promise<LabReport> {
  const abort = new AbortController()
  const onSignal = () => abort.abort(new ForeshockError('FS_IO', 'stopped on request'))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal)
  try {
    const reports: LabReport[] = []
    for (const seed of plan.seeds) reports.push(await runSeed(plan, seed, flags, startService, abort.signal))
    return merged(reports)
  } catch (error) {
    // A wait that was cut short says only that it was; the reason is what people are told.
    throw abort.signal.aborted ? abort.signal.reason : error
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, onSignal)
  }
}

/** Each seed has a fleet of its own and, unless one runs already, a Foreshock that knows nothing yet. */
async function runSeed(
  plan: Plan,
  seed: number,
  flags: LabFlags,
  startService: StartService,
  signal: AbortSignal,
): Promise<LabReport> {
  const service = flags.url === undefined ? await startService() : undefined
  const url = service?.url ?? flags.url ?? ''
  const teller = new Teller(url, flags.json === true)
  const demo = plan.faults.length === 1 && plan.seeds.length === 1
  try {
    return await runLab({
      url,
      ...(flags.apiKey === undefined ? {} : { apiKey: flags.apiKey }),
      faults: plan.all ? shuffled(plan.faults, seed) : plan.faults,
      seed,
      warmUpSeconds: plan.warmUpSeconds,
      faultSeconds: plan.faultSeconds,
      settleSeconds: demo ? DEMO.settle : FULL.settle,
      resolveSecondsMax: demo ? DEMO.resolveMax : FULL.resolveMax,
      ...(demo ? { holdSeconds: DEMO.hold } : {}),
      onProgress: progress => teller.take(progress),
      signal,
    })
  } finally {
    teller.close()
    await service?.stop()
  }
}

/** Another order for each seed, so that no fault always follows the same one. */
function shuffled(kinds: readonly FaultKind[], seed: number): FaultKind[] {
  const random = seededRandom(seed)
  const order = [...kinds]
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    ;[order[last], order[other]] = [order[other], order[last]]
  }
  return order
}

const WAITING = {
  'run-in': 'running the fleet in',
  'warm-up': 'Foreshock learns what is normal',
  quiet: 'waiting until nothing is open',
  fault: 'the fault lasts',
  settle: 'settling',
} as const

/** Tells the story on stdout and moves a bar on stderr, each only where a person is looking. */
class Teller {
  readonly #url: string
  readonly #quiet: boolean
  readonly #tint: Paint = paint(coloured())
  #bar: SingleBar | undefined
  #why = ''
  #root: string | undefined
  #latest: Extract<LabProgress, { type: 'event' }>['event'] | undefined

  constructor(url: string, quiet: boolean) {
    this.#url = url
    this.#quiet = quiet
  }

  take(progress: LabProgress): void {
    if (progress.type === 'waiting') {
      this.#move(progress)
      return
    }
    if (progress.type === 'injected') {
      this.#root = progress.fault.root
      this.#latest = undefined
    }
    if (progress.type === 'event' && (progress.event.type === 'opened' || progress.event.type === 'updated'))
      this.#latest = progress.event
    const lines = storyLines(progress, this.#tint, this.#url)
    if (progress.type === 'healed' && this.#root !== undefined && this.#latest)
      lines.unshift(...disruptionLines(this.#latest.disruption, this.#root, this.#tint))
    if (lines.length === 0 || this.#quiet) return
    this.#clear()
    say(lines)
  }

  close(): void {
    this.#clear()
  }

  #move({ why, done, total }: Extract<LabProgress, { type: 'waiting' }>): void {
    if (this.#quiet || !process.stderr.isTTY) return
    if (!this.#bar || this.#why !== why) {
      this.#clear()
      this.#why = why
      this.#bar = new SingleBar({
        format: `  ${WAITING[why]} [{bar}] {value}/{total} s`,
        barsize: 30,
        clearOnComplete: true,
        hideCursor: true,
        stream: process.stderr,
      })
      this.#bar.start(Math.round(total), 0)
    }
    this.#bar.update(Math.round(done))
  }

  #clear(): void {
    this.#bar?.stop()
    this.#bar = undefined
  }
}

function coloured(): boolean {
  return process.stdout.isTTY === true && process.stdout.hasColors()
}

function say(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`)
}
