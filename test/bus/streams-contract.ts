// The contract of the Streams port: order, partitions by key, groups that share partitions and hand them over without two
// ever holding one, transactions, fencing, following, reading. Every adapter runs it.
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest'
import { partitionOf } from '../../src/bus/partition-of.ts'
import { ForeshockError } from '../../src/core/errors.ts'
import type { PartitionOwner, StoredMessage, StreamMessage, Streams } from '../../src/core/stream.ts'

/** An engine with topics of its own for one test. */
export interface StreamsWorld {
  /** A client of its own, as another process has; closed when the test ends. */
  streams(): Promise<Streams>
}
export type MakeWorld = (
  topics: Readonly<Record<string, number>>,
  context: TestContext,
) => Promise<StreamsWorld>

export const message = (text: string, more: Partial<StreamMessage> = {}): StreamMessage => ({
  key: text,
  value: Buffer.from(text),
  headers: {},
  timestampMs: 1_700_000_000_000,
  ...more,
})
export const to = (partition: number, text: string): StreamMessage => message(text, { key: null, partition })
export const textOf = (one: { readonly value: Uint8Array }): string => Buffer.from(one.value).toString()

export async function textsOf(messages: AsyncIterable<StoredMessage>): Promise<string[]> {
  const all: string[] = []
  for await (const one of messages) all.push(textOf(one))
  return all
}

export async function until(what: string, holds: () => boolean, limitMs = 20_000): Promise<void> {
  for (const end = Date.now() + limitMs; !holds(); await wait(5))
    if (Date.now() > end) throw new Error(`did not come about: ${what}`)
}

/** What all members of a group in a test hold, to find two that hold one partition. */
export class Ledger {
  readonly holders = new Map<number, string>()
  readonly problems: string[] = []
}

/** An owner that writes down what it is asked. */
export class Recorder implements PartitionOwner {
  readonly name: string
  readonly events: string[] = []
  readonly taken: StoredMessage[] = []
  readonly #ledger: Ledger
  readonly #busy = new Set<number>()
  /** Where it goes on, by partition: the checkpoint of a test. */
  readonly positions: Map<number, number>
  workMs = 0
  /** Thrown by the next `take`. */
  failNext: Error | undefined

  constructor(name: string, ledger: Ledger, positions: Map<number, number> = new Map()) {
    this.name = name
    this.#ledger = ledger
    this.positions = positions
  }

  async assigned(partition: number): Promise<number | 'first'> {
    const holder = this.#ledger.holders.get(partition)
    if (holder !== undefined)
      this.#ledger.problems.push(`${partition} is given to ${this.name}, held by ${holder}`)
    this.#ledger.holders.set(partition, this.name)
    this.events.push(`assigned ${partition}`)
    await wait(1)
    return this.positions.get(partition) ?? 'first'
  }

