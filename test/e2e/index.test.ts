// Shows a real service with its index in a DuckDB file: what is on record is answered after kill -9, and after the file
// was damaged, which costs a warning and no more.
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { getJson, type RunningService, remove, startForeshock, temporaryFolder, until } from './service.ts'

const CONFIG = { data: { index: 'duckdb' }, checkpoint: { every: '1h' }, log: { level: 'warn' } }

describe('an index in a file', () => {
  const folder = temporaryFolder()
  const file = join(folder, 'data/index-2.duckdb')
  let service: RunningService | undefined
  afterAll(async () => {
    await service?.kill()
    remove(folder)
  })

  it('is there after kill -9, and built anew when it is damaged', { timeout: 60_000 }, async () => {
    const refs = async () => {
      const { items } = await getJson<{ items: { ref: string }[] }>(`${service?.url}/api/changes`)
      return items.map(one => one.ref).sort()
    }
    // Taken at once as a rule; a machine that is busy may say that it is.
    const post = async (ref: string) => {
      const body = JSON.stringify({ time: new Date().toISOString(), entity: 'checkout', kind: 'deploy', ref })
      const headers = { 'content-type': 'application/json' }
      const taken = async () =>
        (await fetch(`${service?.url}/api/changes`, { method: 'POST', body, headers })).ok
      await until('the change is taken', taken)
    }
    service = await startForeshock(CONFIG, folder)
    await post('v1')
    await until('the change is known', async () => (await refs()).length === 1)
    await service.kill()
    expect(existsSync(file)).toBe(true)
    service = await startForeshock(CONFIG, folder)
    expect(await refs()).toEqual(['v1'])
    await post('v2')
    await until('the change is known', async () => (await refs()).length === 2)
    expect(service.logged()).not.toContain('built anew')
    await service.stop()
    writeFileSync(file, 'no database')
    service = await startForeshock(CONFIG, folder)
    expect(service.logged()).toContain('it is built anew from the record')
    expect(await refs()).toEqual(['v1', 'v2'])
    expect(await service.stop()).toBe(0)
  })
})
