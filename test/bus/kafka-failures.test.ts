// Shows, on a Kafka of its own, what happens when Kafka or a member goes away: a broker that is killed and comes back costs
// time but no message and no order, nobody's process ends, and a member that stood still for longer than its session neither
// takes nor commits anything more of what others were given.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { kafkaAdmin } from '../../src/bus/kafka-connection.ts'
import { KafkaStreams, type KafkaStreamsOptions } from '../../src/bus/kafka-streams.ts'
import { createTopics } from '../../src/bus/kafka-topics.ts'
import { kafka, kafkaOptions, kafkaWorld, ownKafka } from '../peers/kafka.ts'
import { Ledger, Recorder, textsOf, to, until } from './streams-contract.ts'

const LIMIT_MS = 120_000

/** Kafka knows a batch that is repeated by the time of its messages too: after a restart it forgets old ones. */
const now = (partition: number, text: string) => ({ ...to(partition, text), timestampMs: Date.now() })

it('Kafka goes away and comes back: each message stands once and in order, members and followers go on', {
  timeout: LIMIT_MS,
}, async context => {
  const broker = await ownKafka(context)
  const events: string[] = []
  const options = kafkaOptions(broker, { observe: ({ type }) => events.push(type) })
  await createTopics(options, [{ name: 't', partitions: 2, replication: 1, config: {} }])
  const streams = new KafkaStreams(options)
  const hasty = new KafkaStreams({ ...options, patienceMs: 500 })
  onTestFinished(() => Promise.all([streams.close(), hasty.close()]).then(() => {}))
  const ledger = new Ledger()
  const owner = new Recorder('a', ledger)
  await streams.group({ topic: 't', group: 'g', member: 'a' }).run(owner)
  const followed: string[] = []
  await streams.follow('t', ({ value }) => void followed.push(Buffer.from(value).toString()))
  const producer = await streams.producer()
  const transactor = await streams.transactor('x')
  const impatient = await hasty.producer()
  const sent: string[] = []
  let stopped = false
  const writing = (async () => {
    for (let n = 0; !stopped; n++) {
      const texts = [`${2 * n}`, `${2 * n + 1}`]
      sent.push(...texts)
      const messages = texts.map((text, i) => now(i, text))
      if (n % 4 === 3) await transactor.send(messages.map(message => ({ topic: 't', message })))
      else await producer.send('t', messages)
      await wait(5)
    }
  })()
  await until('some are taken', () => owner.taken.length > 30)
  await broker.kill()
  await expect(new KafkaStreams(options).check()).rejects.toMatchObject({ code: 'FS_IO' })
  // One that may not wait gives up, and what it sends next is not confused by it.
  await expect(impatient.send('t', [now(0, 'lost')])).rejects.toMatchObject({ code: 'FS_IO' })
  await broker.start()
  await until('it goes on', () => sent.length > 100)
  await impatient.send('t', [now(0, '1000000')])
  stopped = true
  await writing
  await until('all are taken', () => owner.taken.length > sent.length, 30_000)
  await until('all are followed', () => followed.length > sent.length, 30_000)
  for (const parity of [0, 1]) {
    const mine = sent.filter(text => Number(text) % 2 === parity)
    const isMine = (text: string) => Number(text) % 2 === parity && text !== '1000000'
    expect((await textsOf(streams.read('t', parity, 0))).filter(isMine)).toEqual(mine)
    expect(owner.texts().filter(isMine)).toEqual(mine)
    expect(followed.filter(isMine)).toEqual(mine)
  }
  expect(owner.texts()).toContain('1000000')
  expect(owner.texts()).not.toContain('lost')
  expect(ledger.problems).toEqual([])
  expect(events).toContain('failed')
})

/** How far group `g` is, as Kafka knows it. */
async function committed(options: KafkaStreamsOptions, partition: number): Promise<number> {
  const admin = kafkaAdmin(options)
  await admin.connect()
  const [{ partitions }] = await admin.fetchOffsets({
    groupId: `${options.prefix}g`,
    topics: [`${options.prefix}t`],
  })
  await admin.disconnect()
  return Number(partitions.find(one => one.partition === partition)?.offset)
}

