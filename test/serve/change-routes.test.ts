// Shows that changes arrive in every form the contract names (CloudEvents structured, batched and binary, plain
// JSON), become the same lines for the pipeline, keep one id however often they are sent, and that bad ones are
// answered with the field that is wrong. The reader is also fed arbitrary JSON.
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { ForeshockError } from '../../src/core/errors.ts'
import { changesOf } from '../../src/serve/change-body.ts'
import { type Json, json, NOW_MS, served, world } from './world.ts'

const here = world()
const server = await served(here.deps)
beforeEach(() => {
  here.changes.length = 0
  here.envelopes.length = 0
  here.audits.length = 0
  here.overloaded = false
})

function post(body: unknown, type = 'application/json', headers: Record<string, string> = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return fetch(`${server.url}/api/changes`, {
    method: 'POST',
    body: text,
    headers: { 'content-type': type, ...headers },
  })
}

const PLAIN = { time: '2026-11-20T14:00:00Z', entity: 'payments', kind: 'deploy', ref: 'v2.4.1' }
const AT = Date.parse(PLAIN.time)
const EVENT = {
  specversion: '1.0',
  id: 'A-1',
  source: '/ci/main',
  type: 'io.foreshock.change.deploy.v1',
  subject: 'payments',
  time: '2026-11-20T15:00:00+01:00',
  data: { ref: 'v2.4.1' },
}
const CHANGE = { timeMs: AT, entity: 'payments', kind: 'deploy', ref: 'v2.4.1' }

describe('POST /api/changes', () => {
  it('takes plain JSON, one or many, and hands JSON lines on', async () => {
    const answer = await post(PLAIN)
    expect(answer.status).toBe(201)
    const { accepted, ids } = await json(answer)
    expect(accepted).toBe(1)
    expect(here.changes).toEqual([{ id: ids[0], ...CHANGE }])
    expect(here.envelopes[0]).toMatchObject({ kind: 'change', encoding: 'identity', arrivalMs: NOW_MS })
    const many = await post([PLAIN, { ...PLAIN, entity: 'edge', time: AT, until: AT + 60_000 }])
    expect((await json(many)).accepted).toBe(2)
    expect(here.changes.at(-1)).toMatchObject({ entity: 'edge', timeMs: AT, untilMs: AT + 60_000 })
  })

  it('gives the same change the same id', async () => {
    const first = await json(await post(PLAIN))
    const again = await json(await post({ ...PLAIN, time: AT }))
    expect(again.ids).toEqual(first.ids)
  })

  it.each([
    ['structured', EVENT, 'application/cloudevents+json; charset=utf-8', {}],
    ['batched', [EVENT], 'application/cloudevents-batch+json', {}],
    [
      'binary',
      EVENT.data,
      'application/json',
      {
        'ce-specversion': '1.0',
        'ce-id': 'A-1',
        'ce-source': '/ci/main',
        'ce-type': 'io.foreshock.change.deploy.v1',
        'ce-subject': 'pay%6Dents',
        'ce-time': EVENT.time,
      },
    ],
  ])('takes CloudEvents, %s, as one and the same', async (_name, body, type, headers) => {
    const answer = await post(body, type, headers as Record<string, string>)
    expect(answer.status).toBe(201)
    const plain = changesOf(
      'application/cloudevents+json',
      {},
      Buffer.from(JSON.stringify(EVENT)),
      'default',
      0,
    )
    expect(here.changes).toEqual([{ ...CHANGE, id: plain[0].id }])
  })

  it('fills the time when none is given', async () => {
    await post({ entity: 'edge', kind: 'flag' })
    expect(here.changes[0]).toMatchObject({ timeMs: NOW_MS, ref: '' })
  })

  it.each([
    ['{', 'application/json', 'no JSON'],
    ['['.repeat(200_000), 'application/json', 'nests deeper than 100000'],
    [{ kind: 'deploy' }, 'application/json', 'entity'],
    [{ ...PLAIN, time: 'noon' }, 'application/json', 'time'],
    [[PLAIN, { ...PLAIN, entity: '' }], 'application/json', '1.entity'],
    [{ ...PLAIN, ref: 'x'.repeat(300) }, 'application/json', 'ref'],
    [{ ...EVENT, specversion: '0.3' }, 'application/cloudevents+json', 'specversion'],
    [{ ...EVENT, subject: undefined }, 'application/cloudevents+json', 'data.entity'],
    [{ ...EVENT, type: 'com.other' }, 'application/cloudevents+json', 'data.kind'],
    [EVENT, 'application/cloudevents-batch+json', 'array'],
    [Array.from({ length: 1001 }, () => PLAIN), 'application/json', '1000'],
    ['null', 'application/json', ''],
  ])('answers 400 to %.60j naming the field', async (body, type, named) => {
    const answer = await post(body, type)
    expect(answer.status).toBe(400)
    const problem = await json(answer)
    expect(problem.code).toBe('FS_INPUT_INVALID')
    expect(problem.detail).toContain(named)
    expect(here.envelopes).toHaveLength(0)
  })

  it('answers 415, 413 and 429 where they belong', async () => {
    expect((await post(PLAIN, 'text/plain')).status).toBe(415)
    expect((await post(`"${'x'.repeat(1_100_000)}"`)).status).toBe(413)
    here.overloaded = true
    const busy = await post(PLAIN)
    expect([busy.status, busy.headers.has('retry-after')]).toEqual([429, true])
  })

  it('writes to the audit trail who said it', async () => {
    const { ids } = await json(await post(PLAIN))
    expect(here.audits).toEqual([
      { who: 'anonymous', action: 'changes.post', detail: { tenant: 'default', ids } },
    ])
  })

  it('is read back, newest first', async () => {
    await post([PLAIN, { ...PLAIN, time: AT + 5000, until: AT + 9000 }])
    const answer = await json(await fetch(`${server.url}/api/changes`))
    const items = Object.values(answer.items) as unknown as Json[]
    expect(items.map(item => item.time)).toEqual(['2026-11-20T14:00:05.000Z', '2026-11-20T14:00:00.000Z'])
    expect(items[0].until).toBe('2026-11-20T14:00:09.000Z')
  })
})

