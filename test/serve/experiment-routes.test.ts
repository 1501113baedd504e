// Shows experiments over HTTP, real ones on seeded pairs of scores: who may start, label and stop them, that a repeated
// POST starts one, that answers match their schemas, what is refused with which field, and that the page of the API
// describes it all.
import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { experimentSchema } from '../../src/core/experiment.ts'
import type { Experiments } from '../../src/experiments/experiments.ts'
import type { Scope } from '../../src/serve/auth.ts'
import { PairWorld } from '../experiments/world.ts'
import { listen, type Running, world } from './world.ts'

const key = (id: string, scopes: readonly Scope[], tenant?: string) => ({
  id,
  hash: `sha256:${createHash('sha256').update(id).digest('hex')}`,
  scopes,
  ...(tenant === undefined ? {} : { tenant }),
})
const KEYS = [
  key('reader', ['read']),
  key('scientist', ['read', 'models']),
  key('rater', ['read', 'label']),
  key('tenant', ['read', 'models', 'label'], 'acme'),
]
const PLAN = { model: 'shape-detector', challenger: 2, unitSeconds: 60, alertsPerSeriesWeek: 400 }

let pairs: PairWorld
let all: Experiments
let server: Running
beforeEach(async () => {
  pairs = new PairWorld(1)
  all = await pairs.open()
  server = await listen({ ...world().deps, experiments: all }, { keys: KEYS })
})
afterEach(() => server.close())

const ask = async (who: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
  const answer = await fetch(`${server.url}/api/experiments${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      authorization: `Bearer ${who}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return { status: answer.status, headers: answer.headers, body: JSON.parse(await answer.text()) }
}

describe('/api/experiments', () => {
  it('is started once, read by all, labelled by raters and stopped', async () => {
    const first = await ask('scientist', '', PLAN, { 'idempotency-key': 'k' })
    expect(first.status).toBe(201)
    const again = await ask('scientist', '', PLAN, { 'idempotency-key': 'k' })
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    const { id } = first.body
    expect(again.body.id).toBe(id)
    expect(pairs.orders).toHaveLength(1)
    pairs.plant(800, 40)
    pairs.run(800, pair => all.observe(pair), { sight: 0.5 }, { sight: 0.5 })
    const labels = pairs.labels().map(({ name, fromMs, toMs, kind }) => ({
      entity: name,
      from: new Date(fromMs).toISOString(),
      to: toMs,
      kind,
    }))
    const labelled = await ask('rater', `/${id}/labels`, { labels: [...labels, labels[0]] })
    expect(labelled.body).toMatchObject({
      taken: 19,
      refused: [{ index: 19, reason: expect.stringMatching(/overlaps what rater called anomalous/) }],
      experiment: { verdict: { units: 19 } },
    })
    const { body } = await ask('reader', `/${id}`)
    expect(experimentSchema.parse(body)).toEqual(body)
    expect((await ask('reader', '')).body.items.map((one: { id: string }) => one.id)).toEqual([id])
    const stopped = await ask('scientist', `/${id}/stop`, { why: 'lunch' })
    expect(stopped.body).toMatchObject({ status: 'stopped', reason: 'lunch' })
    expect(pairs.audits).toContainEqual({
      who: 'scientist',
      action: 'experiment.stop',
      detail: { id, promote: false, why: 'lunch' },
    })
    expect((await ask('scientist', `/${id}/stop`, {})).status).toBe(400)
  })

  it('is closed to those without the scope, and to keys of one tenant', async () => {
    expect((await ask('nobody', '')).status).toBe(401)
    expect((await ask('reader', '', PLAN)).status).toBe(403)
    expect((await ask('tenant', '', PLAN)).body.detail).toMatch(/models are shared by all/)
    const { id } = (await ask('scientist', '', PLAN)).body
    const label = { entity: 's1', from: 1e12, to: 1e12 + 60_000, kind: 'normal' }
    expect((await ask('scientist', `/${id}/labels`, { labels: [label] })).status).toBe(403)
    const other = await ask('tenant', `/${id}/labels`, { labels: [{ ...label, tenant: 'default' }] })
    expect(other.status).toBe(403)
    expect((await ask('tenant', `/${id}/labels`, { labels: [label] })).body.taken).toBe(1)
  })

  it('names what is wrong', async () => {
    for (const [plan, field] of [
      [{ ...PLAN, alpha: 0.9 }, 'alpha'],
      [{ ...PLAN, surprise: 3 }, 'surprise'],
      [{ ...PLAN, guardrails: { p99Ms: -1 } }, 'p99Ms'],
      [{ challenger: 2 }, 'model'],
      [{ ...PLAN, champion: 4 }, 'champion'],
    ] as const) {
      const answer = await ask('scientist', '', plan)
      expect([answer.status, JSON.stringify(answer.body)]).toEqual([400, expect.stringContaining(field)])
    }
    expect((await ask('reader', '/exp_0')).status).toBe(404)
    expect((await ask('scientist', '/exp_0/stop', {})).status).toBe(404)
    const { id } = (await ask('scientist', '', PLAN)).body
    const label = { from: 1e12, to: 2e12, kind: 'normal' }
    for (const labels of [
      [],
      [label],
      [{ ...label, series: 'a', entity: 'b' }],
      [{ ...label, entity: 'b', to: 'x' }],
      [{ ...label, entity: 'b', to: '9999999999999999' }],
      [{ ...label, entity: 'b', tenant: 'no header names it' }],
    ])
      expect((await ask('rater', `/${id}/labels`, { labels })).status).toBe(400)
  })

  it('is described, and absent where there are no experiments', async () => {
    const described = await (await fetch(`${server.url}/openapi.json`)).json()
    const paths = (described as { paths: Record<string, Record<string, unknown>> }).paths
    expect(Object.keys(paths).filter(path => path.startsWith('/api/experiments'))).toEqual([
      '/api/experiments',
      '/api/experiments/{id}',
      '/api/experiments/{id}/stop',
      '/api/experiments/{id}/labels',
    ])
    const without = await listen(world().deps)
    expect((await fetch(`${without.url}/api/experiments`)).status).toBe(404)
    await without.close()
  })
})
