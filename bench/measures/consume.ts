// What a scorer spends on taking samples off Kafka: columnar messages consumed, and consumed and decoded, beside a plain
// Java consumer of the same messages. A real broker is started (test/peers); Java compiles bench/java/Consume.java.
// node --expose-gc --import tsx bench/measures/consume.ts [--quick] [--series N] [--compression lz4]
import { spawn } from 'node:child_process'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { TestContext } from 'vitest'
import type { Compression } from '../../src/bus/kafka-codecs.ts'
import { KafkaStreams } from '../../src/bus/kafka-streams.ts'
import { createTopics } from '../../src/bus/kafka-topics.ts'
import { entityKey, partitionOf } from '../../src/bus/partition-of.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { SeriesTable } from '../../src/core/series.ts'
import type { StoredMessage } from '../../src/core/stream.ts'
import { IngestIntake } from '../../src/ingest/intake.ts'
import { Splitter } from '../../src/ingest/splitter.ts'
import { startBroker } from '../../test/peers/kafka-broker.ts'
import { kafkaSoftware } from '../../test/peers/kafka-software.ts'
import { BodyWriter } from '../bodies.ts'
import { collect, cpuNs, QUICK, say } from '../measure.ts'

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    series: { type: 'string', default: QUICK ? '4000' : '50000' },
    scrapes: { type: 'string', default: QUICK ? '4' : '40' },
    warm: { type: 'string', default: QUICK ? '2' : '6' },
    body: { type: 'string', default: '2000' },
    partitions: { type: 'string', default: '4' },
    passes: { type: 'string', default: QUICK ? '1' : '5' },
    compression: { type: 'string', default: 'lz4' },
  },
})
const series = Number(args.series)
const perBody = Number(args.body)
const partitions = Number(args.partitions)
const [warm, scrapes, passes] = [Number(args.warm), Number(args.scrapes), Number(args.passes)]
const STEP_MS = 15_000
/** Passes after which a program has been compiled, Java's and this one. */
const JAVA_WARM = QUICK ? 1 : 8
const WARM = QUICK ? 1 : 3
const SETTLE_MS = 200
/** Kafka drops what is older than it keeps, so the samples are of now. */
const t0 = Date.now() - (warm + scrapes) * STEP_MS

const missing = {
  task: { name: 'bench' },
  skip: (reason: string) => {
    throw new Error(reason)
  },
} as unknown as TestContext
const software = await kafkaSoftware(missing)
const { kafka, end } = await startBroker(software)
const streams = new KafkaStreams({
  brokers: [kafka.broker],
  clientId: 'bench',
  prefix: '',
  compression: args.compression as Compression,
  sessionTimeoutMs: 30_000,
})

/** Messages as gateways make them; the offsets they end at. */
async function produce(from: number, to: number): Promise<number[]> {
  const producer = await streams.producer()
  for (let t = from; t < to; t++) {
    const ms = t0 + t * STEP_MS
    for (let first = 0; first < series; first += perBody) {
      const bytes = writer.body(first, Math.min(perBody, series - first), t, ms)
      const envelope = {
        kind: 'remote-write-1',
        encoding: 'snappy',
        arrivalMs: ms,
        tenant: 'default',
        bytes,
      } as const
      const parts = splitter.split(envelope).parts
      await producer.send(
        'samples',
        parts.map(part => ({
          key: null,
          partition: part.partition,
          value: part.bytes,
          headers: {},
          timestampMs: ms,
        })),
      )
      splitter.keep()
    }
  }
  await producer.close()
  const ends: number[] = []
  for (let p = 0; p < partitions; p++) ends.push((await streams.range('samples', p)).end)
  return ends
}

const rejects = new Rejects()
const writer = new BodyWriter()
const place = (tenant: string, entity: string) => partitionOf(entityKey(tenant, entity), partitions)
const splitter = new Splitter({}, { rejects, partitions, place })

/** What is read in a pass: from where to where, and who takes it. */
interface Pass {
  readonly from: readonly number[]
  readonly to: readonly number[]
  readonly take: (message: StoredMessage) => void
  left: number
  readonly over: Gate
}

/** Something that is waited for. */
class Gate {
  open: () => void = () => {}
  readonly opened = new Promise<void>(done => {
    this.open = done
  })
}

/** A member of a group that reads as often as it is asked to; as Java's consumer it stays for all passes. */
class Member {
  readonly #group = streams.group({ topic: 'samples', group: 'bench', member: 'bench', lends: true })
  #pass: Pass | undefined
  #start = new Gate()
  #waiting = 0
  #ready = new Gate()

