// One fleet under test: engines of its own that can be stopped, processes that can be hurt, a sender and a watcher.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { KafkaStreams } from '../../src/bus/kafka-streams.ts'
import { type FleetMember, FleetProcesses } from '../../src/commands/fleet-processes.ts'
import {
  clusterOf,
  type FleetNames,
  ownNames,
  removeTraces,
  SMALL_FLEET,
} from '../../src/commands/lab-fleet.ts'
import { type Streams, TOPICS } from '../../src/core/stream.ts'
import { CLI } from '../service.ts'
import type { Engines } from './engines.ts'
import { HALVES, halfOf, type Input } from './input.ts'
import { type Outcome, outcomeOf } from './outcome.ts'
import { Progress } from './progress.ts'
import { send, sendHalf } from './sender.ts'

/** Few, and each with entities of its own. */
export const PARTITIONS = { samples: 4, anomalies: 2 } as const
/** As short as Kafka's brokers allow. */
export const SESSION_MS = 6000
/** Samples may come so much after others of their partition, event time. */
const LATENESS = '5s'
/** After the last window everything is told within this, ms. */
const SETTLE_MS_MAX = 90_000
/** Nothing new for so long: it is settled, ms. */
const SETTLED_MS = 2500

export interface Site {
  readonly engines: Engines
  readonly fleet: FleetProcesses
  readonly streams: Streams
  readonly progress: Progress
  readonly input: Input
  readonly names: FleetNames
  /** Configurations and data of the processes. */
  readonly folder: string
}

/** What is done to a fleet while it is sent the input. */
export interface Deed {
  /** Window before whose second half it is done: in the middle of it. */
  readonly at: number
  /** Resolves when it is over, that is when everything runs again. */
  act(site: Site): Promise<void>
}

export interface RunPlan {
  readonly input: Input
  readonly windowsPerSecond: number
  readonly deeds?: readonly Deed[]
  readonly members?: readonly FleetMember[]
  /** Bodies of a half; another order or repeats are a fault of their own. */
  readonly bodies?: (input: Input, window: number, half: number) => readonly string[]
  /** Looks at the fleet at the end, before it is stopped; problems in words. */
  readonly inspect?: (site: Site, outcome: Outcome) => Promise<readonly string[]>
  /** Folder for the logs of all processes. */
  readonly logs?: string
  /** The program that all members are started with; the built one unless given. */
  readonly cli?: string
  /** Keys laid over the configuration of all members. */
  readonly config?: Readonly<Record<string, unknown>>
}

export interface Run {
  readonly outcome: Outcome
  /** Seconds from the end of the deed to usual lag, for good; the longest of several; NaN without one. */
  readonly recoverySeconds: number
  /** Seconds that the deed lasted. */
  readonly lastedSeconds: number
  readonly bodiesAgain: number
  readonly problems: readonly string[]
}

/** Sends the input to a fresh fleet on fresh topics and does the deeds. Nothing of it is left. */
export async function run(engines: Engines, plan: RunPlan): Promise<Run> {
  const names = ownNames()
  const folder = mkdtempSync(join(tmpdir(), 'foreshock-faults-'))
  const streams = new KafkaStreams({
    brokers: engines.addresses.kafka.split(','),
    clientId: 'faults',
    prefix: names.topics,
    compression: 'none',
    sessionTimeoutMs: SESSION_MS,
  })
  let fleet: FleetProcesses | undefined
  let progress: Progress | undefined
  try {
    fleet = await FleetProcesses.start({
      folder,
      cli: plan.cli ?? CLI,
      members: plan.members ?? SMALL_FLEET,
      // A partition that is empty when its owner looks is told to be at the owner's clock; these begin in the past.
      beforeScorers: async one => void (await sendHalf(gateways(one), plan.input, 0, 0)),
      config: configOf(engines, names, plan),
    })
    progress = await Progress.follow(streams, plan.input.stepMs)
    return await ran({ engines, fleet, streams, progress, input: plan.input, names, folder }, plan)
  } finally {
    await progress?.close()
    await fleet?.kill()
    if (plan.logs !== undefined) {
      mkdirSync(plan.logs, { recursive: true })
      for (const { name, logged } of fleet?.members ?? [])
        writeFileSync(join(plan.logs, `${name}.log`), logged)
    }
    await streams.close()
    await removeTraces(engines.addresses, names).catch(error =>
      process.stderr.write(`left behind: ${error}\n`),
    )
    rmSync(folder, { recursive: true, force: true })
  }
}

