import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { removeTopics } from '../bus/kafka-removal.ts'
import type { EngineAddresses } from '../config.ts'
import { removePostgresSchema } from '../store/postgres-removal.ts'
import { removeRedisKeys } from '../store/redis-removal.ts'
import { type FleetMember, type FleetPlan, FleetProcesses } from './fleet-processes.ts'

/** The built program: this file's own neighbour, or beside the sources. */
const CLI = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../dist/cli.js' : '../cli.js', import.meta.url),
)

/** A gateway that also indexes, two scorers, and who joins what they find. */
export const SMALL_FLEET: readonly FleetMember[] = [
  { name: 'gateway', roles: ['gateway', 'indexer'] },
  { name: 'scorer-0', roles: ['scorer'] },
  { name: 'scorer-1', roles: ['scorer'] },
  { name: 'disruptions', roles: ['disruptions'] },
]

/** Where a fleet of one run keeps its things on engines that others use too: under names of its own. */
export interface FleetNames {
  readonly topics: string
  readonly keys: string
  readonly schema: string
}

export function ownNames(): FleetNames {
  const id = randomBytes(4).toString('hex')
  return { topics: `foreshock-${id}.`, keys: `foreshock-${id}:`, schema: `foreshock_${id}` }
}

/** The section `cluster` of a fleet on these engines. */
export function clusterOf(engines: EngineAddresses, names: FleetNames): Record<string, unknown> {
  return {
    kafka: { brokers: engines.kafka.split(','), prefix: names.topics },
    redis: { url: engines.redis, prefix: names.keys },
    postgres: { url: engines.postgres, schema: names.schema },
  }
}

/** Removes what a fleet left on its engines; everything is tried, the first failure is told. */
export async function removeTraces(engines: EngineAddresses, names: FleetNames): Promise<void> {
  const done = await Promise.allSettled([
    removeTopics({ brokers: engines.kafka.split(','), clientId: 'foreshock-lab' }, names.topics),
    removeRedisKeys({ url: engines.redis, prefix: names.keys }),
    removePostgresSchema(engines.postgres, names.schema),
  ])
  const failed = done.find(one => one.status === 'rejected')
  if (failed) throw failed.reason
}

/** The fleet that watches the lab: windows of a second, as the embedded one has; nothing is left when it stops. */
export async function startLabFleet(
  engines: EngineAddresses,
): Promise<{ url: string; processes: number; stop(): Promise<void> }> {
  const names = ownNames()
  const folder = await mkdtemp(join(tmpdir(), 'foreshock-lab-fleet-'))
  const plan: FleetPlan = {
    folder,
    cli: CLI,
    members: SMALL_FLEET,
    config: {
      features: { step: '1s', lateness: '1s' },
      log: { level: 'warn' },
      cluster: { ...clusterOf(engines, names), partitions: { samples: 4, anomalies: 1 }, replication: 1 },
    },
  }
  const removed = async () => {
    await rm(folder, { recursive: true, force: true })
    await removeTraces(engines, names)
  }
  try {
    const fleet = await FleetProcesses.start(plan)
    return {
      url: fleet.having('gateway')[0].url,
      processes: fleet.members.length,
      stop: async () => {
        await fleet.stop()
        await removed()
      },
    }
  } catch (error) {
    await removed().catch(() => {})
    throw error
  }
}