  async take(partition: number, messages: readonly StoredMessage[], end: number): Promise<void> {
    if (this.#busy.has(partition))
      this.#ledger.problems.push(`${this.name} is given ${partition} twice at once`)
    if (this.#ledger.holders.get(partition) !== this.name)
      this.#ledger.problems.push(`${this.name} takes ${partition} without holding it`)
    this.#busy.add(partition)
    try {
      if (this.workMs > 0) await wait(this.workMs)
      const { failNext } = this
      this.failNext = undefined
      if (failNext !== undefined) throw failNext
      for (const one of messages) {
        if (one.partition !== partition || one.offset >= end)
          this.#ledger.problems.push('a message stands elsewhere')
        this.taken.push(one)
      }
      this.positions.set(partition, messages[messages.length - 1].offset + 1)
    } finally {
      this.#busy.delete(partition)
    }
  }

  async revoked(partition: number, orderly: boolean): Promise<void> {
    if (this.#busy.has(partition))
      this.#ledger.problems.push(`${partition} is revoked while ${this.name} takes`)
    await wait(1)
    this.events.push(`revoked ${partition}${orderly ? '' : ' at once'}`)
    if (this.#ledger.holders.get(partition) === this.name) this.#ledger.holders.delete(partition)
  }

  texts(): string[] {
    return this.taken.map(textOf)
  }
}

/** An owner that takes a few messages of a batch, and the rest never: it waits until it is told to let go. */
class Halting extends Recorder {
  readonly #halted = new Map<number, () => void>()

  override async take(partition: number, messages: readonly StoredMessage[], end: number): Promise<void> {
    await super.take(partition, messages.slice(0, 3), end)
    await new Promise<void>(told => {
      this.#halted.set(partition, told)
    })
  }

  leaving(partition: number): void {
    this.#halted.get(partition)?.()
  }
}

const rejection = async (promise: Promise<unknown>): Promise<ForeshockError> => {
  const error = await promise.then(
    () => new Error('it did not reject'),
    cause => cause,
  )
  if (error instanceof ForeshockError) return error
  throw error
}

export function streamsContract(name: string, make: MakeWorld): void {
  describe(`streams contract: ${name}`, () => {
    logContract(make)
    groupContract(make)
    transactorContract(make)
    followContract(make)
  })
}

function logContract(make: MakeWorld): void {
  it('keeps messages whole and each partition in order', async context => {
    const world = await make({ t: 3 }, context)
    const streams = await world.streams()
    expect(await streams.partitions('t')).toBe(3)
    await streams.check()
    const producer = await streams.producer()
    const bytes = Uint8Array.from([0, 255, 128, 10, 13])
    await producer.send('t', [
      to(1, 'a'),
      message('', { key: 'ключ', value: bytes, headers: { one: '1', 'two-ü': 'zwei' }, partition: 1 }),
      message('', { key: '', value: new Uint8Array(0), partition: 1, timestampMs: 1_650_000_000_123.9 }),
      to(2, 'elsewhere'),
    ])
    await producer.send('t', [to(1, 'd')])
    await producer.send('t', [])
    const read: StoredMessage[] = []
    for await (const one of streams.read('t', 1, 0)) read.push(one)
    expect(read.map(({ topic, partition }) => `${topic}/${partition}`)).toEqual(Array(4).fill('t/1'))
    const offsets = read.map(({ offset }) => offset)
    expect(offsets).toEqual([...offsets].sort((a, b) => a - b))
    expect(read.map(({ key }) => key)).toEqual([null, 'ключ', '', null])
    expect(read[1].headers).toEqual({ one: '1', 'two-ü': 'zwei' })
    expect([...read[1].value]).toEqual([...bytes])
    expect(read[2].value.length).toBe(0)
    expect(read.map(({ timestampMs }) => timestampMs)).toEqual([
      1_700_000_000_000, 1_700_000_000_000, 1_650_000_000_123, 1_700_000_000_000,
    ])
    expect([textOf(read[0]), textOf(read[3])]).toEqual(['a', 'd'])
    expect(await streams.range('t', 1)).toEqual({ first: 0, end: 4 })
    expect(await streams.range('t', 0)).toEqual({ first: 0, end: 0 })
  })

  it('gives a key the partition that every producer of Kafka gives it', async context => {
    const world = await make({ t: 5 }, context)
    const streams = await world.streams()
    const producer = await streams.producer()
    const keys = Array.from({ length: 40 }, (_, i) => `default/entity-${i}`)
    await producer.send(
      't',
      keys.map(key => message(key)),
    )
    for (let partition = 0; partition < 5; partition++) {
      const mine = keys.filter(key => partitionOf(key, 5) === partition)
      expect(await textsOf(streams.read('t', partition, 0))).toEqual(mine)
    }
  })

  it('reads from an offset to the end as it stood', async context => {
    const world = await make({ t: 1 }, context)
    const streams = await world.streams()
    const producer = await streams.producer()
    const texts = Array.from({ length: 1200 }, (_, i) => `m${i}`)
    await producer.send(
      't',
      texts.map(text => to(0, text)),
    )
    expect(await textsOf(streams.read('t', 0, 0))).toEqual(texts)
    expect(await textsOf(streams.read('t', 0, 1195))).toEqual(texts.slice(1195))
    expect(await textsOf(streams.read('t', 0, 1200))).toEqual([])
    const seen: string[] = []
    for await (const one of streams.read('t', 0, 1198)) {
      seen.push(textOf(one))
      if (seen.length === 1) await producer.send('t', [to(0, 'later')])
    }
    expect(seen).toEqual(['m1198', 'm1199'])
  })

  it('says what to do about a topic or a partition that is not there', async context => {
    const world = await make({ t: 2 }, context)
    const streams = await world.streams()
    const producer = await streams.producer()
    for (const asked of [
      () => streams.partitions('none'),
      () => producer.send('none', [message('x')]),
      () => textsOf(streams.read('none', 0, 0)),
      () => streams.follow('none', () => {}),
      () => streams.group({ topic: 'none', group: 'g', member: 'm' }).run(new Recorder('m', new Ledger())),
      () => producer.send('t', [to(2, 'x')]),
    ]) {
      const error = await rejection(asked())
      expect(error.code).toBe('FS_BUS_TOPIC')
      expect(error.message).toContain('foreshock topics')
    }
    expect((await rejection(producer.send('t', [message('x', { key: null })]))).code).toBe('FS_ASSERTION')
    expect((await rejection(producer.send('t', [message('x', { timestampMs: Number.NaN })]))).code).toBe(
      'FS_ASSERTION',
    )
  })
}

/** The only member of a group that reads `t`, and who sends there. */
async function lone(world: StreamsWorld) {
  const streams = await world.streams()
  const producer = await streams.producer()
  const ledger = new Ledger()
  const owner = new Recorder('a', ledger)
  return { producer, ledger, owner, group: streams.group({ topic: 't', group: 'g', member: 'a' }) }
}

function groupContract(make: MakeWorld): void {
  it('members share the partitions; joining and leaving moves each to one owner, who goes on where it stood', async context => {
    const world = await make({ t: 6 }, context)
    const [one, two] = [await world.streams(), await world.streams()]
    const producer = await one.producer()
    const ledger = new Ledger()
    const positions = new Map<number, number>()
    const a = new Recorder('a', ledger, positions)
    const b = new Recorder('b', ledger, positions)
    const first = one.group({ topic: 't', group: 'g', member: 'a' })
    await first.run(a)
    expect(first.partitions).toEqual([0, 1, 2, 3, 4, 5])
    const sent: string[] = []
    const send = async (n: number) => {
      const texts = Array.from({ length: n }, (_, i) => `${sent.length + i}`)
      sent.push(...texts)
      await producer.send(
        't',
        texts.map((text, i) => to(i % 6, text)),
      )
    }
    const all = () => a.taken.length + b.taken.length
    await send(60)
    await until('the first 60', () => all() === 60)
    const second = two.group({ topic: 't', group: 'g', member: 'b' })
    await second.run(b)
    await until('both hold three', () => first.partitions.length === 3 && second.partitions.length === 3)
    expect([...first.partitions, ...second.partitions].sort()).toEqual([0, 1, 2, 3, 4, 5])
    expect(a.events.filter(event => event.startsWith('revoked'))).toEqual(
      second.partitions.map(p => `revoked ${p}`),
    )
    await until('b has restored', () => b.events.length === 3)
    await send(60)
    await until('120', () => all() === 120)
    expect(b.taken.length).toBe(30)
    const given = [...first.partitions]
    await first.close()
    expect(a.events.slice(-3).sort()).toEqual(given.map(p => `revoked ${p}`))
    await until('b holds all', () => second.partitions.length === 6)
    await send(12)
    await until('132', () => all() === 132)
    expect([...a.texts(), ...b.texts()].sort()).toEqual([...sent].sort())
    for (let p = 0; p < 6; p++) {
      const offsets = [...a.taken, ...b.taken]
        .filter(({ partition }) => partition === p)
        .map(({ offset }) => offset)
      expect(offsets).toEqual([...offsets].sort((x, y) => x - y))
    }
    expect(ledger.problems).toEqual([])
    await second.close()
    expect([...ledger.holders]).toEqual([])
  })

  it('tells an owner that is to let go, which need not take all of its batch: the next goes on where it got to', async context => {
    const world = await make({ t: 2 }, context)
    const [one, two] = [await world.streams(), await world.streams()]
    const producer = await one.producer()
    const texts = Array.from({ length: 20 }, (_, i) => `${i}`)
    for (const p of [0, 1])
      await producer.send(
        't',
        texts.map(text => to(p, text)),
      )
    const ledger = new Ledger()
    const positions = new Map<number, number>()
    const a = new Halting('a', ledger, positions)
    const first = one.group({ topic: 't', group: 'g', member: 'a' })
    await first.run(a)
    await until('a has begun with both', () => a.taken.length === 6)
    const b = new Recorder('b', ledger, positions)
    const second = two.group({ topic: 't', group: 'g', member: 'b' })
    await second.run(b)
    await until('b takes what a left of one', () => b.taken.length === 17)
    await first.close()
    await until('b takes what a left of the other', () => b.taken.length === 34)
    for (const p of [0, 1])
      expect([...a.taken, ...b.taken].filter(({ partition }) => partition === p).map(textOf)).toEqual(texts)
    await second.close()
    expect(ledger.problems).toEqual([])
  })

  it('gives a member that comes back under its name what it had', async context => {
    const world = await make({ t: 8 }, context)
    const [one, two] = [await world.streams(), await world.streams()]
    const ledger = new Ledger()
    const steady = one.group({ topic: 't', group: 'g', member: 'steady' })
    await steady.run(new Recorder('steady', ledger))
    const before = two.group({ topic: 't', group: 'g', member: 'returning' })
    await before.run(new Recorder('returning', ledger))
    await until('four', () => before.partitions.length === 4 && steady.partitions.length === 4)
    const had = before.partitions
    await before.close()
    await until('eight', () => steady.partitions.length === 8)
    const after = two.group({ topic: 't', group: 'g', member: 'returning' })
    await after.run(new Recorder('returning', ledger))
    await until('four again', () => after.partitions.length === 4 && steady.partitions.length === 4)
    expect(after.partitions).toEqual(had)
    await Promise.all([after.close(), steady.close()])
    expect(ledger.problems).toEqual([])
  })

  it('goes to a member with one partition at most, and leaves the rest without', async context => {
    const world = await make({ t: 1 }, context)
    const streams = await world.streams()
    const ledger = new Ledger()
    const members = ['a', 'b'].map(member => streams.group({ topic: 't', group: 'g', member }))
    for (const [i, member] of members.entries()) await member.run(new Recorder(`m${i}`, ledger))
    await until('one holds it', () => members.flatMap(member => member.partitions).length === 1)
    await Promise.all(members.map(member => member.close()))
    expect(ledger.problems).toEqual([])
  })

  it('starts where the owner says, whatever was committed', async context => {
    const world = await make({ t: 2 }, context)
    const streams = await world.streams()
    const producer = await streams.producer()
    await producer.send(
      't',
      ['a', 'b', 'c', 'd'].map(text => to(0, text)),
    )
    await producer.send(
      't',
      ['e', 'f'].map(text => to(1, text)),
    )
    for (const [start, expected] of [
      [1, ['b', 'c', 'd', 'e', 'f']],
      [3, ['d', 'e', 'f']],
    ] as const) {
      const owner = new Recorder('a', new Ledger(), new Map([[0, start]]))
      const group = streams.group({ topic: 't', group: 'g', member: 'a' })
      await group.run(owner)
      await until('all are taken', () => owner.taken.length === expected.length)
      expect(owner.texts().sort()).toEqual(expected)
      const before = start === 1 ? undefined : 4
      expect([await group.committed(0), await group.committed(1)]).toEqual([before, undefined])
      await group.commit(0, 4)
      expect(await group.committed(0)).toBe(4)
      await group.close()
      expect((await rejection(group.commit(0, 4))).code).toBe('FS_FENCED')
    }
  })

  it('waits for each take, and holds back a partition that is paused', async context => {
    const { producer, ledger, owner, group } = await lone(await make({ t: 2 }, context))
    await group.run(owner)
    await producer.send('t', [to(0, 'a'), to(1, 'b')])
    await until('two', () => owner.taken.length === 2)
    group.pause(0)
    await wait(300)
    for (let i = 0; i < 20; i++) await producer.send('t', [to(0, `p${i}`), to(1, `q${i}`)])
    await until('those of 1', () => owner.taken.length === 22)
    await wait(300)
    expect(owner.taken.filter(({ partition }) => partition === 0).length).toBe(1)
    owner.workMs = 5
    group.resume(0)
    await until('those of 0', () => owner.taken.length === 42)
    expect(owner.taken.filter(({ partition }) => partition === 0).map(textOf)).toEqual(
      ['a'].concat(Array.from({ length: 20 }, (_, i) => `p${i}`)),
    )
    await group.close()
    expect(ledger.problems).toEqual([])
  })

  it('lends values that stay as they are until they are taken, whatever is fetched meanwhile', async context => {
    const world = await make({ t: 2 }, context)
    const streams = await world.streams()
    const producer = await streams.producer()
    const group = streams.group({ topic: 't', group: 'g', member: 'a', lends: true })
    // Each message holds its number, as often as there is room: some 35 MiB pass through, some larger than what is lent at a time.
    const sizes = Array.from({ length: 120 }, (_, i) => (i % 40 === 7 ? 1_000_000 : 20_000 * (1 + (i % 30))))
    const wrong: number[] = []
    let taken = 0
    const check = (messages: readonly StoredMessage[]) => {
      for (const { key, value } of messages) {
        const number = Number(key)
        if (!Buffer.alloc(sizes[number], number).equals(value)) wrong.push(number)
      }
    }
    await group.run({
      assigned: async () => 'first',
      take: async (_, messages) => {
        check(messages)
        await wait(20)
        check(messages)
        taken += messages.length
      },
      revoked: async () => {},
    })
    for (const [i, size] of sizes.entries()) {
      const value = Buffer.alloc(size, i)
      await producer.send('t', [{ ...to(i % 2, ''), key: String(i), value }])
    }
    await until('all are taken', () => taken === sizes.length)
    expect(wrong).toEqual([])
    await group.close()
  })

  it('begins anew where the owner says when it fails', async context => {
    const { producer, ledger, owner, group } = await lone(await make({ t: 1 }, context))
    await group.run(owner)
    await producer.send('t', [to(0, 'a')])
    await until('one', () => owner.taken.length === 1)
    owner.failNext = new Error('the disk is full')
    await producer.send('t', [to(0, 'b'), to(0, 'c')])
    await until('all', () => owner.taken.length === 3)
    expect(owner.texts()).toEqual(['a', 'b', 'c'])
    expect(owner.events).toEqual(['assigned 0', 'revoked 0 at once', 'assigned 0'])
    await group.close()
    expect(owner.events.at(-1)).toBe('revoked 0')
    expect(ledger.problems).toEqual([])
  })

  it('ends a member in the middle of a take, after it', async context => {
    const { producer, ledger, owner, group } = await lone(await make({ t: 1 }, context))
    owner.workMs = 150
    await group.run(owner)
    const taking = new Promise<void>(done => {
      const { take } = owner
      owner.take = (...call) => {
        done()
        return take.apply(owner, call)
      }
    })
    await producer.send('t', [to(0, 'a')])
    await taking
    await group.close()
    expect(owner.texts()).toEqual(['a'])
    expect(group.partitions).toEqual([])
    expect(ledger.problems).toEqual([])
  })
}

function transactorContract(make: MakeWorld): void {
  it('a transaction stands in all its topics or in none', async context => {
    const world = await make({ t: 2, u: 1 }, context)
    const streams = await world.streams()
    const transactor = await streams.transactor('stage-0')
    await transactor.send([
      { topic: 't', message: to(0, 'a') },
      { topic: 'u', message: to(0, 'b') },
      { topic: 't', message: to(1, 'c') },
      { topic: 't', message: to(0, 'd') },
    ])
    const error = await rejection(
      transactor.send([
        { topic: 't', message: to(0, 'never') },
        { topic: 'none', message: to(0, 'never') },
      ]),
    )
    expect(error.code).toBe('FS_BUS_TOPIC')
    await transactor.send([])
    await transactor.send([{ topic: 'u', message: to(0, 'e') }])
    expect(await textsOf(streams.read('t', 0, 0))).toEqual(['a', 'd'])
    expect(await textsOf(streams.read('t', 1, 0))).toEqual(['c'])
    expect(await textsOf(streams.read('u', 0, 0))).toEqual(['b', 'e'])
    await transactor.close()
  })

  it('a newer transactor of the name shuts out the older, and no other', async context => {
    const world = await make({ t: 1 }, context)
    const [one, two] = [await world.streams(), await world.streams()]
    const older = await one.transactor('stage-0')
    const other = await one.transactor('stage-1')
    await older.send([{ topic: 't', message: to(0, 'a') }])
    const newer = await two.transactor('stage-0')
    expect((await rejection(older.send([{ topic: 't', message: to(0, 'zombie') }]))).code).toBe('FS_FENCED')
    await newer.send([{ topic: 't', message: to(0, 'b') }])
    expect((await rejection(older.send([{ topic: 't', message: to(0, 'zombie') }]))).code).toBe('FS_FENCED')
    await other.send([{ topic: 't', message: to(0, 'c') }])
    expect(await textsOf(two.read('t', 0, 0))).toEqual(['a', 'b', 'c'])
    await Promise.all([older.close(), other.close(), newer.close()])
  })

  it('groups see what transactions wrote, once', async context => {
    const world = await make({ t: 1 }, context)
    const streams = await world.streams()
    const owner = new Recorder('a', new Ledger())
    const group = streams.group({ topic: 't', group: 'g', member: 'a' })
    await group.run(owner)
    const transactor = await streams.transactor('x')
    for (let i = 0; i < 5; i++)
      await transactor.send([0, 1, 2].map(n => ({ topic: 't', message: to(0, `${i}.${n}`) })))
    await until('15', () => owner.taken.length >= 15)
    expect(owner.texts()).toEqual([0, 1, 2, 3, 4].flatMap(i => [0, 1, 2].map(n => `${i}.${n}`)))
    await group.close()
  })
}

function followContract(make: MakeWorld): void {
  it('shows every follower what is written from now on, or from where it left off', async context => {
    const world = await make({ t: 3 }, context)
    const [one, two] = [await world.streams(), await world.streams()]
    const producer = await one.producer()
    await producer.send('t', [to(0, 'old'), to(1, 'old'), to(0, 'older')])
    const seen: string[][] = [[], [], []]
    const takers = seen.map(list => async (one: StoredMessage) => {
      await wait(1)
      list.push(`${one.partition}:${textOf(one)}`)
    })
    const followers = [
      await one.follow('t', takers[0]),
      await two.follow('t', takers[1]),
      await two.follow('t', takers[2], [1, 0, 0]),
    ]
    for (let i = 0; i < 4; i++) await producer.send('t', [to(0, `a${i}`), to(2, `b${i}`)])
    await until('all', () => seen[0].length >= 8 && seen[1].length >= 8 && seen[2].length >= 10)
    for (const list of seen) {
      expect(list.filter(text => text.startsWith('0:a'))).toEqual(['0:a0', '0:a1', '0:a2', '0:a3'])
      expect(list.filter(text => text.startsWith('2:b'))).toEqual(['2:b0', '2:b1', '2:b2', '2:b3'])
    }
    expect(seen.map(list => list.filter(text => text.includes('old')).sort())).toEqual([
      [],
      [],
      ['0:older', '1:old'],
    ])
    await followers[0].close()
    const { length } = seen[0]
    await producer.send('t', [to(1, 'last')])
    await until('the others', () => seen[1].includes('1:last') && seen[2].includes('1:last'))
    expect(seen[0].length).toBe(length)
    await Promise.all(followers.slice(1).map(one => one.close()))
  })

  it('goes on following after one that could not be taken', async context => {
    const world = await make({ t: 1 }, context)
    const streams = await world.streams()
    const producer = await streams.producer()
    const seen: string[] = []
    const follower = await streams.follow('t', one => {
      if (textOf(one) === 'bad') throw new Error('cannot take it')
      seen.push(textOf(one))
    })
    await producer.send(
      't',
      ['a', 'bad', 'c'].map(text => to(0, text)),
    )
    await until('c', () => seen.includes('c'))
    expect(seen).toEqual(['a', 'c'])
    await follower.close()
  })
}

/** Closes a client when its test ends. */
export function closedAfter<S extends Streams>(streams: S): S {
  onTestFinished(() => streams.close())
  return streams
}
