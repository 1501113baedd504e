// Shows that a webhook receiver that is down loses nothing: events of a real fault wait in the service, also across
// a restart with kill -9, and arrive when the receiver is there, in order, signed as Standard Webhooks says, which
// the receiver checks with the reference library.
import { createServer, type Server } from 'node:http'
import { Webhook } from 'standardwebhooks'
import { afterEach, expect, it } from 'vitest'
import type { Disruption } from '../../src/core/disruption.ts'
import { freePort } from '../../src/lab/free-port.ts'

import { INCIDENT_CONFIG, Incident } from './incident.ts'
import { getJson, type RunningService, remove, startForeshock, until } from './service.ts'

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

interface Got {
  readonly id: string
  readonly type: string
  readonly data: Disruption
}

let service: RunningService | undefined
let server: Server | undefined
afterEach(async () => {
  server?.closeAllConnections()
  server?.close()
  await service?.kill()
  if (service) remove(service.folder)
})

/** Refuses what the reference library does not accept. */
function receive(got: Got[], refused: string[]): Server {
  const webhook = new Webhook(SECRET)
  return createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    try {
      const data = webhook.verify(body, request.headers as Record<string, string>)
      got.push(data as Got)
      response.writeHead(204).end()
    } catch (error) {
      refused.push(String(error))
      response.writeHead(400).end()
    }
  })
}

async function pending(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(/^foreshock_publish_pending\{sink="webhook-[0-9a-f]{8}"\} (\d+)/m.exec(text)?.[1] ?? 0)
}

it('delivers to a receiver that was down, also across a restart', { timeout: 40_000 }, async () => {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}/hook`
  const config = {
    ...INCIDENT_CONFIG,
    checkpoint: { every: '1h' },
    sinks: { webhooks: [{ url, secret: SECRET, allowPrivate: true }] },
  }
  service = await startForeshock(config)
  const incident = new Incident(2)
  await incident.learn(service.url)
  const opened = await incident.strike(service.url)
  await until('the event waits', async () => (await pending(service!.url)) > 0)
  await service.kill()

  service = await startForeshock(config, service.folder)
  await until('it waits after the restart too', async () => (await pending(service!.url)) > 0)
  const got: Got[] = []
  const refused: string[] = []
  server = receive(got, refused)
  await new Promise<void>(done => server!.listen(port, '127.0.0.1', done))
  const resolved = await incident.heal(service.url, opened.id)
  await until('all of them arrive', async () => got.some(one => one.data.status === 'resolved'), 30_000)

  expect(refused).toEqual([])
  expect(got[0]).toMatchObject({ type: 'io.foreshock.disruption.opened.v1', data: { id: opened.id } })
  expect(new Set(got.map(one => one.data.id))).toEqual(new Set([opened.id]))
  expect([...new Set(got.map(one => one.data.revision))]).toEqual(
    Array.from({ length: resolved.revision }, (_, i) => i + 1),
  )
  await until('nothing waits', async () => (await pending(service!.url)) === 0)
  expect(await getJson(`${service.url}/api/disruptions/${opened.id}`)).toMatchObject({ status: 'resolved' })
})
