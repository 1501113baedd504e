// Goals 2 and 4: the service as users run it against VictoriaMetrics, Prometheus and a server that throws bodies away, the same
// bodies over HTTP by turns; CPU of each server's process as Linux counts it. Then ours and the last of them with smaller bodies:
// throwing away costs by the body, so that goal 4 says how large they are.
// node --import tsx bench/measures/against-servers.ts [--quick] [--series N]
import { fork } from 'node:child_process'
import { Agent } from 'node:http'
import { resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { FleetBodies } from '../headline/bodies.ts'
import { post } from '../headline/post.ts'
import { type Measured, QUICK, say } from '../measure.ts'
import { openPrometheus, openVictoriaMetrics, type Peer, stopped } from '../peers/stores.ts'
import { cpuSecondsOf } from '../process-stat.ts'
import { startService } from '../service.ts'
import { TIER_ZERO } from '../tier-zero.ts'
import { ratios, type Side, takeTurns } from '../turns.ts'

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    series: { type: 'string', default: QUICK ? '2000' : '100000' },
    body: { type: 'string', default: '2000' },
    /** Steps a turn: long against the ticks in which Linux counts CPU. */
    steps: { type: 'string', default: QUICK ? '3' : '10' },
    warm: { type: 'string', default: QUICK ? '1' : '3' },
    repetitions: { type: 'string', default: QUICK ? '2' : '7' },
  },
})
const [series, steps] = [Number(args.series), Number(args.steps)]
const [warm, repetitions] = [Number(args.warm), Number(args.repetitions)]
const STEP_MS = 15_000
/** A busy machine makes a busy service, which asks to be told again. */
const TRIES_MAX = 600
const AGAIN_MS = 50
const startMs = Math.floor(Date.now() / STEP_MS) * STEP_MS - ((warm + repetitions) * steps + 2) * STEP_MS
const bodies = new FleetBodies(series, Number(args.body), STEP_MS)
/** Samples a body of senders that send less at once: half and a quarter of Prometheus' default. */
const SMALLER = QUICK ? [500] : [1000, 500]
const agent = new Agent({ keepAlive: true, maxSockets: 1 })

async function deliver(target: URL, body: Uint8Array): Promise<void> {
  for (let tries = 0; ; tries++) {
    const { status, text } = await post(target, agent, body)
    if (status >= 200 && status < 300) return
    if (tries >= TRIES_MAX || (status < 500 && status !== 429))
      throw new Error(`${target}: ${status} ${text}`)
    await pause(AGAIN_MS)
  }
}

/** A server that takes the bodies of its turn's steps. */
function taking(name: string, { url, pid, close }: Peer, bodies: FleetBodies): Side {
  const target = new URL('/api/v1/write', url)
  return {
    name,
    turn: async turn => {
      const before = cpuSecondsOf(pid)
      let samples = 0
      for (let t = turn * steps; t < (turn + 1) * steps; t++) {
        for (let b = 0; b < bodies.count; b++) {
          await deliver(target, bodies.body(b, t, startMs + t * STEP_MS))
          samples += bodies.samples(b)
        }
      }
      return (1e9 * (cpuSecondsOf(pid) - before)) / samples
    },
    close,
  }
}

async function ours(): Promise<Peer> {
  const service = await startService({
    ...TIER_ZERO,
    features: { step: `${STEP_MS}ms`, idle: '10h' },
    checkpoint: { every: '1h' },
    log: { level: 'error' },
  })
  return { url: service.url, pid: service.pid, close: () => service.stop() }
}

async function discard(): Promise<Peer> {
  const child = fork(resolve(import.meta.dirname, '../sides/discard.ts'), {
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const url = await new Promise<string>((done, failed) => {
    child.once('message', text => done(String(text)))
    child.once('exit', code => failed(new Error(`the server that discards ended with ${code}`)))
  })
  return { url, pid: child.pid ?? 0, close: () => stopped(child) }
}

const stores = [
  ['victoria-metrics', 'VictoriaMetrics', await openVictoriaMetrics()],
  ['prometheus', 'Prometheus, a receiver of remote write', await openPrometheus()],
] as const
const sides = [
  taking('ours', await ours(), bodies),
  taking('discard', await discard(), bodies),
  ...stores.flatMap(([name, , store]) => (typeof store === 'string' ? [] : [taking(name, store, bodies)])),
]
const found = await takeTurns(sides, { warm, repetitions })
const unit = 'ns CPU/sample'

async function withBodiesOf(size: number): Promise<Measured[]> {
  const bodies = new FleetBodies(series, size, STEP_MS)
  const sides = [taking('ours', await ours(), bodies), taking('discard', await discard(), bodies)]
  const { ours: our, discard: thrown } = await takeTurns(sides, { warm, repetitions })
  return [
    {
      id: `turns.${size}.ratio`,
      what: `· the same with bodies of ${size}`,
      unit: '×',
      values: ratios(our, thrown),
    },
    { id: `turns.${size}.ns`, what: '·· ours', unit, values: our },
    { id: `turns.${size}.discard.ns`, what: '·· thrown away', unit, values: thrown },
  ]
}
const smaller: Measured[] = []
for (const size of SMALLER) smaller.push(...(await withBodiesOf(size)))
agent.destroy()
/** Rows of a store that could not be had say why. */
const against = ([name, what, store]: (typeof stores)[number]): Measured[] => {
  const missing = { values: [], why: String(store) }
  const theirs = found[name]
  return [
    { id: `turns.${name}.ns`, what: `· ${what}`, unit, ...(theirs ? { values: theirs } : missing) },
    {
      id: name === 'victoria-metrics' ? 'goal.2' : `turns.${name}.ratio`,
      what: `· ours against ${what.split(',')[0]}`,
      unit: '×',
      ...(theirs ? { values: ratios(found.ours, theirs) } : missing),
    },
  ]
}
say([
  {
    id: 'turns.http.ns',
    what: `the running service over HTTP, journal included, ${series / 1000} k series, by turns with the next ${sides.length - 1}`,
    unit,
    values: found.ours,
  },
  { id: 'turns.discard.ns', what: '· a server that throws the bodies away', unit, values: found.discard },
  ...stores.flatMap(against),
  {
    id: 'goal.4',
    what: '· ours against throwing away',
    unit: '×',
    values: ratios(found.ours, found.discard),
  },
  ...smaller,
])
