// The limit on requests counts over all gateways that share a counter: two services, one limit.
import { afterEach, expect, it } from 'vitest'
import { MemoryRates } from '../../src/store/memory-rates.ts'
import { listen, type Running, world } from './world.ts'

const running: Running[] = []
afterEach(async () => {
  for (const server of running.splice(0)) await server.close()
})

it('gateways that share a counter share the limit', async () => {
  const rates = new MemoryRates()
  for (let i = 0; i < 2; i++)
    running.push(await listen({ ...world().deps, rates }, { requestsPerMinuteMax: 5 }))
  const statuses: number[] = []
  for (let i = 0; i < 8; i++) {
    const answer = await fetch(`${running[i % 2].url}/api/disruptions`)
    statuses.push(answer.status)
    if (answer.status === 429) expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    await answer.body?.cancel()
  }
  expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429, 429])
  expect((await fetch(`${running[0].url}/livez`)).status).toBe(200)
})
