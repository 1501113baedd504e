// Shows that a gateway's producer answers when the log has what was sent and says what the embedded intake would say; that
// every message stands in the partition of its entities; that what waits is bounded; and that after any failure (the log
// away, a quota) a sender that sends again leaves nothing out: no scorer ever meets a series that is not defined.
import { describe, expect, it } from 'vitest'
import { MemoryLog } from '../../src/bus/memory-log.ts'
import { MemoryStreams } from '../../src/bus/memory-streams.ts'
import { entityKey, partitionOf } from '../../src/bus/partition-of.ts'
import type { Envelope } from '../../src/core/envelope.ts'
import { ForeshockError } from '../../src/core/errors.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { HEADERS, type StoredMessage, type StreamProducer } from '../../src/core/stream.ts'
import { SamplesProducer, type SamplesProducerOptions } from '../../src/roles/samples-producer.ts'
import { Bench } from '../ingest/wire.ts'

const T = 1_700_000_000_000
const PARTITIONS = 4

interface Line {
  readonly service: string
  readonly t: number
  readonly value?: number
}

function envelope(lines: readonly Line[], more: Partial<Envelope> = {}): Envelope {
  const text = lines.map(({ service, t, value = t }) =>
    JSON.stringify({ metric: 'jobs_total', labels: { service }, time: T + t * 10_000, value }),
  )
  const arrivalMs = T + Math.max(...lines.map(({ t }) => t)) * 10_000
  const bytes = new TextEncoder().encode(text.join('\n'))
  return { kind: 'json-lines', encoding: 'identity', arrivalMs, tenant: 'default', bytes, ...more }
}

const services = (count: number, t: number): Line[] =>
  Array.from({ length: count }, (_, i) => ({ service: `s${i}`, t }))

class World {
  readonly log = new MemoryLog({ topics: { samples: PARTITIONS } })
  readonly rejects = new Rejects()
  readonly streams = new MemoryStreams(this.log)
  readonly producer: SamplesProducer

  private constructor(producer: StreamProducer, more: Partial<SamplesProducerOptions>) {
    this.producer = new SamplesProducer({
      producer,
      partitions: PARTITIONS,
      intake: {},
      rejects: this.rejects,
      bytesMax: 1 << 20,
      ...more,
    })
  }

  static async open(
    more: Partial<SamplesProducerOptions> = {},
    wrap: (inner: StreamProducer) => StreamProducer = inner => inner,
  ): Promise<World> {
    let inner: StreamProducer | undefined
    const late: StreamProducer = {
      send: (topic, messages) => wrap(inner as StreamProducer).send(topic, messages),
      close: async () => {},
    }
    const world = new World(late, more)
    inner = await world.streams.producer()
    return world
  }

  async messages(partition: number): Promise<StoredMessage[]> {
    const all: StoredMessage[] = []
    for await (const message of this.streams.read('samples', partition, 0)) all.push(message)
    return all
  }

  /** What scorers make of the log. */
  async scored(): Promise<Bench[]> {
    const scorers: Bench[] = []
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const bench = new Bench()
      for (const { value, timestampMs, headers } of await this.messages(partition)) {
        bench.send('columns', value, { arrivalMs: timestampMs, tenant: headers[HEADERS.tenant] })
      }
      scorers.push(bench)
    }
    return scorers
  }
}

