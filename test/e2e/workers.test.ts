// Shows a real service that scores in two threads of their own: it finds a fault, is killed with -9 in the middle of it, and
// goes on with the same disruption, from the journal and then from a checkpoint that the workers' state is part of; its
// metrics say what each worker does.
import { afterAll, describe, expect, it } from 'vitest'
import type { Disruption } from '../../src/core/disruption.ts'
import { fleetBodies } from './fleet.ts'
import { getJson, type RunningService, remove, startForeshock, temporaryFolder, until } from './service.ts'

const STEP_MS = 1000
const STEPS = 260
const FAULT = { service: 'store', fromStep: 200, toStep: 260, extraLatencyS: 0.4 }
const CONFIG = {
  features: { step: '1s' },
  checkpoint: { every: '1h' },
  log: { level: 'warn' },
  detection: { workers: 2 },
}

const post = async (url: string, body: string) => {
  const headers = { 'content-type': 'application/x-ndjson' }
  const answer = await fetch(`${url}/api/samples`, { method: 'POST', body, headers })
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`)
}
const open = async (url: string) =>
  (await getJson<{ items: Disruption[] }>(`${url}/api/disruptions?status=open`)).items

describe('a service whose scoring is in threads', () => {
  const folder = temporaryFolder()
  let service: RunningService | undefined
  afterAll(async () => {
    await service?.kill()
    remove(folder)
  })

  it('finds a fault, outlives kill -9, and keeps what its workers learned', { timeout: 60_000 }, async () => {
    service = await startForeshock(CONFIG, folder)
    const fromMs = Math.floor(Date.now() / STEP_MS) * STEP_MS - STEPS * STEP_MS
    const bodies = [...fleetBodies({ fromMs, stepMs: STEP_MS, steps: STEPS, seed: 1, fault: FAULT })]
    for (const body of bodies.slice(0, 235)) await post(service.url, body)
    const found = await until('the fault is found', async () => {
      const items = await open((service as RunningService).url)
      return items.length > 0 && items
    })
    expect(found[0].suspects[0].entity).toBe('store')
    const metrics = await until('both workers tell of rows', async () => {
      const text = await (await fetch(`${(service as RunningService).url}/metrics`)).text()
      const rows = [...text.matchAll(/^foreshock_worker_rows\{worker="(\d)"\} (\d+)/gm)]
      return rows.length === 2 && rows.every(([, , count]) => Number(count) > 0) && text
    })
    expect(metrics).toMatch(/foreshock_worker_busy_seconds\{worker="1"\} [\d.]+/)
    await service.kill()

    service = await startForeshock(CONFIG, folder)
    expect((await open(service.url)).map(({ id }) => id)).toEqual([found[0].id])
    for (const body of bodies.slice(235, 245)) await post(service.url, body)
    expect(await service.stop()).toBe(0)

    service = await startForeshock(CONFIG, folder)
    expect(service.logged()).not.toContain('anew')
    expect((await open(service.url)).map(({ id }) => id)).toEqual([found[0].id])
    expect(await service.stop()).toBe(0)
  })
})
