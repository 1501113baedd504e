// Shows how changes reach the disruption stage of their tenant: those of gateways with the ids that their senders were told,
// foreign ones in every form that CloudEvents have on Kafka, those that nobody can read as dead letters; and that what a
// restart passes on again has the same origin, so that it is dropped.
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { MemoryLog } from '../../src/bus/memory-log.ts'
import { MemoryStreams } from '../../src/bus/memory-streams.ts'
import { partitionOf } from '../../src/bus/partition-of.ts'
import { changeLine } from '../../src/core/change.ts'
import { CONTENT, HEADERS, type StreamMessage, TOPICS } from '../../src/core/stream.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { Relay, relayed } from '../../src/roles/relay.ts'
import { changesOf } from '../../src/roles/stage-orders.ts'
import { MemoryCheckpointStores } from '../../src/store/memory-checkpoint-stores.ts'

const at = Date.parse('2026-11-12T10:45:00Z')

function message(text: string, headers: Record<string, string> = {}): StreamMessage {
  return { key: 'store', value: Buffer.from(text), headers, timestampMs: at }
}

const stored = (one: StreamMessage) => ({ ...one, topic: TOPICS.changes, partition: 1, offset: 7 })

function read(one: StreamMessage) {
  const sent = relayed(stored(one), 3)
  if (typeof sent !== 'object') return sent
  return {
    tenant: sent.headers[HEADERS.tenant],
    changes: changesOf({ ...stored(sent), ...sent, partition: 0 }),
  }
}

const PLAIN = { entity: 'store', kind: 'deploy', ref: 'v7' }

describe('changes on their way to the stage', () => {
  it('keeps the id that a gateway has told', () => {
    const change = { id: 'chg_from_a_cloudevent', timeMs: at - 5, ...PLAIN, untilMs: at + 5 }
    const headers = { 'content-type': 'application/json', [HEADERS.tenant]: 'acme' }
    expect(read(message(changeLine(change), headers))).toEqual({
      tenant: 'acme',
      changes: [{ ...change, tenant: 'acme' }],
    })
    expect(relayed(stored(message(changeLine(change), headers)), 3)).toMatchObject({
      partition: partitionOf('acme', 3),
      timestampMs: at,
      headers: { [HEADERS.content]: CONTENT.change, [HEADERS.origin]: 'changes/1/7/0' },
    })
  })

  it('reads CloudEvents in binary and structured mode, batches, and plain JSON', () => {
    const attributes = {
      specversion: '1.0',
      id: '100 % é',
      source: '/ci',
      type: 'io.foreshock.change.deploy.v1',
    }
    const time = '2026-11-12T10:44:00Z'
    const whole = JSON.stringify({ ...attributes, time, subject: 'store', data: { ref: 'v7' } })
    const binary = Object.fromEntries(
      Object.entries({ ...attributes, time, subject: 'store' }).map(([name, value]) => [`ce_${name}`, value]),
    )
    const forms = [
      message(whole, { 'content-type': 'application/cloudevents+json; charset=UTF-8' }),
      message(whole),
      message(`[${whole}]`, { 'content-type': 'application/cloudevents-batch+json' }),
      message('{"ref":"v7"}', { ...binary, 'content-type': 'application/json' }),
    ].map(read)
    for (const form of forms) {
      expect(form).toEqual(forms[0])
      expect(form).toMatchObject({ tenant: 'default', changes: [{ ...PLAIN, timeMs: Date.parse(time) }] })
    }
    expect(read(message(JSON.stringify(PLAIN)))).toMatchObject({ changes: [{ ...PLAIN, timeMs: at }] })
    expect(read(message('[]'))).toBeUndefined()
  })

  it('says why it cannot read something, and never throws', () => {
    expect(read(message('hello'))).toMatch('no JSON')
    expect(read(message('{"entity":"store"}'))).toMatch('kind')
    for (const tenant of ['', 'a b', 'a/b', '.'.repeat(65)])
      expect(read(message(JSON.stringify(PLAIN), { [HEADERS.tenant]: tenant }))).toMatch('cannot be a tenant')
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.json()),
        fc.dictionary(fc.constantFrom('content-type', 'ce_specversion', 'ce_id', 'ce_type'), fc.string()),
        (text, headers) => {
          expect(['string', 'object', 'undefined']).toContain(typeof read(message(text, headers)))
        },
      ),
    )
  })

  it('passes on in order, again what was not saved, and goes on where it was', async () => {
    const log = new MemoryLog({
      topics: { [TOPICS.changes]: 1, [TOPICS.anomalies]: 2, [TOPICS.deadLetters]: 1 },
    })
    const checkpoints = new MemoryCheckpointStores()
    const open = async (member: string) => {
      const relay = new Relay({
        streams: new MemoryStreams(log),
        checkpoints,
        telemetry: new Telemetry(),
        logger: pino({ level: 'silent' }),
        clock: () => at,
        member,
      })
      await relay.start()
      return relay
    }
    const done = async (relay: Relay) => {
      while (relay.positions.get(0) !== log.topic(TOPICS.changes)[0].length) await turn()
    }
    const put = async (...texts: string[]) =>
      (await new MemoryStreams(log).producer()).send(
        TOPICS.changes,
        texts.map(text => message(text)),
      )
    const origins = () =>
      log
        .topic(TOPICS.anomalies)
        .flat()
        .map(one => one.headers[HEADERS.origin])
    const first = await open('a')
    await put(JSON.stringify(PLAIN), 'hello', JSON.stringify({ ...PLAIN, ref: 'v8' }))
    await done(first)
    expect(origins()).toEqual(['changes/0/0/0', 'changes/0/2/0'])
    expect(log.topic(TOPICS.deadLetters)[0]).toMatchObject([
      { headers: { [HEADERS.origin]: 'changes/0/1/0' } },
    ])
    // It died: nothing was saved.
    await log.expire('relay', 'a')
    const second = await open('b')
    await done(second)
    expect(origins().slice(2)).toEqual(['changes/0/0/0', 'changes/0/2/0'])
    await second.close()
    const third = await open('c')
    await put(JSON.stringify({ ...PLAIN, ref: 'v9' }))
    await done(third)
    expect(origins().slice(4)).toEqual(['changes/0/3/0'])
    await third.close()
  })
})
