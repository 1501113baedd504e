// Shows, on a real Kafka, TLS with a certificate authority of one's own, and users by SASL PLAIN and SCRAM, configured as in
// foreshock.yaml; and that a wrong password, an unknown authority, encryption that is missing and a broker that is not there
// are told as what they are.
import { randomUUID } from 'node:crypto'
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest'
import { KafkaStreams, type KafkaStreamsOptions } from '../../src/bus/kafka-streams.ts'
import { createTopics } from '../../src/bus/kafka-topics.ts'
import { clusterSchema } from '../../src/config/cluster.ts'
import { kafkaOptions } from '../../src/config/kafka.ts'
import { freePort } from '../../src/lab/free-port.ts'
import { kafka } from '../peers/kafka.ts'
import { kafkaSoftware, USER_PASSWORD, USERS } from '../peers/kafka-software.ts'

import { Ledger, Recorder, textsOf, to, until } from './streams-contract.ts'

/** The options that a configuration comes to. */
function options(kafkaSection: object, password = USER_PASSWORD): KafkaStreamsOptions {
  const cluster = clusterSchema.parse({
    kafka: { prefix: `t-${randomUUID().slice(0, 8)}.`, ...kafkaSection },
    redis: { url: 'redis://127.0.0.1:1/0' },
    postgres: { url: 'postgres://nobody@127.0.0.1:1/none' },
  })
  return kafkaOptions(cluster, 'foreshock-test', { KAFKA_PASSWORD: password })
}

async function securedBroker(context: TestContext): Promise<{ broker: string; ca: string }> {
  const { secured } = await kafka(context)
  if (secured === undefined) return context.skip('KAFKA_BROKERS is without users and encryption')
  return { broker: secured, ca: (await kafkaSoftware(context)).ca }
}

const sasl = (mechanism: string, username: string) => ({ mechanism, username, passwordEnv: 'KAFKA_PASSWORD' })

async function refused(asked: KafkaStreamsOptions): Promise<Error & { code?: string }> {
  const streams = new KafkaStreams(asked)
  onTestFinished(() => streams.close())
  return streams.check().then(
    () => new Error('it was let in'),
    cause => cause,
  )
}

describe('Kafka with users and encryption', () => {
  for (const [mechanism, username] of [
    ['plain', USERS.plain],
    ['scram-sha-256', USERS.scram],
    ['scram-sha-512', USERS.scram],
  ] as const) {
    it(`lets in a user by ${mechanism} over TLS, to write, to read and to be a member`, async context => {
      const { broker, ca } = await securedBroker(context)
      const asked = options({ brokers: [broker], tls: { ca }, sasl: sasl(mechanism, username) })
      await createTopics(asked, [{ name: 't', partitions: 1, replication: 1, config: {} }])
      const streams = new KafkaStreams(asked)
      onTestFinished(() => streams.close())
      const producer = await streams.producer()
      await producer.send('t', [to(0, 'secret')])
      expect(await textsOf(streams.read('t', 0, 0))).toEqual(['secret'])
      const owner = new Recorder('a', new Ledger())
      await streams.group({ topic: 't', group: 'g', member: 'a' }).run(owner)
      await until('it is taken', () => owner.taken.length === 1)
    })
  }

  it('tells a wrong password, and where the right one belongs', async context => {
    const { broker, ca } = await securedBroker(context)
    for (const [mechanism, username] of [
      ['plain', USERS.plain],
      ['scram-sha-512', USERS.scram],
    ]) {
      const asked = options({ brokers: [broker], tls: { ca }, sasl: sasl(mechanism, username) }, 'wrong')
      const error = await refused(asked)
      expect(error.code).toBe('FS_IO')
      expect(error.message).toMatch(/check cluster\.kafka\.sasl/)
      expect(error.message).not.toContain('wrong')
    }
  })

  it('trusts no authority that it was not told to', async context => {
    const { broker } = await securedBroker(context)
    const error = await refused(options({ brokers: [broker], tls: true, sasl: sasl('plain', USERS.plain) }))
    expect(error.code).toBe('FS_IO')
    expect(error.message).toMatch(/self-signed|certificate/i)
  })

  it('tells a broker that is not there, with its address', async () => {
    const port = await freePort()
    const error = await refused(options({ brokers: [`127.0.0.1:${port}`] }))
    expect(error.code).toBe('FS_IO')
    expect(error.message).toMatch(new RegExp(`ECONNREFUSED 127\\.0\\.0\\.1:${port}`))
  })

  it('tells what is wrong with the configuration before it connects', () => {
    const broker = { brokers: ['127.0.0.1:9092'] }
    expect(() => options({ ...broker, sasl: sasl('plain', 'u') }, '')).toThrow(/holds no KAFKA_PASSWORD/)
    expect(() => options({ ...broker, tls: { ca: '/no/such.pem' } })).toThrow(
      /tls\.ca: \/no\/such\.pem cannot be read/,
    )
    expect(() => options({ ...broker, tls: { cert: '/no/such.pem' } })).toThrow(
      /cert and key belong together/,
    )
    expect(() => options({ brokers: ['kafka'] })).toThrow(/write host:port/)
  })
})
