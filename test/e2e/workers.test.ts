// Shows a real service that scores in two threads of their own: it finds a fault, is killed with -9 in the middle of it, and
// goes on with the same disruption, from the journal and then from a checkpoint that the workers' state is part of, and says
// that it begins anew without them; its metrics say what each worker does.
import { afterAll, describe, expect, it } from 'vitest'
import { disruptions, postLines } from './incident.ts'
import { type RunningService, remove, startForeshock, temporaryFolder, until } from './service.ts'
import { bodiesUntilNow, WORKERS_CONFIG } from './worker-world.ts'

const open = (url: string) => disruptions(url, 'open')

describe('a service whose scoring is in threads', () => {
  const folder = temporaryFolder()
  let service: RunningService | undefined
  afterAll(async () => {
    await service?.kill()
    remove(folder)
  })

  it('finds a fault, outlives kill -9, and keeps what its workers learned', { timeout: 60_000 }, async () => {
    service = await startForeshock(WORKERS_CONFIG, folder)
    const bodies = bodiesUntilNow()
    for (const body of bodies.slice(0, 235)) await postLines(service.url, body)
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

    service = await startForeshock(WORKERS_CONFIG, folder)
    expect((await open(service.url)).map(({ id }) => id)).toEqual([found[0].id])
    for (const body of bodies.slice(235, 245)) await postLines(service.url, body)
    expect(await service.stop()).toBe(0)

    service = await startForeshock(WORKERS_CONFIG, folder)
    expect(service.logged()).not.toContain('anew')
    expect((await open(service.url)).map(({ id }) => id)).toEqual([found[0].id])
    expect(await service.stop()).toBe(0)

    service = await startForeshock({ ...WORKERS_CONFIG, detection: { workers: 0 } }, folder)
    expect(service.logged()).toContain('what 2 workers had learned cannot be put together for one thread')
    expect(await service.stop()).toBe(0)
  })
})