describe('SamplesProducer', () => {
  it('answers as the embedded intake does and puts each entity into its partition', async () => {
    const world = await World.open()
    const alone = new Bench()
    for (let t = 0; t < 5; t++) {
      const sent = envelope([
        ...services(40, t),
        { service: 'late', t: t + 1e6 },
        { service: 's1', t, value: Number.NaN },
      ])
      const body = { ...sent, arrivalMs: T + t * 10_000 }
      const receipt = await world.producer.submit(body)
      expect(receipt).toEqual(alone.send('json-lines', body.bytes, { arrivalMs: body.arrivalMs }))
    }
    const scorers = await world.scored()
    expect(scorers.flatMap(({ seen }) => seen).length).toBe(alone.seen.length)
    for (const [partition, { series }] of scorers.entries()) {
      expect(series.size).toBeGreaterThan(0)
      for (const [, { entity }] of series.metas())
        expect(partitionOf(entityKey('default', entity), PARTITIONS)).toBe(partition)
    }
    const [message] = await world.messages(0)
    expect(message).toMatchObject({
      key: null,
      timestampMs: T,
      headers: { 'foreshock-content': 'columns', 'foreshock-tenant': 'default' },
    })
    expect(world.rejects.counts()).toEqual(alone.rejects.counts())
  })

  it('keeps tenants apart', async () => {
    const world = await World.open()
    await world.producer.submit(envelope(services(3, 0), { tenant: 'a' }))
    await world.producer.submit(envelope(services(3, 0), { tenant: 'b' }))
    await world.producer.submit(envelope(services(3, 1), { tenant: 'a' }))
    const keys = (await world.scored()).flatMap(({ series }) => [...series.metas()].map(([, { key }]) => key))
    expect(keys.sort()).toEqual(['s0', 's1', 's2'].map(s => `a/jobs_total:rate{service="${s}"}`))
  })

  it('sends what waits together, and refuses more than may wait', async () => {
    const sends: number[] = []
    let open: () => void = () => {}
    const gate = new Promise<void>(resolve => {
      open = resolve
    })
    const world = await World.open({ bytesMax: 30_000 }, inner => ({
      ...inner,
      send: async (topic, messages) => {
        sends.push(messages.length)
        await gate
        await inner.send(topic, messages)
      },
    }))
    const submits = Array.from({ length: 5 }, (_, t) => world.producer.submit(envelope(services(40, t))))
    await new Promise(resolve => setTimeout(resolve, 20))
    expect(sends.length).toBe(1)
    expect(world.producer.waitingBytes).toBeGreaterThan(12_000)
    const refused = await world.producer.submit(envelope(services(400, 9))).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'FS_OVERLOADED' })
    open()
    expect((await Promise.all(submits)).map(({ samples }) => samples)).toEqual([40, 40, 40, 40, 40])
    expect(sends.length).toBeLessThanOrEqual(3)
    expect(sends.at(-1)).toBeGreaterThanOrEqual(PARTITIONS * 3)
    expect(world.producer.waitingBytes).toBe(0)
    await world.producer.close()
    await expect(world.producer.submit(envelope(services(1, 9)))).rejects.toMatchObject({
      code: 'FS_OVERLOADED',
    })
  })

  it('leaves nothing undefined when sends fail and senders send again', async () => {
    const world = await World.open()
    const send = async (t: number): Promise<void> => {
      const body = envelope(services(30, t))
      for (let attempt = 0; attempt < 50; attempt++) {
        try {
          await world.producer.submit(body)
          return
        } catch (error) {
          expect(error).toMatchObject({ code: 'FS_IO' })
          await new Promise(resolve => setTimeout(resolve, 2))
        }
      }
      throw new Error('never taken')
    }
    for (let t = 0; t < 40; t += 4) {
      world.log.reachable = t % 8 !== 0
      const sent = [0, 1, 2, 3].map(i => send(t + i))
      setTimeout(() => {
        world.log.reachable = true
      }, 3)
      await Promise.all(sent)
    }
    const scorers = await world.scored()
    for (const { rejects } of scorers) expect(rejects.counts()['undefined-series']).toBeUndefined()
    // A count that came in order is worth one rate a step; none is lost, whatever the order of what was sent again.
    expect(scorers.flatMap(({ series }) => [...series.metas()]).length).toBe(30)
    expect(world.producer.waitingBytes).toBe(0)
  })

  it('asks what a tenant may send, with the series that are new', async () => {
    const asked: [string, number, number][] = []
    let answer = { retryAfterMs: 0, refused: [] as number[] }
    const world = await World.open({
      admit: async (tenant, samples, fresh) => {
        asked.push([tenant, samples, fresh.length])
        return answer
      },
    })
    await world.producer.submit(envelope(services(3, 0)))
    await world.producer.submit(envelope(services(4, 1)))
    answer = { retryAfterMs: 1500, refused: [] }
    const late = await world.producer.submit(envelope(services(6, 2))).catch((error: unknown) => error)
    expect(late).toBeInstanceOf(ForeshockError)
    expect(late).toMatchObject({ code: 'FS_QUOTA', message: expect.stringContaining('1500 ms') })
    answer = { retryAfterMs: 0, refused: [1] }
    const receipt = await world.producer.submit(envelope(services(6, 2)))
    expect(receipt).toMatchObject({ samples: 5, rejected: 1 })
    expect(receipt.reasons[0]).toMatch(/^tenant-series-limit/)
    answer = { retryAfterMs: 0, refused: [] }
    await world.producer.submit(envelope(services(6, 3)))
    expect(asked).toEqual([
      ['default', 3, 3],
      ['default', 4, 1],
      ['default', 6, 2],
      ['default', 6, 2],
      ['default', 5, 0],
    ])
    const scorers = await world.scored()
    for (const { rejects } of scorers) expect(rejects.counts()).toEqual({})
    expect(scorers.flatMap(({ series }) => [...series.metas()]).length).toBe(5)
    expect(world.rejects.counts()).toEqual({ 'tenant-series-limit': 2 })
  })
})
