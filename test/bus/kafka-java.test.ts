// Shows that Kafka's own Java tools and this service read each other's messages in every compression, keys, headers and
// all, and that Java's producer chooses the same partitions.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { expect, it, type TestContext } from 'vitest'
import { partitionOf } from '../../src/bus/partition-of.ts'
import type { StoredMessage } from '../../src/core/stream.ts'
import { kafka, kafkaWorld } from '../peers/kafka.ts'
import { JVM, kafkaSoftware } from '../peers/kafka-software.ts'
import { message, textOf } from './streams-contract.ts'

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
/** Ten JVMs are started, two at a time. */
const LIMIT_MS = 120_000

/** Runs one of Kafka's tools to its end. */
async function tool(
  context: TestContext,
  main: string,
  args: readonly string[],
  input = '',
): Promise<string> {
  const { java, libs } = await kafkaSoftware(context)
  const child = spawn(java, ['-Xmx128m', ...JVM, '-cp', join(libs, '*'), main, ...args])
  let out = ''
  let err = ''
  child.stdout.on('data', chunk => {
    out += chunk
  })
  child.stderr.on('data', chunk => {
    err += chunk
  })
  child.stdin.end(input)
  const code = await new Promise(done => child.on('close', done))
  expect(code, err).toBe(0)
  return out
}

const keys = Array.from({ length: 60 }, (_, i) => `default/entity-${i}`)
const text = (key: string) => `${key}: ${'the quick brown fox '.repeat(50)}ü`

it('what Java writes is read here', { timeout: LIMIT_MS }, async context => {
  const { broker } = await kafka(context)
  const world = await kafkaWorld(Object.fromEntries(CODECS.map(codec => [codec, 3])), context)
  const lines = keys.map(key => `origin:java\t${key}\t${text(key)}\n`).join('')
  const write = (codec: string) =>
    tool(
      context,
      'org.apache.kafka.tools.ConsoleProducer',
      [
        ...['--bootstrap-server', broker, '--topic', `${world.options.prefix}${codec}`],
        ...['--compression-codec', codec, '--property', 'parse.key=true', '--property', 'parse.headers=true'],
      ],
      lines,
    )
  for (let i = 0; i < CODECS.length; i += 2) await Promise.all(CODECS.slice(i, i + 2).map(write))
  const streams = await world.streams()
  for (const codec of CODECS)
    for (let partition = 0; partition < 3; partition++) {
      const seen: StoredMessage[] = []
      for await (const one of streams.read(codec, partition, 0)) seen.push(one)
      const mine = keys.filter(key => partitionOf(key, 3) === partition)
      expect(seen.map(({ key }) => key)).toEqual(mine)
      expect(seen.map(textOf)).toEqual(mine.map(text))
      expect(seen[0].headers).toEqual({ origin: 'java' })
      expect(Math.abs(seen[0].timestampMs - Date.now())).toBeLessThan(LIMIT_MS)
    }
})

it('what is written here Java reads', { timeout: LIMIT_MS }, async context => {
  const { broker } = await kafka(context)
  const worlds = await Promise.all(CODECS.map(compression => kafkaWorld({ t: 1 }, context, { compression })))
  for (const world of worlds) {
    const producer = await (await world.streams()).producer()
    await producer.send(
      't',
      keys.map(key => message(text(key), { key, headers: { origin: 'foreshock' } })),
    )
  }
  const read = async (i: number) => {
    const args = ['--bootstrap-server', broker, '--topic', `${worlds[i].options.prefix}t`, '--from-beginning']
    const shown = [
      '--property',
      'print.key=true',
      '--property',
      'print.headers=true',
      '--property',
      'print.timestamp=true',
    ]
    const out = await tool(context, 'org.apache.kafka.tools.consumer.ConsoleConsumer', [
      ...args,
      ...['--max-messages', String(keys.length), '--timeout-ms', '30000'],
      ...shown,
    ])
    const expected = keys.map(key => `CreateTime:1700000000000\torigin:foreshock\t${key}\t${text(key)}`)
    expect(out.trimEnd().split('\n'), CODECS[i]).toEqual(expected)
  }
  for (let i = 0; i < CODECS.length; i += 2)
    await Promise.all([i, i + 1].filter(one => one < CODECS.length).map(read))
})