  async run(): Promise<void> {
    await this.#group.run({
      assigned: async partition => {
        if (++this.#waiting === partitions) this.#ready.open()
        await this.#start.opened
        return this.#pass?.from[partition] ?? 0
      },
      take: async (partition, messages) => {
        const pass = this.#pass as Pass
        for (const message of messages) {
          if (message.offset >= pass.to[partition]) continue
          pass.take(message)
          pass.left--
        }
        if (pass.left === 0) pass.over.open()
        if (messages[messages.length - 1].offset < pass.to[partition] - 1) return
        await pass.over.opened
        // The partition is let go and given again, where the next pass begins.
        throw new Error('the pass is over')
      },
      revoked: async () => {},
    })
  }

  /** CPU ns of a pass. */
  async consume(
    from: readonly number[],
    to: readonly number[],
    take: (message: StoredMessage) => void,
  ): Promise<number> {
    await this.#ready.opened
    const left = to.reduce((sum, offset, p) => sum + offset - from[p], 0)
    const pass: Pass = { from, to, take, left, over: new Gate() }
    this.#pass = pass
    const start = this.#start
    this.#start = new Gate()
    this.#ready = new Gate()
    this.#waiting = 0
    // What was compiled for the pass before is compiled by then.
    await wait(SETTLE_MS)
    collect()
    const before = cpuNs()
    start.open()
    await pass.over.opened
    return cpuNs() - before
  }

  async close(): Promise<void> {
    const closed = this.#group.close()
    this.#start.open()
    await closed
  }
}

/** A Java consumer that makes a pass whenever it is asked to, and says what CPU time that took, ns. */
function javaConsumer(from: readonly number[], to: readonly number[]) {
  const source = resolve(import.meta.dirname, '../java/Consume.java')
  const asked = [kafka.broker, 'samples', from.join(','), to.join(',')]
  const child = spawn(software.java, ['-cp', join(software.libs, '*'), source, ...asked], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    pass: async () => {
      child.stdin.write('\n')
      const { value, done } = await lines.next()
      if (done) throw new Error('the Java consumer ended')
      return Number(String(value).split(' ')[0])
    },
    end: () => child.stdin.end(),
  }
}

try {
  const config = { 'max.message.bytes': '5000000' }
  await createTopics({ brokers: [kafka.broker], clientId: 'bench', prefix: '' }, [
    { name: 'samples', partitions, replication: 1, config },
  ])
  const zero = Array.from({ length: partitions }, () => 0)
  const mid = await produce(0, warm)
  const last = await produce(warm, warm + scrapes)
  const samples = series * scrapes
  let bytes = 0
  const count = ({ value }: StoredMessage) => {
    bytes += value.length
  }
  const java = javaConsumer(mid, last)
  const member = new Member()
  await member.run()
  // What compilers do is over by then.
  for (let pass = 0; pass < JAVA_WARM; pass++) await java.pass()
  for (let pass = 0; pass < WARM; pass++) await member.consume(mid, last, count)
  const consumed: number[] = []
  const decoded: number[] = []
  const plain: number[] = []
  // In turns, so that what else goes on on the machine touches all of them.
  for (let pass = 0; pass < passes; pass++) {
    plain.push((await java.pass()) / samples)
    bytes = 0
    consumed.push((await member.consume(mid, last, count)) / samples)
    const intakes = zero.map(() => new IngestIntake({}, { series: new SeriesTable(), rejects }))
    let taken = 0
    const decode = ({ partition, value, timestampMs }: StoredMessage) =>
      intakes[partition].decode(
        { kind: 'columns', encoding: 'identity', arrivalMs: timestampMs, tenant: 'default', bytes: value },
        batch => {
          taken += batch.length
        },
      )
    await member.consume(zero, mid, decode)
    taken = 0
    const spent = await member.consume(mid, last, decode)
    if (taken < 0.7 * samples) throw new Error(`${taken} of ${samples} samples`)
    decoded.push(spent / samples)
  }
  java.end()
  await member.close()
  const unit = 'ns CPU/sample'
  const size = `${series / 1000} k series, ${args.compression}, ${(bytes / samples).toFixed(1)} B a sample`
  say([
    { id: 'consume.ns', what: `Kafka → columnar messages (${size})`, unit, values: consumed },
    { id: 'consume.decode.ns', what: '· and → samples', unit, values: decoded },
    {
      id: 'consume.java.ns',
      what: '· the same messages by a plain Java consumer, undecoded',
      unit,
      values: plain,
    },
    {
      id: 'consume.decode.ratio',
      what: '· consumed and decoded here, against Java consuming alone',
      unit: '×',
      atMost: 2,
      values: decoded.map((ns, i) => ns / plain[i]),
    },
  ])
} finally {
  await streams.close()
  await end()
}