describe('Idempotency-Key', () => {
  it('answers a repeat with the first answer and takes nothing twice', async () => {
    const headers = { 'idempotency-key': 'one' }
    const [first, second] = await Promise.all([
      post(PLAIN, undefined, headers),
      post(PLAIN, undefined, headers),
    ])
    expect([first.status, second.status]).toEqual([201, 201])
    expect(await json(second)).toEqual(await json(first))
    expect(here.envelopes).toHaveLength(1)
    const replayed = [first, second].map(answer => answer.headers.get('idempotency-replayed'))
    expect(replayed.sort()).toEqual([null, 'true'].sort())
  })

  it('answers 422 to another body under the same key', async () => {
    await post(PLAIN, undefined, { 'idempotency-key': 'two' })
    const answer = await post({ ...PLAIN, ref: 'v3' }, undefined, { 'idempotency-key': 'two' })
    expect([answer.status, (await json(answer)).code]).toEqual([422, 'FS_IDEMPOTENCY_CONFLICT'])
  })

  it('does not remember what failed', async () => {
    const headers = { 'idempotency-key': 'three' }
    here.overloaded = true
    expect((await post(PLAIN, undefined, headers)).status).toBe(429)
    here.overloaded = false
    expect((await post(PLAIN, undefined, headers)).status).toBe(201)
    expect((await post(PLAIN, undefined, { 'idempotency-key': 'x'.repeat(300) })).status).toBe(400)
  })

  it('forgets a key after a day', async () => {
    const headers = { 'idempotency-key': 'four' }
    await post(PLAIN, undefined, headers)
    here.clockMs += 86_400_001
    expect((await post({ ...PLAIN, ref: 'other' }, undefined, headers)).status).toBe(201)
    here.clockMs = NOW_MS
  })
})

describe('changesOf', () => {
  it('reads or refuses any JSON, and never fails otherwise', () => {
    const types = fc.constantFrom(
      'application/json',
      'application/cloudevents+json',
      'application/cloudevents-batch+json',
    )
    const likely = fc.record(
      {
        specversion: fc.constantFrom('1.0', '0.3'),
        id: fc.string(),
        source: fc.string(),
        type: fc.constantFrom('io.foreshock.change.deploy.v1', 'x'),
        subject: fc.string(),
        time: fc.oneof(fc.date().map(String), fc.constant('2026-01-01T00:00:00Z'), fc.integer()),
        entity: fc.string(),
        kind: fc.string(),
        ref: fc.jsonValue(),
        data: fc.jsonValue(),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(types, fc.oneof(fc.jsonValue(), likely, fc.array(likely)), (type, value) => {
        try {
          const changes = changesOf(type, {}, Buffer.from(JSON.stringify(value)), 'default', NOW_MS)
          for (const change of changes) {
            expect(Number.isFinite(change.timeMs)).toBe(true)
            expect(change.entity.length).toBeGreaterThan(0)
          }
        } catch (error) {
          expect(error).toBeInstanceOf(ForeshockError)
        }
      }),
    )
  })
})
