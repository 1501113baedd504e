// Shows that a Kafka that cannot be reached is an error of its kind for everybody who asks at the same time.
import { expect, it, onTestFinished } from 'vitest'
import { KafkaStreams } from '../../src/bus/kafka-streams.ts'

it('everybody who asks at once is told that Kafka is away', async () => {
  const streams = new KafkaStreams({
    brokers: ['127.0.0.1:1'],
    clientId: 'test',
    prefix: 'away.',
    compression: 'none',
    sessionTimeoutMs: 10_000,
  })
  onTestFinished(() => streams.close())
  const asked = [streams.check(), streams.check(), streams.partitions('samples'), streams.range('samples', 0)]
  for (const answer of await Promise.allSettled(asked))
    expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'FS_IO' } })
})
