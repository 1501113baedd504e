// Shows the disruption stage on a real Kafka and a real Redis: one hangs in the middle, another takes the partition over from
// the checkpoint in Redis and goes on; the first one wakes up, is shut out by the broker, and begins anew where the other
// was. The record chains, and it and what the world was told are those of an undisturbed run in memory.
import { setTimeout as wait } from 'node:timers/promises'
import { pino } from 'pino'
import { expect, it } from 'vitest'
import { type StoredMessage, type Streams, TOPICS } from '../../src/core/stream.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { Stage } from '../../src/roles/stage.ts'
import { StagePartition } from '../../src/roles/stage-partition.ts'
import { MemoryBoard } from '../../src/store/memory-board.ts'
import { MemoryDirectory } from '../../src/store/memory-directory.ts'
import { RedisCheckpointStores } from '../../src/store/redis-checkpoints.ts'
import { RedisConnection } from '../../src/store/redis-connection.ts'
import { verifyStream } from '../../src/store/verify-stream-record.ts'
import { kafkaWorld } from '../peers/kafka.ts'
import { redis } from '../peers/redis.ts'
import { CONFIG, FleetWorld, recordedLog, SAMPLES } from '../roles/fleet-world.ts'

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 60_000; !(await holds()); await wait(20))
    if (Date.now() > end) throw new Error(`did not come about: ${what}`)
}

const shown = ({ key, value, headers }: StoredMessage) => ({
  key,
  headers,
  text: Buffer.from(value).toString(),
})

async function all(streams: Streams, topic: string): Promise<ReturnType<typeof shown>[]> {
  const found: ReturnType<typeof shown>[] = []
  for (let p = 0; p < (await streams.partitions(topic)); p++)
    for await (const message of streams.read(topic, p, 0)) found.push(shown(message))
  return found
}

/** What an undisturbed stage makes of it. */
async function undisturbed(recorded: readonly StoredMessage[]) {
  const world = new FleetWorld({ samples: SAMPLES })
  world.log.append(recorded.map(({ topic, ...message }) => ({ topic, message })))
  const stage = await world.stage()
  for (
    let quiet = 0;
    quiet < 3;
    quiet = (stage.partitions[0]?.position ?? 0) < recorded.length ? 0 : quiet + 1
  )
    await wait(5)
  const told = world.messages(TOPICS.disruptions).map(shown)
  const record = world.messages(TOPICS.record).map(shown)
  await world.close()
  return { told, record }
}

it('is taken over while it hangs, is shut out, and goes on', { timeout: 180_000 }, async context => {
  const peer = await redis(context)
  const kafka = await kafkaWorld(
    {
      [TOPICS.samples]: SAMPLES,
      [TOPICS.anomalies]: 1,
      [TOPICS.disruptions]: 2,
      [TOPICS.changes]: 1,
      [TOPICS.record]: 1,
      [TOPICS.deadLetters]: 1,
    },
    context,
  )
  const recorded = await recordedLog()
  const expected = await undisturbed(recorded)
  const connection = new RedisConnection({ url: peer.url })
  const streams = await kafka.streams()
  const producer = await streams.producer()
  const common = {
    config: CONFIG,
    checkpoints: new RedisCheckpointStores({ connection }),
    telemetry: new Telemetry(),
    logger: pino({ level: 'silent' }),
    clock: () => 0,
    patienceMs: 60_000,
  }
  const stage = new Stage({
    ...common,
    member: 'stage-1',
    streams: await kafka.streams(),
    board: new MemoryBoard(),
    directory: new MemoryDirectory(),
  })
  context.onTestFinished(() => connection.close())
  context.onTestFinished(() => stage.close())
  await stage.start()
  await until('it holds the partition', () => stage.partitions.length === 1)
  // The disruption is open in the middle of it.
  const half = Math.floor(recorded.length * 0.8)
  const more = half + 150
  await producer.send(TOPICS.anomalies, recorded.slice(0, half))
  await until('half is taken', () => stage.partitions[0].position >= half)
  // Not while a transaction is under way.
  await until('a checkpoint is saved', async () => (await stage.partitions[0].save(0)) !== undefined)

  const [hanging] = stage.partitions
  const take = hanging.take.bind(hanging)
  let wake = () => {}
  const hangs = new Promise<void>(done => {
    wake = done
  })
  let isHanging = false
  let ended: unknown
  context.onTestFinished(() => wake())
  hanging.take = async (messages, end) => {
    isHanging = true
    await hangs
    try {
      return await take(messages, end)
    } catch (error) {
      ended = error
      throw error
    }
  }
  await producer.send(TOPICS.anomalies, recorded.slice(half, more))
  // Shut out before it has begun to take, it would let go of the partition and take nothing.
  await until('it hangs', () => isHanging)
  const theirs = await kafka.streams()
  const other = await StagePartition.open(
    { ...common, streams: theirs, producer, source: 'foreshock', samplesPartitions: SAMPLES },
    0,
  )
  const messages: StoredMessage[] = []
  for await (const message of theirs.read(TOPICS.anomalies, 0, other.from)) messages.push(message)
  // From the checkpoint on; what stands before only fills its history again, and waits again for the slowest of the scorers.
  expect(other.stage.position).toBeGreaterThanOrEqual(half)
  await other.stage.take(messages, more)
  wake()
  // It notices when it next has something to tell, which what it was handed while it hung need not hold.
  await producer.send(TOPICS.anomalies, recorded.slice(more))
  await until('the first is shut out', () => ended !== undefined)
  expect(ended).toMatchObject({ code: 'FS_FENCED' })
  await until('the first has taken all', () => (stage.partitions[0]?.position ?? 0) >= recorded.length)

  // What it found of the last messages is written after they were taken.
  await until(
    'the record holds it',
    async () => (await all(streams, TOPICS.record)).length >= expected.record.length,
  )
  expect(await all(streams, TOPICS.record)).toEqual(expected.record)
  expect(await all(streams, TOPICS.disruptions)).toEqual(expect.arrayContaining(expected.told))
  expect((await all(streams, TOPICS.disruptions)).length).toBe(expected.told.length)
  expect(await verifyStream(streams, 0)).toMatchObject({ entries: expected.record.length })
})
