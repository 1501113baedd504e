// Shows that a changed configuration leaves nothing stale behind: a service learns a small fleet with an SLI of its own
// while a fault is open, and is started again and again with something changed: the labels that name entities, a
// metric's kind, the expression, the profile. What no longer fits is dropped and said, what was open about it is closed
// or retracted, and what still fits is kept.
import { afterAll, describe, expect, it } from 'vitest'
import type { Disruption } from '../../src/core/disruption.ts'
import { INCIDENT_CONFIG, Incident } from './incident.ts'
import { getJson, type RunningService, remove, startForeshock, temporaryFolder } from './service.ts'

interface Series {
  readonly key: string
  readonly metric: string
  readonly entity: string
  readonly kind: string
}

const SLOW = {
  metric: 'slowness_ratio',
  expression: 'latency_p99_seconds / requests_per_second',
  unit: 'ratio',
  kind: 'error',
}
const BASE = { ...INCIDENT_CONFIG, features: { ...INCIDENT_CONFIG.features, expressions: [SLOW] } }

const series = async (url: string, metric: string) =>
  (await getJson<{ items: Series[] }>(`${url}/api/series?limit=1000`)).items.filter(
    one => one.metric === metric,
  )
const openOnes = async (url: string, what: string) =>
  (await getJson<{ items: { id: string; entity: string }[] }>(`${url}/api/${what}?status=open&limit=1000`))
    .items

describe('a changed configuration', () => {
  const folder = temporaryFolder()
  let service: RunningService | undefined
  afterAll(async () => {
    await service?.kill()
    remove(folder)
  })

  const again = async (config: Record<string, unknown>) => {
    await service?.stop()
    service = await startForeshock(config, folder)
    return service
  }

  it('leaves nothing stale behind', { timeout: 120_000 }, async () => {
    const incident = new Incident(1, { extraLatencyS: 0.4, stepsAgo: 100 })
    service = await startForeshock(BASE, folder)
    await incident.learn(service.url)
    const found = await incident.strike(service.url)
    expect((await series(service.url, SLOW.metric)).length).toBe(6)
    expect((await openOnes(service.url, 'anomalies')).length).toBeGreaterThan(0)

    // The same configuration keeps all of it, and says nothing.
    await again(BASE)
    expect((await openOnes(service.url, 'disruptions')).map(one => one.id)).toEqual([found.id])
    expect(service.logged()).not.toMatch(/dropped|changed|another entity/)

    // A kind is corrected: only that metric's anomalies could be wrong, but disruptions rest on all.
    await again({ ...BASE, ingest: { overrides: [{ metric: 'cpu_ratio', kind: 'saturation' }] } })
    expect(service.logged()).toContain('6 series have another entity, unit or kind now')
    expect((await series(service.url, 'cpu_ratio')).map(one => one.kind)).toEqual(Array(6).fill('saturation'))
    const back = await getJson<Disruption>(`${service.url}/api/disruptions/${found.id}`)
    expect(back.status).toBe('retracted')
    await incident.tell(service.url, 10)

    // The expression reads otherwise, then is gone: its series begin anew, then end.
    const other = { ...SLOW, expression: 'latency_p99_seconds * requests_per_second' }
    await again({ ...BASE, features: { ...BASE.features, expressions: [other] } })
    expect(service.logged()).toContain('6 derived series are dropped')
    expect(await series(service.url, SLOW.metric)).toEqual([])
    await incident.tell(service.url, 5)
    expect((await series(service.url, SLOW.metric)).length).toBe(6)
    await again(INCIDENT_CONFIG)
    expect(await series(service.url, SLOW.metric)).toEqual([])
    await incident.tell(service.url, 10)
    const about = (await openOnes(service.url, 'anomalies')) as unknown as { metric: string }[]
    expect(about.filter(one => one.metric === SLOW.metric)).toEqual([])

    // Entities are named by another label: no series, anomaly or disruption keeps an old name.
    await again({ ...INCIDENT_CONFIG, ingest: { entityLabels: ['client'] } })
    expect(service.logged()).toContain('series have another entity')
    const entities = (await series(service.url, 'latency_p99_seconds')).map(one => one.entity)
    expect(new Set(entities)).toEqual(new Set(['latency']))
    expect(await openOnes(service.url, 'disruptions')).toEqual([])
    await incident.tell(service.url, 10)
    for (const { entity } of await openOnes(service.url, 'anomalies')) expect(entity).not.toBe('store')

    // Another profile: the daily shape is learned anew, which is said; nothing else is lost.
    await again({
      ...INCIDENT_CONFIG,
      ingest: { entityLabels: ['client'] },
      detection: { profile: 'compact' },
    })
    expect(service.logged()).toContain('detection.profile changed')
    expect((await series(service.url, 'latency_p99_seconds')).length).toBe(6)
    expect(await service.stop()).toBe(0)
  })
})
