// Shows a running service asked which labels explain a disruption: counters by region, version and status are told
// to it over HTTP, failures rise in one version of one region, and the disruption that opens is looked into by its id
// and by the names of its metrics.
import { afterEach, expect, it } from 'vitest'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { drillSchema } from '../../src/serve/drill-route.ts'
import { disruptions, INCIDENT_CONFIG, postLines } from './incident.ts'
import { type RunningService, remove, startForeshock, until } from './service.ts'

let service: RunningService | undefined
afterEach(async () => {
  await service?.kill()
  if (service) remove(service.folder)
  service = undefined
})

const LEARN_STEPS = 200
const STEPS = 230

/** Lines of every step: counters that only grow, half of the requests of eu's v2 fail in the last steps. */
function* bodies(fromMs: number): Generator<string> {
  const random = mulberry32(4)
  const totals = new Map<string, number>()
  for (let step = 0; step < STEPS; step++) {
    const lines: string[] = []
    for (const region of ['eu', 'us', 'asia']) {
      for (const version of ['v1', 'v2']) {
        const asked = 40 + Math.round(8 * random())
        const broken = step >= LEARN_STEPS && region === 'eu' && version === 'v2'
        const failed = broken ? asked >> 1 : random() < 0.2 ? 1 : 0
        for (const [status, more] of [
          ['200', asked - failed],
          ['500', failed],
        ] as const) {
          const labels = { service: 'shop', region, version, status }
          const key = JSON.stringify(labels)
          const value = (totals.get(key) ?? 0) + more
          totals.set(key, value)
          lines.push(
            JSON.stringify({ time: fromMs + step * 1000, metric: 'http_requests_total', labels, value }),
          )
        }
      }
    }
    yield lines.join('\n')
  }
}

it('names region and version of the failures, for a disruption and for two metrics', {
  timeout: 60_000,
}, async () => {
  service = await startForeshock(INCIDENT_CONFIG)
  const { url } = service
  for (const body of bodies(Math.floor(Date.now() / 1000) * 1000 - STEPS * 1000)) await postLines(url, body)
  const told = await until('a disruption opens', async () => (await disruptions(url))[0])
  const post = (body: object) =>
    fetch(`${url}/api/drill-down`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  const ask = async (body: object) => {
    const answer = await post(body)
    expect(answer.status).toBe(200)
    return drillSchema.parse(await answer.json())
  }
  const where = { region: 'eu', version: 'v2' }
  const metric = 'http_requests_total:rate'
  const own = await ask({ disruption: told.id })
  expect(own.question).toEqual({ metric, over: metric, entity: 'shop' })
  expect(own.explanations[0].where).toEqual(where)
  expect(own.explanations[0].observed).toBeGreaterThan(0.4)
  expect(own.explanations[0].expected).toBeLessThan(0.02)
  expect((await ask({ metric, over: metric, windows: 10 })).explanations[0].where).toEqual(where)
  expect((await post({ disruption: 'd_none' })).status).toBe(404)
})
