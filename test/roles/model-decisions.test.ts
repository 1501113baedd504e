// Shows that who decides a word on a model knows it at once, as Kafka shows a transaction to readers only a little after its writer
// was told that it stands: an order was answered with an error although it was given, or the order before was told again.
import { expect, it } from 'vitest'
import { MemoryLog } from '../../src/bus/memory-log.ts'
import { MemoryStreams } from '../../src/bus/memory-streams.ts'
import { createLogger } from '../../src/core/logger.ts'
import type { ModelOrder } from '../../src/core/model.ts'
import { type ModelWord, wordAfter } from '../../src/core/model-word.ts'
import { type StoredMessage, type StreamTransactor, TOPICS } from '../../src/core/stream.ts'
import { ControlBook } from '../../src/roles/control.ts'
import { ModelDecisions } from '../../src/roles/model-decisions.ts'

/** Shows what was committed when the next transaction begins, which waits for it, and no earlier. */
class LateStreams extends MemoryStreams {
  #shown = 0

  override async transactor(name: string): Promise<StreamTransactor> {
    this.#shown = (await this.range(TOPICS.control, 0)).end
    return super.transactor(name)
  }

  override async *read(topic: string, partition: number, from: number): AsyncGenerator<StoredMessage> {
    for await (const message of super.read(topic, partition, from))
      if (topic !== TOPICS.control || message.offset < this.#shown) yield message
  }

  override async follow(): Promise<{ close(): Promise<void> }> {
    return { close: async () => {} }
  }
}

it('a word is known to who said it before readers are shown it', async () => {
  const streams = new LateStreams(new MemoryLog({ topics: { [TOPICS.control]: 1, [TOPICS.anomalies]: 1 } }))
  const logger = createLogger('silent')
  const book = await ControlBook.open(streams, logger)
  const decisions = new ModelDecisions({
    streams,
    producer: await streams.producer(),
    samplesPartitions: 1,
    anomaliesPartitions: 1,
    book,
    logger,
    clock: () => 1_790_000_000_000,
  })
  const heard: (number | undefined)[] = []
  book.listen(() => heard.push(book.models.get('combiner')?.command?.revision))
  const digest = `sha256:${'0'.repeat(64)}`
  for (const revision of [1, 2, 3]) {
    await decisions.decide('combiner', (before: ModelWord | undefined) => {
      expect(before?.command?.revision).toBe(revision === 1 ? undefined : revision - 1)
      const order: ModelOrder = { op: 'promote', model: 'combiner', version: revision, digest, by: 'a' }
      const word = wordAfter('combiner', before, order, 0, () => undefined)
      if (typeof word === 'string') throw new Error(word)
      return { word, audit: { who: 'a', action: 'model.promote', detail: {} } }
    })
    expect(book.models.get('combiner')?.command?.revision).toBe(revision)
  }
  expect(new Set(heard)).toEqual(new Set([1, 2, 3]))
  await book.close()
})
