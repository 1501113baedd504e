// Shows that a learned model outlives kill -9: a real service is pushed a package, promotes it, finds a fault with its
// help and is killed in the middle of it; started again, the same version speaks, the disruption keeps its id, and its
// evidence names the model that ran and its digest.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { create } from 'tar'
import { afterAll, describe, expect, it } from 'vitest'
import type { ModelState } from '../../src/core/model.ts'
import { writeShare } from '../model-world.ts'
import { fleetBodies } from './fleet.ts'
import { disruptions } from './incident.ts'
import { getJson, type RunningService, remove, startForeshock, temporaryFolder, until } from './service.ts'

const STEP_MS = 1000
const STEPS = 300
const FAULT = { service: 'store', fromStep: 200, toStep: 300, extraLatencyS: 0.4 }
const CONFIG = {
  features: { step: '1s' },
  checkpoint: { every: '1h' },
  log: { level: 'warn' },
  detection: { models: { timeout: '10s' } },
}

const send = async (url: string, method: string, type: string, body: Buffer | string) => {
  const answer = await fetch(url, { method, body, headers: { 'content-type': type } })
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${await answer.text()}`)
  return answer
}
const open = (url: string) => disruptions(url, 'open')
const live = async (url: string) =>
  (await getJson<{ live: ModelState | null }>(`${url}/api/models/probe`)).live

describe('kill -9 while a learned model speaks', () => {
  const folder = temporaryFolder()
  const packages = temporaryFolder()
  let service: RunningService | undefined
  afterAll(async () => {
    await service?.kill()
    remove(folder)
    rmSync(packages, { recursive: true, force: true })
  })

  it('keeps the champion, the ids, and what the evidence says of it', { timeout: 120_000 }, async () => {
    const digest = writeShare(packages, 'probe', 1, 0.3)
    service = await startForeshock(CONFIG, folder)
    const { url } = service
    const archive = create({ cwd: join(packages, 'probe', '1') }, ['card.json', 'golden.json', 'model.onnx'])
    const tar = await buffer(archive as unknown as Readable)
    await send(`${url}/api/models/probe/versions/1`, 'PUT', 'application/x-tar', tar)
    const fromMs = Math.floor(Date.now() / STEP_MS) * STEP_MS - STEPS * STEP_MS
    const bodies = [...fleetBodies({ fromMs, stepMs: STEP_MS, steps: STEPS, seed: 1, fault: FAULT })]
    const post = (at: string, body: string) => send(`${at}/api/samples`, 'POST', 'application/x-ndjson', body)
    for (const body of bodies.slice(0, 60)) await post(url, body)
    await send(`${url}/api/models/probe/promote`, 'POST', 'application/json', '{"version":1}')
    for (const body of bodies.slice(60, 230)) await post(url, body)
    const [before] = await until('the fault is found', async () => {
      const found = await open(url)
      return found.length > 0 && found
    })
    const champion = (await live(url))?.champion
    expect(champion).toMatchObject({ version: 1, digest, failed: 0 })
    await service.kill()

    service = await startForeshock(CONFIG, folder)
    const [after, ...others] = await open(service.url)
    expect(others).toEqual([])
    expect({ ...after, updatedAt: '' }).toEqual({ ...before, updatedAt: '' })
    expect((await live(service.url))?.champion).toMatchObject({ version: 1, digest, rows: champion?.rows })
    expect((before.replay.models as Record<string, string>)['onnx:probe@1']).toBe(digest)
    const named = before.evidence.flatMap(({ detectors }) => detectors.map(({ id }) => id))
    expect(named).toContain('onnx:probe@1')

    for (const body of bodies.slice(230, 250)) await post(service.url, body)
    expect((await open(service.url)).map(({ id }) => id)).toEqual([before.id])
    expect((await live(service.url))?.champion?.rows).toBeGreaterThan(champion?.rows ?? Infinity)
    expect(await service.stop()).toBe(0)
  })
})
