// What is done to a fleet, one case each. A case says what must hold besides that nothing is lost or doubled.
import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { KafkaCluster } from '../../src/bus/kafka-connection.ts'
import { SMALL_FLEET } from '../../src/commands/lab-fleet.ts'
import { CONTENT, HEADERS, TOPICS } from '../../src/core/stream.ts'
import { RedisCheckpointStores } from '../../src/store/redis-checkpoints.ts'
import { RedisConnection } from '../../src/store/redis-connection.ts'
import { CLI } from '../service.ts'
import { buried, corrupted } from './corrupted.ts'
import { inOrderWithoutOvertaken, twiceAndCrossed } from './crossed.ts'
import { type Input, LEARNING } from './input.ts'
import type { Outcome } from './outcome.ts'
import type { RunPlan, Site } from './site.ts'
import { PARTITIONS, SESSION_MS } from './site.ts'

export interface When {
  /** The window in whose middle it is to be done. */
  readonly window: number
  /** How long an engine is away, ms. */
  readonly awayMs: number
  /** The program of an earlier build, where there is one. */
  readonly older: string | undefined
}

export interface FaultCase {
  readonly name: string
  readonly what: string
  /** Kafka's log is to lie on a disk of its own, so large. */
  readonly diskBytes?: number
  /** Where the order of bodies is the fault: those that must give the same, every number of it (crossed.ts). */
  readonly against?: (input: Input, window: number, half: number) => readonly string[]
  /** So many brokers, each with a copy of everything. */
  readonly brokers?: number
  /** An engine is away: the input is sent so slowly that it does not end before. */
  readonly isAway?: true
  readonly plan: (when: When) => Omit<RunPlan, 'input' | 'windowsPerSecond'>
}

/** Until a broker that came back has what it missed, ms. */
const REPLICATED_MS = 10_000
/** A supervisor takes this long to start a process again, ms. */
const RESTART_MS = 500
/** Until a broker whose disk is full has found out, ms. */
const FOUND_OUT_MS = 10_000

async function killed(site: Site, name: string): Promise<void> {
  await site.fleet.member(name).kill()
  await pause(RESTART_MS)
  await site.fleet.member(name).start()
}

