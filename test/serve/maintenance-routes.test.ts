// Shows maintenance windows over HTTP: posted, listed, deleted, refused with the field that is wrong, once however often
// they are sent, only by those who may, and a preview of what a window would have hidden of the record.
import { beforeEach, describe, expect, it } from 'vitest'
import { contentId } from '../../src/core/identity.ts'
import { disruption, json, listen, NOW_MS, served, world } from './world.ts'

const here = world()
const server = await served(here.deps)
beforeEach(() => {
  here.board.length = 0
  here.envelopes.length = 0
  here.audits.length = 0
})

const post = (body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${server.url}/api/maintenance`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  })
const list = async () =>
  (await json(await fetch(`${server.url}/api/maintenance`))).items as unknown as {
    id: string
    isOn: boolean
    until: string
  }[]
const NIGHT = {
  name: 'upgrade',
  entity: ['pay*', 'checkout'],
  from: '2026-11-20T14:00',
  to: '2026-11-20T16:00',
}

describe('/api/maintenance', () => {
  it('takes a window once, journals and audits it, lists it as on, and ends it', async () => {
    const first = await post(NIGHT, { 'idempotency-key': 'k' })
    expect(first.status).toBe(201)
    const { id } = await json(first)
    const again = await post(NIGHT, { 'idempotency-key': 'k' })
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    await post(NIGHT)
    expect((await list()).map(one => [one.id, one.isOn, one.until])).toEqual([
      [id, true, '2026-11-20T16:00:00.000Z'],
    ])
    expect(here.envelopes.map(one => one.kind)).toEqual(['maintenance', 'maintenance'])
    expect(here.audits[0]).toMatchObject({ who: 'anonymous', action: 'maintenance.post' })
    const gone = await fetch(`${server.url}/api/maintenance/${id}`, { method: 'DELETE' })
    expect(gone.status).toBe(204)
    // A fleet writes it into the record of the tenant.
    expect(here.audits.at(-1)).toMatchObject({
      action: 'maintenance.delete',
      detail: { id, tenant: 'default' },
    })
    expect(await list()).toEqual([])
    expect((await fetch(`${server.url}/api/maintenance/${id}`, { method: 'DELETE' })).status).toBe(404)
  })

  it('comes again by rule on local clocks', async () => {
    const { id } = await json(
      await post({
        ...NIGHT,
        from: '2026-11-01T14:30',
        to: '2026-11-01T16:30',
        rule: 'FREQ=DAILY',
        timeZone: 'Europe/Berlin',
      }),
    )
    expect((await list())[0]).toMatchObject({ isOn: true, until: '2026-11-20T15:30:00.000Z' })
    await fetch(`${server.url}/api/maintenance/${id}`, { method: 'DELETE' })
  })

  const wrong: readonly (readonly [object, RegExp])[] = [
    [{ ...NIGHT, to: '2026-11-20T13:00' }, /to must lie after from/],
    [{ ...NIGHT, from: 'tomorrow' }, /from "tomorrow" must be/],
    [{ ...NIGHT, timeZone: 'Mars/Olympus' }, /timeZone: "Mars\/Olympus"/],
    [{ ...NIGHT, rule: 'FREQ=HOURLY' }, /rule: FREQ must be/],
    [{ ...NIGHT, entity: [] }, /entity/],
    [{ ...NIGHT, tenant: 'no header names it' }, /tenant: must be letters/],
    [{ name: 'x', from: '2026-11-20' }, /entity/],
  ]
  for (const [body, want] of wrong) {
    it(`refuses ${want.source}`, async () => {
      const answer = await post(body)
      expect(answer.status).toBe(400)
      expect((await json(answer)).detail).toMatch(want)
      expect(await list()).toEqual([])
    })
  }

  it('previews what would have been hidden, in the same hours of a week that is over', async () => {
    const at = (id: string, startMs: number, hours: number, entities: string[]) =>
      disruption(id, {
        startedAt: new Date(startMs).toISOString(),
        detectedAt: new Date(startMs + 60_000).toISOString(),
        resolvedAt: new Date(startMs + hours * 3_600_000).toISOString(),
        status: 'resolved',
        entities,
      })
    const lastWeek = NOW_MS - 7 * 86_400_000
    here.board.push(
      at('inside', lastWeek, 1, ['payments', 'checkout']),
      at('longer', lastWeek, 5, ['payments']),
      at('wider', lastWeek, 1, ['payments', 'edge']),
      at('other', lastWeek, 1, ['edge']),
      at('elsewhen', lastWeek - 86_400_000, 1, ['payments']),
    )
    const query = new URLSearchParams({ entity: 'pay*', from: NIGHT.from, to: NIGHT.to })
    query.append('entity', 'checkout')
    const found = await json(await fetch(`${server.url}/api/maintenance/preview?${query}`))
    const ids = (name: string) => (found[name] as unknown as { id: string }[]).map(one => one.id)
    expect(found.shiftedWeeks).toBe(1)
    expect(ids('hidden')).toEqual(['inside'])
    expect(ids('touched')).toEqual(['longer', 'wider'])
  })

  it('previews in a week that is over by the clocks of the window, wherever they are', async () => {
    for (const [timeZone, from, to] of [
      ['America/New_York', '2026-11-20T09:00', '2026-11-20T11:00'],
      ['Asia/Tokyo', '2026-11-20T23:00', '2026-11-21T01:00'],
    ]) {
      const query = new URLSearchParams({ entity: 'payments', from, to, timeZone })
      const found = await json(await fetch(`${server.url}/api/maintenance/preview?${query}`))
      expect([timeZone, found.shiftedWeeks]).toEqual([timeZone, 1])
    }
    // Over for more than an hour, though these clocks show a later time than those of UTC do now.
    const over = new URLSearchParams({
      entity: 'payments',
      from: '2026-11-20T20:00',
      to: '2026-11-20T22:30',
      timeZone: 'Asia/Tokyo',
    })
    const found = await json(await fetch(`${server.url}/api/maintenance/preview?${over}`))
    expect(found.shiftedWeeks).toBe(0)
  })

  it('asks for the scope, and keeps tenants apart', async () => {
    const { createHash } = await import('node:crypto')
    const hash = (key: string) => `sha256:${createHash('sha256').update(key).digest('hex')}`
    const guarded = await listen(here.deps, {
      keys: [
        { id: 'reader', hash: hash('r'), scopes: ['read'] },
        { id: 'acme', hash: hash('a'), scopes: ['admin'], tenant: 'acme' },
        { id: 'root', hash: hash('x'), scopes: ['admin'] },
      ],
    })
    const call = (key: string, method: string, path = '', body?: unknown) =>
      fetch(`${guarded.url}/api/maintenance${path}`, {
        method,
        headers: { 'x-api-key': key, ...(body ? { 'content-type': 'application/json' } : {}) },
        ...(body ? { body: JSON.stringify(body) } : {}),
      })
    expect((await call('r', 'POST', '', NIGHT)).status).toBe(403)
    const { id } = await json(await call('x', 'POST', '', NIGHT))
    expect((await json(await call('a', 'GET'))).items).toEqual([])
    expect((await call('a', 'DELETE', `/${id}`)).status).toBe(404)
    expect((await call('a', 'POST', '', { ...NIGHT, tenant: 'default' })).status).toBe(403)
    expect((await call('x', 'DELETE', `/${id}`)).status).toBe(204)
    expect(contentId('mw', 'a')).not.toBe(id)
    await guarded.close()
  })
})
