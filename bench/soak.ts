// `npm run soak -- --minutes 30 --rate 2000`: a fleet on real Kafka, Redis and PostgreSQL under a steady rate of samples.
// Ends with 0 when resident memory of every process is flat after the warm-up (≤ 5 % between the first and the last fifth,
// medians), lag is flat, and nothing went wrong. --json FILE keeps every look. Runs under ten minutes judge no memory.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { FleetProcesses } from '../src/commands/fleet-processes.ts'
import { clusterOf, ownNames, SMALL_FLEET } from '../src/commands/lab-fleet.ts'
import { BodyWriter } from './bodies.ts'
import { openEngines } from './faults/engines.ts'
import { residentOf } from './process-stat.ts'
import { commit, load, machine } from './report.ts'
import { CLI } from './service.ts'
import { judged, type Look } from './soak-judge.ts'

const { values: args } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    rate: { type: 'string', default: '2000' },
    json: { type: 'string' },
    'warm-up': { type: 'string' },
  },
})
const minutes = Number(args.minutes)
const rate = Number(args.rate)
/** Heaps grow, rings of history fill and series get their shapes in this time. */
const warmUpMinutes = args['warm-up'] === undefined ? Math.min(minutes / 3, 10) : Number(args['warm-up'])
/** Each series is sampled once a window. */
const STEP_S = 10
const series = rate * STEP_S
/** History of five minutes: it is full long before the warm-up ends. */
const HISTORY_WINDOWS = 30
const BODY_SERIES = 1000
const LOOK_MS = 5000
const HEADERS = {
  'content-type': 'application/x-protobuf',
  'content-encoding': 'snappy',
  'x-prometheus-remote-write-version': '0.1.0',
}

/** Sums of a metric of one process; 0 where it has none. */
async function metric(url: string, names: readonly string[]): Promise<number> {
  const text = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(4000) }).then(
    answer => answer.text(),
    () => '',
  )
  return names
    .flatMap(name => [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))])
    .reduce((sum, [, value]) => sum + Number(value), 0)
}

/** Lines of errors that a process has logged, newest last. */
const errorsOf = (logged: string): string[] =>
  logged.split('\n').filter(line => /"level":[56]0/.test(line) && !line.includes('"msg":"request"'))

const engines = await openEngines()
const folder = mkdtempSync(join(tmpdir(), 'foreshock-soak-'))
let fleet: FleetProcesses | undefined
const ended = async () => {
  await fleet?.kill()
  await engines.close()
  rmSync(folder, { recursive: true, force: true })
}
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void ended().finally(() => process.exit(130)))
try {
  const before = load()
  const started = await FleetProcesses.start({
    folder,
    cli: CLI,
    members: SMALL_FLEET,
    config: {
      features: { step: `${STEP_S}s`, historyWindows: HISTORY_WINDOWS },
      checkpoint: { every: '30s' },
      log: { level: 'warn' },
      cluster: {
        ...clusterOf(engines.addresses, ownNames()),
        partitions: { samples: 4, anomalies: 1 },
        replication: 1,
      },
    },
  })
  fleet = started
  const gateway = started.having('gateway')[0].url
  const writer = new BodyWriter()
  const looks: Look[] = []
  const failures: string[] = []
  let accepted = 0
  const startMs = performance.now()
  const endMs = startMs + minutes * 60_000
  const looking = (async () => {
    while (performance.now() < endMs) {
      await pause(LOOK_MS)
      const rss = Object.fromEntries(
        started.members.map(({ name, pid }) => [name, pid === undefined ? 0 : residentOf(pid).now]),
      )
      const lags = started.members.map(({ url }) =>
        metric(url, ['foreshock_partition_lag', 'foreshock_stage_lag', 'foreshock_index_lag']),
      )
      const lag = (await Promise.all(lags)).reduce((sum, one) => sum + one, 0)
      looks.push({ atS: (performance.now() - startMs) / 1000, rss, lag, accepted })
      const dead = started.members.filter(({ alive }) => !alive).map(({ name }) => `${name} has ended`)
      failures.push(...dead.filter(text => !failures.includes(text)))
    }
  })()
  // Every second a tenth of the series, which so have a sample each window.
  for (let second = 0; performance.now() < endMs; second++) {
    const first = (second % STEP_S) * rate
    for (let at = first; at < first + rate; at += BODY_SERIES) {
      const count = Math.min(BODY_SERIES, first + rate - at)
      const body = writer.body(at, count, Math.floor(second / STEP_S), Date.now())
      const answer = await fetch(`${gateway}/api/v1/write`, { method: 'POST', headers: HEADERS, body }).catch(
        (error: unknown) => ({ status: 0, text: async () => String(error) }),
      )
      if (answer.status === 204) accepted += count
      else failures.push(`${answer.status}: ${(await answer.text()).slice(0, 200)}`)
    }
    await pause(Math.max(0, startMs + (second + 1) * 1000 - performance.now()))
  }
  await looking
  for (const { name, logged } of started.members)
    failures.push(...errorsOf(logged).map(line => `${name}: ${line.slice(0, 300)}`))
  const verdict = judged(looks, { warmUpS: warmUpMinutes * 60, isLong: minutes >= 10, failures })
  const head = {
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    commit: commit(),
    machine: machine(),
    load: [before, load()],
    minutes,
    rate,
    series,
    accepted,
    perSecond: Math.round(accepted / ((performance.now() - startMs) / 1000)),
  }
  console.log(JSON.stringify({ ...head, ...verdict }, null, 2))
  if (args.json) writeFileSync(args.json, `${JSON.stringify({ ...head, ...verdict, looks }, null, 2)}\n`)
  if (!verdict.good) process.exitCode = 1
} finally {
  await ended()
}