export const CASES: readonly FaultCase[] = [
  {
    name: 'scorer-killed',
    what: 'kill -9 of a scorer in the middle of a window; it is started again',
    plan: ({ window: at }) => ({ deeds: [{ at, act: site => killed(site, 'scorer-0') }] }),
  },
  {
    name: 'scorer-lost',
    what: 'kill -9 of one of two scorers; its partitions move to the other',
    plan: ({ window: at }) => ({ deeds: [{ at, act: site => site.fleet.member('scorer-1').kill() }] }),
  },
  {
    name: 'stage-killed',
    what: 'kill -9 of the disruption stage; it is started again',
    plan: ({ window: at }) => ({ deeds: [{ at, act: site => killed(site, 'disruptions') }] }),
  },
  {
    name: 'gateway-killed',
    what: 'kill -9 of the gateway; it is started again',
    plan: ({ window: at }) => ({ deeds: [{ at, act: site => killed(site, 'gateway') }] }),
  },
  {
    name: 'scorer-frozen',
    what: 'SIGSTOP of a scorer for twice the session timeout; then the zombie wakes',
    plan: ({ window: at }) => ({
      deeds: [
        {
          at,
          act: async ({ fleet }) => {
            fleet.member('scorer-0').signal('SIGSTOP')
            await pause(2 * SESSION_MS)
            fleet.member('scorer-0').signal('SIGCONT')
          },
        },
      ],
    }),
  },
  {
    name: 'stage-frozen',
    what: 'SIGSTOP of one of two disruption stages for twice the session timeout; then the zombie wakes',
    plan: ({ window: at }) => ({
      members: [
        { name: 'gateway', roles: ['gateway', 'indexer'] },
        { name: 'scorer-0', roles: ['scorer'] },
        { name: 'disruptions', roles: ['disruptions'] },
        { name: 'disruptions-1', roles: ['disruptions'] },
      ],
      deeds: [
        {
          at,
          act: async ({ fleet }) => {
            const both = [fleet.member('disruptions'), fleet.member('disruptions-1')]
            // Whichever holds the tenant's partition: both are frozen in turn.
            for (const one of both) {
              one.signal('SIGSTOP')
              await pause(2 * SESSION_MS)
              one.signal('SIGCONT')
            }
          },
        },
      ],
    }),
  },
  {
    name: 'broker-stopped',
    what: 'Kafka is stopped in order and started again after a minute (--quick: 10 s)',
    isAway: true,
    plan: ({ window: at, awayMs }) => ({
      deeds: [
        {
          at,
          act: async ({ engines }) => {
            await engines.kafka.stop()
            await pause(awayMs)
            await engines.kafka.start()
          },
        },
      ],
    }),
  },
  {
    name: 'broker-killed',
    what: 'kill -9 of Kafka; it is started again',
    plan: ({ window: at }) => ({
      deeds: [
        {
          at,
          act: async ({ engines }) => {
            await engines.kafka.kill()
            await engines.kafka.start()
          },
        },
      ],
    }),
  },
  {
    name: 'leader-killed',
    what: 'three brokers, two of which must have a message: kill -9 of a leader for a minute (--quick: 10 s), then of another',
    brokers: 3,
    isAway: true,
    plan: ({ window: at, awayMs }) => ({
      deeds: [
        {
          at,
          act: async site => {
            await leaderKilled(site, 0, awayMs)
            await pause(REPLICATED_MS)
            await leaderKilled(site, 1, RESTART_MS)
          },
        },
      ],
    }),
  },
  {
    name: 'redis-stopped',
    what: 'Redis is stopped and started again with its data after a minute (--quick: 10 s)',
    isAway: true,
    plan: ({ window: at, awayMs }) => ({
      deeds: [
        {
          at,
          act: async ({ engines }) => {
            await engines.redis.stop()
            await pause(awayMs)
            await engines.redis.start('kept')
          },
        },
      ],
    }),
  },
  {
    name: 'redis-emptied',
    what: 'Redis is killed and comes back empty; then a scorer is killed and started again',
    plan: ({ window: at }) => ({
      deeds: [
        {
          at,
          act: async site => {
            await site.engines.redis.kill()
            await site.engines.redis.start('empty')
            // Owners that live save again by themselves; who starts before reads the log from its beginning.
            await pause(5000)
            await killed(site, 'scorer-0')
          },
        },
      ],
    }),
  },
  {
    name: 'postgres-stopped',
    what: 'PostgreSQL is stopped and started again after a minute (--quick: 10 s); the index catches up',
    isAway: true,
    plan: ({ window: at, awayMs }) => ({
      deeds: [
        {
          at,
          act: async ({ engines }) => {
            await engines.postgres.stop()
            await pause(awayMs)
            await engines.postgres.start()
          },
        },
      ],
      inspect: indexed,
    }),
  },
  {
    name: 'produced-twice',
    what: 'every body is sent twice, the second time two windows later, and halves of windows change places',
    plan: () => ({ bodies: twiceAndCrossed }),
    against: inOrderWithoutOvertaken,
  },
  {
    name: 'poison',
    what: 'unreadable messages of foreign producers between the samples, in every partition',
    plan: ({ window: at }) => ({
      deeds: [{ at, act: poisoned }],
      inspect: async (_site, { deadLetters }) => {
        const told = new Set(
          deadLetters.map(({ value, key }) => `${key} ${Buffer.from(value).toString('base64')}`),
        )
        const missing = POISON.filter((bytes, i) => !told.has(`poison-${i} ${bytes.toString('base64')}`))
        return missing.map(
          bytes => `no dead letter of ${bytes.length} bytes: ${bytes.subarray(0, 20).toString('hex')}`,
        )
      },
    }),
  },
  {
    name: 'batch-corrupted',
    what: 'batches on disk are damaged, some with a checksum that fits: they are dead letters, and nothing else is',
    plan: ({ window: at }) => ({ deeds: [{ at, act: corrupted }], inspect: buried }),
  },
  {
    name: 'disk-full',
    what: "the disk of Kafka's log is full until the broker fails; room is made and it is started again",
    diskBytes: 192 * 1_048_576,
    plan: ({ window: at }) => ({ deeds: [{ at, act: filled }] }),
  },
  {
    name: 'clock-steps',
    what: 'the wall clock of every process steps an hour ahead, then two hours back, then right again',
    plan: ({ window: at }) => ({
      members: SMALL_FLEET.map(member => ({ ...member, node: ['--import', STEPPED_CLOCK] })),
      deeds: [
        {
          at,
          act: async ({ folder }) => {
            for (const hours of [1, -1, 0]) {
              writeFileSync(join(folder, 'clock'), String(hours * 3_600_000))
              await pause(3000)
            }
          },
        },
      ],
    }),
  },
  {
    name: 'rolling-upgrade',
    what: 'every process is stopped and started in turn, from an earlier build (--older) to this one; then from snapshots of an older layout',
    plan: ({ older }) => ({
      ...(older === undefined ? {} : { cli: older }),
      deeds: [{ at: LEARNING - 25, act: upgraded }],
    }),
  },
]

const STEPPED_CLOCK = new URL('./stepped-clock.mjs', import.meta.url).href