/** A member in a process of its own, which says what it does, a line each. */
function memberProcess(options: KafkaStreamsOptions): { child: ChildProcess; lines: string[] } {
  const script = join(import.meta.dirname, 'kafka-member-process.ts')
  const child = spawn(process.execPath, ['--import', 'tsx', script, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  createInterface({ input: child.stdout! }).on('line', line => lines.push(line))
  onTestFinished(() => {
    child.kill('SIGCONT')
    child.kill('SIGKILL')
  })
  return { child, lines }
}

describe('a member', () => {
  it('that stood still takes and commits nothing more of what others were given', {
    timeout: LIMIT_MS,
  }, async context => {
    const options = kafkaOptions(await kafka(context), { sessionTimeoutMs: 1500 })
    await createTopics(options, [{ name: 't', partitions: 2, replication: 1, config: {} }])
    const streams = new KafkaStreams(options)
    onTestFinished(() => streams.close())
    const producer = await streams.producer()
    const zombie = memberProcess(options)
    await until(
      'it joined',
      () => zombie.lines.filter(line => line.startsWith('assigned')).length === 2,
      30_000,
    )
    await producer.send('t', [to(0, 'a'), to(1, 'a')])
    await until('it takes', () => zombie.lines.filter(line => line.startsWith('took')).length === 2)
    zombie.child.kill('SIGSTOP')
    const heir = new Recorder('heir', new Ledger())
    const group = streams.group({ topic: 't', group: 'g', member: 'heir' })
    await group.run(heir)
    await until('the heir holds both', () => group.partitions.length === 2)
    await producer.send('t', [to(0, 'b'), to(1, 'b')])
    await until('the heir takes all', () => heir.taken.length === 4)
    await Promise.all([group.commit(0, 2), group.commit(1, 2)])
    const before = zombie.lines.length
    zombie.child.kill('SIGCONT')
    await until(
      'it knows',
      () => zombie.lines.slice(before).filter(line => line.startsWith('revoked')).length === 2,
    )
    const after = zombie.lines.slice(before)
    expect(after.filter(line => line.startsWith('revoked')).sort()).toEqual([
      'revoked 0 at once',
      'revoked 1 at once',
    ])
    const lost = after.slice(
      0,
      after.findIndex(line => line.startsWith('revoked')),
    )
    expect(lost.filter(line => line.startsWith('took'))).toEqual([])
    // It is a member again, of one partition, once the heir has let go of it.
    await until('they share', () => group.partitions.length === 1)
    expect(await committed(options, group.partitions[0])).toBe(2)
    await until('it takes again', () => zombie.lines.at(-1)?.startsWith('took') === true)
    await group.close()
  })

  it('that is killed is missed after its session, and its partitions go on elsewhere', {
    timeout: LIMIT_MS,
  }, async context => {
    const { options, streams: client } = await kafkaWorld({ t: 4 }, context, { sessionTimeoutMs: 1500 })
    const streams = await client()
    const victim = memberProcess(options)
    await until(
      'it joined',
      () => victim.lines.filter(line => line.startsWith('assigned')).length === 4,
      30_000,
    )
    const heir = new Recorder('heir', new Ledger())
    const group = streams.group({ topic: 't', group: 'g', member: 'heir' })
    await group.run(heir)
    await until('they share', () => group.partitions.length === 2)
    const killed = performance.now()
    victim.child.kill('SIGKILL')
    await until('all four', () => group.partitions.length === 4)
    expect(performance.now() - killed).toBeLessThan(10_000)
    await group.close()
  })
})

it('a batch that is too large for one request is split, and a message too large for Kafka refused', async context => {
  const world = await kafkaWorld({ t: 2 }, context, { compression: 'none' })
  const streams = await world.streams()
  const producer = await streams.producer()
  const big = (n: number) => ({
    key: null,
    value: Buffer.alloc(n, 65),
    headers: {},
    timestampMs: 1,
    partition: 0,
  })
  await expect(producer.send('t', [big(5_000_000)])).rejects.toMatchObject({ code: 'FS_INPUT_TOO_LARGE' })
  const many = Array.from({ length: 40 }, () => big(100_000))
  await producer.send('t', many)
  const sizes: number[] = []
  for await (const { value } of streams.read('t', 0, 0)) sizes.push(value.length)
  expect(sizes).toEqual(many.map(() => 100_000))
})

it('many sends at once keep their order and stand once each', async context => {
  const world = await kafkaWorld({ t: 3 }, context)
  const streams = await world.streams()
  const producer = await streams.producer()
  const texts = Array.from({ length: 300 }, (_, i) => `${i}`)
  await Promise.all(texts.map(text => producer.send('t', [to(Number(text) % 3, text)])))
  for (let p = 0; p < 3; p++)
    expect(await textsOf(streams.read('t', p, 0))).toEqual(texts.filter(text => Number(text) % 3 === p))
})

it('names that clash are told: one group reads one topic', async context => {
  const { streams } = await kafkaWorld({ t: 1 }, context)
  const one = (await streams()).group({ topic: 't', group: `g-${randomUUID()}`, member: 'a' })
  const owner = new Recorder('a', new Ledger())
  await one.run(owner)
  await expect(one.run(owner)).rejects.toMatchObject({ code: 'FS_ASSERTION' })
  await one.close()
  await one.close()
})
