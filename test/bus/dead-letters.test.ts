// Shows that a dead letter keeps the message's bytes, key and headers with why and where, that the same message makes the
// same letter, and that the newest are listed once each however often they were written, by the command from a real Kafka.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { deadLetter, letterOf, newestLetters } from '../../src/bus/dead-letters.ts'
import { MemoryLog } from '../../src/bus/memory-log.ts'
import { MemoryStreams } from '../../src/bus/memory-streams.ts'
import { addDeadLettersCommand } from '../../src/commands/dead-letters.ts'
import { type StoredMessage, TOPICS } from '../../src/core/stream.ts'
import { printed } from '../commands/printed.ts'
import { kafkaWorld } from '../peers/kafka.ts'

const bad = (offset: number, more: Partial<StoredMessage> = {}): StoredMessage => ({
  topic: TOPICS.samples,
  partition: 2,
  offset,
  key: 'default/web',
  value: Uint8Array.from([27, 91, 50, 74, 255, 120]),
  headers: { 'x-from': 'collector', 'foreshock-tenant': 'default' },
  timestampMs: 1_700_000_000_000 + offset,
  ...more,
})

describe('dead letters', () => {
  it('keep everything, and why, and where', async () => {
    const log = new MemoryLog({ topics: { [TOPICS.deadLetters]: 1 } })
    const streams = new MemoryStreams(log)
    const producer = await streams.producer()
    await producer.send(TOPICS.deadLetters, [deadLetter(bad(7), 'line 1:\n  not JSON')])
    const [stored] = log.topic(TOPICS.deadLetters)[0]
    expect(stored.headers).toEqual({
      'x-from': 'collector',
      'foreshock-tenant': 'default',
      'foreshock-origin': 'samples/2/7/0',
      'foreshock-reason': 'line 1: not JSON',
      'foreshock-topic': 'samples',
      'foreshock-partition': '2',
      'foreshock-offset': '7',
    })
    expect(stored.key).toBe('default/web')
    expect([...stored.value]).toEqual([...bad(7).value])
    expect(letterOf(stored)).toMatchObject({
      topic: 'samples',
      partition: 2,
      offset: 7,
      tenant: 'default',
      bytes: 6,
    })
    expect(deadLetter(bad(7), 'x')).toEqual(deadLetter(bad(7), 'x'))
    expect(deadLetter(bad(7, { key: null }), 'x', 3).key).toBe('samples/2/7/3')
  })

  it('are cut where they are too large, and say so', () => {
    const letter = deadLetter(bad(1, { value: new Uint8Array(5_000_000) }), 'r'.repeat(5000))
    expect(letter.value.length).toBe(3 * 1024 * 1024)
    expect(letter.headers['foreshock-size']).toBe('5000000')
    expect(letter.headers['foreshock-reason'].length).toBe(1000)
  })

  it('are listed newest, each once', async () => {
    const streams = new MemoryStreams(new MemoryLog({ topics: { [TOPICS.deadLetters]: 2 } }))
    const producer = await streams.producer()
    for (const offset of [1, 2, 2, 3, 4])
      await producer.send(TOPICS.deadLetters, [
        { ...deadLetter(bad(offset), `r${offset}`), partition: offset % 2 },
      ])
    expect((await newestLetters(streams, 3)).map(({ reason }) => reason)).toEqual(['r2', 'r3', 'r4'])
  })

  it('are printed by the command without steering a terminal', async context => {
    const world = await kafkaWorld({ [TOPICS.deadLetters]: 1 }, context)
    const producer = await (await world.streams()).producer()
    await producer.send(TOPICS.deadLetters, [deadLetter(bad(7), 'not JSON')])
    const folder = mkdtempSync(join(tmpdir(), 'foreshock-letters-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const { brokers, prefix } = world.options
    const kafka = { brokers, prefix }
    const redis = { url: 'redis://127.0.0.1:1/0' }
    const postgres = { url: 'postgres://nobody@127.0.0.1:1/none' }
    writeFileSync(join(folder, 'f.yaml'), JSON.stringify({ cluster: { kafka, redis, postgres } }))
    const list = (...more: string[]) =>
      printed(addDeadLettersCommand, ['dead-letters', 'list', '--config', join(folder, 'f.yaml'), ...more])
    const [shown, json] = `${await list()}${await list('--json')}`.trimEnd().split('\n')
    expect(shown).toBe('2023-11-14T22:13:20.007Z  samples/2/7  not JSON  (6 bytes: ·[2J·x)')
    expect(JSON.parse(json)).toMatchObject({ offset: 7, value: Buffer.from(bad(7).value).toString('base64') })
  })
})
