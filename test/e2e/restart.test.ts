// Shows that nothing acknowledged is lost by kill -9: a real service takes a fleet's metrics, finds a fault, is
// killed while it takes in more, and starts again with its baselines, its history and the same disruption.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { Disruption } from '../../src/core/disruption.ts'
import { fleetBodies } from './fleet.ts'
import { disruptions, postLines } from './incident.ts'
import {
  CLI,
  getJson,
  type RunningService,
  remove,
  startForeshock,
  temporaryFolder,
  until,
} from './service.ts'

const STEP_MS = 1000
const STEPS = 420
const FAULT = { service: 'store', fromStep: 300, toStep: 420, extraLatencyS: 0.4 }
const CONFIG = { features: { step: '1s' }, checkpoint: { every: '1h' }, log: { level: 'warn' } }
const KEY = encodeURIComponent('latency_p99_seconds{service="store"}')

const open = (url: string) => disruptions(url, 'open')
/** Window end → observed, of the windows that were seen. */
const observed = async (url: string) => {
  const { columns } = await getJson<{ columns: { timeMs: number[]; observed: (number | null)[] } }>(
    `${url}/api/series/${KEY}/scores?limit=10000`,
  )
  return new Map(
    columns.timeMs.map((time, i) => [time, columns.observed[i]] as const).filter(([, v]) => v !== null),
  )
}

describe('kill -9 and restart', () => {
  const folder = temporaryFolder()
  let service: RunningService | undefined
  afterAll(async () => {
    await service?.kill()
    remove(folder)
  })

  it('keeps what it acknowledged, what it learned and the ids it gave', { timeout: 120_000 }, async () => {
    service = await startForeshock(CONFIG, folder)
    const fromMs = Math.floor(Date.now() / STEP_MS) * STEP_MS - STEPS * STEP_MS
    const bodies = [...fleetBodies({ fromMs, stepMs: STEP_MS, steps: STEPS, seed: 1, fault: FAULT })]
    for (const body of bodies.slice(0, 340)) await postLines(service.url, body)
    const [before] = await until('the fault is found', async () => {
      const found = await open(service!.url)
      return found.length > 0 && found
    })
    expect(before.suspects[0].entity).toBe('store')
    const seen = await observed(service.url)
    await service.kill()

    service = await startForeshock(CONFIG, folder)
    const [after, ...others] = await open(service.url)
    expect(others).toEqual([])
    expect(after.id).toBe(before.id)
    expect(after.startedAt).toBe(before.startedAt)
    expect(await observed(service.url)).toEqual(seen)

    for (const body of bodies.slice(340, 380)) await postLines(service.url, body)
    const later = await open(service.url)
    expect(later.map(d => d.id)).toEqual([before.id])

    expect(await service.stop()).toBe(0)
    service = await startForeshock(CONFIG, folder)
    expect((await open(service.url)).map(d => d.id)).toEqual([before.id])
    const kept = await observed(service.url)
    for (const [time, value] of seen) if (time > fromMs + 60 * STEP_MS) expect(kept.get(time)).toBe(value)
    const ends = bodies.slice(0, 378).map((_, step) => fromMs + (step + 1) * STEP_MS)
    expect(ends.slice(60).filter(end => !kept.has(end))).toEqual([])
    await service.stop()

    // Another window step: what was learned cannot serve, is learned anew, and what was open is taken back.
    service = await startForeshock({ ...CONFIG, features: { step: '2s' } }, folder)
    expect(service.logged()).toContain('learned anew')
    expect(await open(service.url)).toEqual([])
    const back = await getJson<Disruption>(`${service.url}/api/disruptions/${before.id}`)
    expect(back).toMatchObject({ status: 'retracted', supersedes: back.revision - 1 })
    await service.stop()

    const verified = spawnSync(process.execPath, [
      CLI,
      'log',
      'verify',
      '--json',
      '--dir',
      join(folder, 'data', 'record'),
    ])
    expect(verified.stderr.toString()).toBe('')
    expect(verified.status).toBe(0)
    expect(JSON.parse(verified.stdout.toString())).toMatchObject({ ok: true })
  })
})
