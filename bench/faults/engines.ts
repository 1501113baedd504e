// Kafka, Redis and PostgreSQL of the fault suite's own: the same peers as the tests', which can be stopped and killed.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'vitest'
import type { EngineAddresses } from '../../src/config.ts'
import { ownKafka } from '../../test/peers/kafka.ts'
import { type OwnKafka, startBrokers } from '../../test/peers/kafka-broker.ts'
import { kafkaSoftware } from '../../test/peers/kafka-software.ts'
import { type PostgresPeer, postgres } from '../../test/peers/postgres.ts'
import { type RedisPeer, redis } from '../../test/peers/redis.ts'

export interface Engines {
  readonly addresses: EngineAddresses
  readonly kafka: OwnKafka
  /** All brokers; `kafka` is the first. */
  readonly nodes: readonly OwnKafka[]
  readonly redis: RedisPeer
  readonly postgres: PostgresPeer
  /** Folder of the disk that Kafka's log has to itself, where it has one. */
  readonly disk: string | undefined
  close(): Promise<void>
}

/** With `diskBytes` Kafka's log lies on a disk of its own, so large; rejects where none can be mounted. */
export async function openEngines({
  diskBytes,
  brokers = 1,
}: {
  readonly diskBytes?: number | undefined
  readonly brokers?: number | undefined
} = {}): Promise<Engines> {
  const atEnd: (() => Promise<void> | void)[] = []
  // What the peers want of a test: a name for their messages, and to be told of its end.
  const context = {
    task: { name: 'faults' },
    skip: (reason: string) => {
      throw new Error(reason)
    },
    onTestFinished: (work: () => Promise<void> | void) => atEnd.push(work),
  } as unknown as TestContext
  const close = async () => {
    for (const work of atEnd.reverse()) await work()
  }
  try {
    const disk = diskBytes === undefined ? undefined : mounted(diskBytes)
    if (disk !== undefined) atEnd.push(() => unmounted(disk))
    const [nodes, redisPeer, postgresPeer] = [
      brokers > 1 ? await several(brokers, context) : [await kafkaOn(disk, context)],
      await redis(context),
      await postgres(context),
    ]
    return {
      addresses: {
        kafka: nodes.map(({ broker }) => broker).join(','),
        redis: redisPeer.url,
        postgres: postgresPeer.url,
      },
      kafka: nodes[0],
      nodes,
      redis: redisPeer,
      postgres: postgresPeer,
      disk,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function several(count: number, context: TestContext): Promise<readonly OwnKafka[]> {
  const { nodes, end } = await startBrokers(await kafkaSoftware(context), count)
  context.onTestFinished(end)
  return nodes
}

/** The peer keeps its log where temporary files go: for the moment of its start that is the small disk. */
async function kafkaOn(disk: string | undefined, context: TestContext): Promise<OwnKafka> {
  if (disk === undefined) return ownKafka(context)
  const before = process.env.TMPDIR
  process.env.TMPDIR = disk
  try {
    return await ownKafka(context)
  } finally {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  }
}

function mounted(bytes: number): string {
  const dir = mkdtempSync(join(tmpdir(), 'foreshock-disk-'))
  const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', dir])
  if (mount.status === 0) return dir
  rmSync(dir, { recursive: true })
  throw new Error(`no disk can be mounted here: ${mount.stderr}`)
}

function unmounted(dir: string): void {
  spawnSync('umount', ['-l', dir])
  rmSync(dir, { recursive: true, force: true })
}