function configOf(engines: Engines, names: FleetNames, plan: RunPlan) {
  const cluster = clusterOf(engines.addresses, names)
  return {
    // Event times lie in the past, at a fixed place: nothing that is decided by the wall clock touches them.
    features: { step: `${plan.input.stepMs}ms`, lateness: LATENESS, idle: '10d', retention: '10d' },
    checkpoint: { every: '2s' },
    log: { level: 'info' },
    ...plan.config,
    cluster: {
      ...cluster,
      kafka: { ...(cluster.kafka as object), sessionTimeout: `${SESSION_MS}ms` },
      partitions: PARTITIONS,
      replication: engines.nodes.length,
      // Longer than any hand-over: what is compared must not depend on how long that takes.
      patience: '10m',
    },
  }
}

const gateways = (fleet: FleetProcesses) => () => fleet.having('gateway').map(({ url }) => url)

async function ran(site: Site, plan: RunPlan): Promise<Run> {
  const { fleet, progress, input } = site
  const done: Promise<{ atMs: number; overMs: number }>[] = []
  const { again } = await send(gateways(fleet), input, {
    windowsPerSecond: plan.windowsPerSecond,
    bodies: (window, half) => plan.bodies?.(input, window, half) ?? [halfOf(input, window, half)],
    before: (window, half) => {
      if (half !== HALVES - 1) return // in the middle of a window
      for (const deed of plan.deeds?.filter(({ at }) => at === window) ?? []) done.push(timed(deed, site))
    },
    acknowledged: (window, half) => {
      if (half === HALVES - 1) progress.sentEndMs = input.baseMs + (window + 1) * input.stepMs
    },
  })
  const deeds = await Promise.all(done)
  await settled(site)
  const outcome = await outcomeOf(site.streams)
  const problems = (await plan.inspect?.(site, outcome)) ?? []
  return {
    outcome,
    recoverySeconds: Math.max(...deeds.map(({ atMs, overMs }) => progress.recoverySeconds(atMs, overMs))),
    lastedSeconds: Math.max(...deeds.map(({ atMs, overMs }) => (overMs - atMs) / 1000)),
    bodiesAgain: again,
    problems,
  }
}

async function timed(deed: Deed, site: Site): Promise<{ atMs: number; overMs: number }> {
  const atMs = performance.now()
  await deed.act(site)
  return { atMs, overMs: performance.now() }
}

/** Until nothing is written any more to what is compared. */
async function settled({ streams, progress }: Site): Promise<void> {
  let last = ''
  let sinceMs = performance.now()
  const ends = async () => {
    const all = [TOPICS.record, TOPICS.disruptions].map(async topic => {
      const count = await streams.partitions(topic)
      return Promise.all(Array.from({ length: count }, async (_, p) => (await streams.range(topic, p)).end))
    })
    return JSON.stringify([progress.reportedEndMs, await Promise.all(all)])
  }
  for (const limit = performance.now() + SETTLE_MS_MAX; performance.now() < limit; await pause(250)) {
    const now = await ends()
    if (now !== last) sinceMs = performance.now()
    last = now
    if (performance.now() - sinceMs > SETTLED_MS) return
  }
  throw new Error(`not settled within ${SETTLE_MS_MAX / 1000} s: ${last}`)
}
