// Shows quotas of tenants in the program as users run it, in one process: series beyond the quota are refused one by one and
// named in /api/rejects, a power cut changes nothing about which, and who sends too fast gets 429 and a time to come again.
import { afterEach, expect, it } from 'vitest'
import { type RunningService, startForeshock } from './service.ts'

const CONFIG = {
  server: { grpcPort: 'off' },
  tenants: { acme: { quota: { series: 2 } }, busy: { quota: { samplesPerSecond: 0.5 } } },
}

let service: RunningService | undefined
afterEach(() => service?.kill())

async function send(tenant: string, metrics: readonly string[]) {
  const lines = metrics.map(metric =>
    JSON.stringify({ metric, labels: { service: 's' }, time: Date.now(), value: 1 }),
  )
  const answer = await fetch(`${service?.url}/api/samples`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson', 'foreshock-tenant': tenant },
    body: lines.join('\n'),
  })
  return { answer, told: (await answer.json()) as Record<string, unknown> }
}

it('holds over a power cut', { timeout: 60_000 }, async () => {
  service = await startForeshock(CONFIG)
  const { folder } = service
  expect((await send('acme', ['a', 'b', 'c'])).told).toMatchObject({ samples: 2, rejected: 1 })
  expect((await send('other', ['a', 'b', 'c'])).told).toMatchObject({ samples: 3, rejected: 0 })
  expect((await send('busy', Array(15).fill('a'))).answer.status).toBe(200)
  const { answer, told } = await send('busy', ['a'])
  expect(answer.status).toBe(429)
  expect(told).toMatchObject({ code: 'FS_QUOTA' })
  // 15 of a bucket of 5: 10 are owed at one in two seconds.
  const seconds = Number(answer.headers.get('retry-after'))
  expect(seconds).toBeGreaterThan(10)
  expect(seconds).toBeLessThanOrEqual(20)
  expect(told.retryAfterSeconds).toBe(seconds)
  await service.kill()

  service = await startForeshock(CONFIG, folder)
  const { told: after } = await send('acme', ['c', 'b', 'a', 'd'])
  expect(after).toMatchObject({ samples: 2, rejected: 2 })
  const metrics = await (await fetch(`${service.url}/metrics`)).text()
  expect(metrics).toMatch(/foreshock_rejects_total\{reason="tenant-series-limit"\} [23]/)
})