/** Kills the leader of a samples partition; another must lead when it starts again. */
async function leaderKilled({ engines, names }: Site, partition: number, awayMs: number): Promise<void> {
  const topic = names.topics + TOPICS.samples
  const cluster = new KafkaCluster({ brokers: engines.addresses.kafka.split(','), clientId: 'faults' })
  try {
    await cluster.open(topic)
    const leader = cluster.leaders(topic).get(partition) as number
    const node = engines.nodes[leader - 1]
    await node.kill()
    await pause(awayMs)
    let next: number | undefined = leader
    // The controller takes a broker for gone some seconds after its last word.
    for (let tries = 0; next === leader && tries < 60; tries++) {
      if (tries > 0) await pause(500)
      await cluster.recover(new Error('a leader was killed'), 0)
      next = cluster.leaders(topic).get(partition)
    }
    await node.start()
    if (next === leader && awayMs > RESTART_MS) throw new Error(`partition ${partition} has no other leader`)
  } finally {
    await cluster.close()
  }
}

/** Bytes that no decoder takes: cut short, of an unknown version, no UTF-8, no JSON, too deep, empty. */
const POISON: readonly Buffer[] = [
  Buffer.from([0xff, 0xfe, 0x00, 0x80, 0x81]),
  Buffer.from('{"time":"2026-11-20T12:00:00Z","metric":'),
  Buffer.from('[[[[[[[[[['.repeat(2000)),
  Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
  Buffer.from('not a sample at all'),
  Buffer.alloc(200_000, 0x41),
]

async function poisoned({ streams }: Site): Promise<void> {
  const producer = await streams.producer()
  const messages = POISON.flatMap((value, i) =>
    Array.from({ length: PARTITIONS.samples }, (_, partition) => ({
      key: `poison-${i}`,
      value,
      headers: {},
      timestampMs: Date.now(),
      partition,
    })),
  )
  // The same bytes pretending to be what Foreshock itself writes.
  const forged = messages.map(message => ({ ...message, headers: { [HEADERS.content]: CONTENT.columns } }))
  await producer.send(TOPICS.samples, [...messages, ...forged])
  await producer.close()
}

/** Fills the disk to its last byte, waits until Kafka cannot go on, makes room and starts it again. */
async function filled({ engines }: Site): Promise<void> {
  if (engines.disk === undefined) throw new Error('this case needs a disk of its own')
  const filler = join(engines.disk, 'filler')
  spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=64k'])
  await pause(FOUND_OUT_MS)
  rmSync(filler)
  // A broker whose only log folder failed ends itself; one that had nothing to write may still run.
  await engines.kafka.stop()
  await engines.kafka.start()
}

/**
 * SIGTERM and start of every process in turn. Then both scorers are down at once, what they saved is turned into the older
 * layout (while one runs, nobody else may claim its checkpoints), and they start from that.
 */
async function upgraded(site: Site): Promise<void> {
  for (const member of site.fleet.members) {
    await member.stop()
    member.cli = CLI
    await member.start()
  }
  const scorers = site.fleet.having('scorer')
  await Promise.all(scorers.map(one => one.stop()))
  await olderSnapshots(site)
  await Promise.all(scorers.map(one => one.start()))
}

/** The alert state of version 1 counted rest in bytes: what a release before wrote. */
async function olderSnapshots({ engines, names }: Site): Promise<void> {
  const connection = new RedisConnection({ url: engines.addresses.redis, prefix: names.keys })
  const stores = new RedisCheckpointStores({ connection })
  let older = 0
  try {
    for (let p = 0; p < PARTITIONS.samples; p++) {
      const store = await stores.claim(`samples-${p}`)
      const checkpoint = await store.load()
      if (!checkpoint) continue
      const parts = checkpoint.parts.map(part => {
        const { rest } = part.columns
        if (!(rest instanceof Uint16Array)) return part
        older++
        return { ...part, version: 1, columns: { ...part.columns, rest: Uint8Array.from(rest) } }
      })
      await store.save({ ...checkpoint, parts })
    }
  } finally {
    await connection.close()
  }
  if (older === 0) throw new Error('no snapshot of the scorers could be made older')
}

/** The index knows every disruption of the record, as its newest revision. */
export async function indexed({ fleet }: Site, { essence }: Outcome): Promise<readonly string[]> {
  const newest = new Map<string, { revision: number; status: string }>()
  for (const event of essence.values()) {
    const { id, revision, status } = JSON.parse(event.slice(event.indexOf(' ') + 1))
    if ((newest.get(id)?.revision ?? 0) < revision) newest.set(id, { revision, status })
  }
  const [gateway] = fleet.having('gateway')
  let problems: string[] = []
  for (const end = Date.now() + 30_000; Date.now() < end; await pause(250)) {
    problems = []
    for (const [id, { revision, status }] of newest) {
      const answer = await fetch(`${gateway.url}/api/disruptions/${id}`).catch(() => undefined)
      const found = (await answer?.json().catch(() => ({}))) as { revision?: number; status?: string }
      if (found?.revision !== revision || found.status !== status)
        problems.push(`the index has ${id} as ${found?.revision}, not ${revision}`)
    }
    if (problems.length === 0 && newest.size > 0) return []
  }
  return newest.size > 0 ? problems : ['there is no disruption at all']
}
