// Shows that a client of /api/events misses nothing: its socket is destroyed in mid-stream, the service is even
// killed with kill -9 and started again, and the client that comes back with Last-Event-ID gets every event that a
// witness of the record has, each once, and never a second id for the same disruption.
import { afterEach, expect, it } from 'vitest'
import type { Disruption } from '../../src/core/disruption.ts'
import { freePort } from '../../src/lab/free-port.ts'

import { INCIDENT_CONFIG, Incident } from './incident.ts'
import { type RunningService, remove, startForeshock, until } from './service.ts'
import { SseClient } from './sse-client.ts'

let service: RunningService | undefined
afterEach(async () => {
  await service?.kill()
  if (service) remove(service.folder)
})

it('resumes after a cut and after kill -9, misses nothing and sees no new id', {
  timeout: 40_000,
}, async () => {
  const config = { ...INCIDENT_CONFIG, checkpoint: { every: '1h' }, server: { port: await freePort() } }
  service = await startForeshock(config)
  const { url, folder } = service
  const incident = new Incident()
  const client = new SseClient()
  await client.connect(url)
  await incident.learn(url)
  expect(client.events).toEqual([])
  const opened = await incident.strike(url)
  await until('the opening arrives', async () => client.events.length > 0)
  expect(client.retryMs).toBeGreaterThan(0)
  expect(client.events[0].type).toBe('io.foreshock.disruption.opened.v1')

  client.cut()
  const seenBeforeCut = client.events.length
  await incident.tell(url, 20)
  expect(client.events.length).toBe(seenBeforeCut)
  await client.connect(url)
  await until('what came while it was cut', async () => client.events.length > seenBeforeCut)

  await service.kill()
  client.cut()
  const seenBeforeKill = client.events.length
  service = await startForeshock(config, folder)
  // Something happens before the client is back.
  const resolved = await incident.heal(url, opened.id)
  await client.connect(url)
  await until('the end arrives', async () =>
    client.events.some(event => event.type === 'io.foreshock.disruption.resolved.v1'),
  )
  expect(client.events.length).toBeGreaterThan(seenBeforeKill)

  const ids = client.events.map(event => event.id)
  expect(ids).toEqual([...new Set(ids)])
  const bodies = client.events.map(event => JSON.parse(event.data) as Disruption)
  expect(new Set(bodies.map(body => body.id))).toEqual(new Set([opened.id]))
  // Revisions count up by one: a missed event would be a hole.
  expect(bodies.map(body => body.revision)).toEqual(bodies.map((_, i) => i + 1))
  expect(bodies.at(-1)).toMatchObject({ status: 'resolved', revision: resolved.revision })
  client.cut()
})
