// Shows what senders are told: when to come back after a quota, in HTTP's own header and beside the problem, in whichever
// language a route speaks; and at a gateway of a fleet that models and experiments are there in one process only.
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { quotaExceeded } from '../../src/core/errors.ts'
import type { ServeDeps } from '../../src/serve/deps.ts'
import { json, listen, type Running, world } from './world.ts'

const hash = `sha256:${createHash('sha256').update('fsk_reader').digest('hex')}`
const KEYS = [{ id: 'reader', hash, scopes: ['read', 'ingest'] as const }]
const READER = { authorization: 'Bearer fsk_reader' }

let gateway: Running
let waitMs = 12_300

beforeAll(async () => {
  const { deps } = world()
  const full: ServeDeps = {
    ...deps,
    submit: async ({ tenant }) => {
      throw quotaExceeded(tenant, waitMs)
    },
    holders: { find: async () => 'http://127.0.0.1:9', lost: () => {} },
  }
  gateway = await listen(full, { keys: KEYS.map(key => ({ ...key, scopes: [...key.scopes] })) })
})
afterAll(() => gateway.close())

describe('a quota', () => {
  it.each([
    ['/api/samples', 'application/x-ndjson'],
    ['/v1/metrics', 'application/json'],
    ['/api/v1/write', 'application/x-protobuf'],
  ])('says on %s when it is worth coming back', async (path, type) => {
    for (const [ms, seconds] of [
      [12_300, '13'],
      [1, '1'],
      [60_000, '60'],
    ] as const) {
      waitMs = ms
      const headers = { ...READER, 'content-type': type }
      const answer = await fetch(gateway.url + path, { method: 'POST', headers, body: '{}' })
      expect(answer.status).toBe(429)
      expect(answer.headers.get('retry-after')).toBe(seconds)
      await answer.arrayBuffer()
    }
  })

  it('says so beside the problem', async () => {
    waitMs = 2000
    const headers = { ...READER, 'content-type': 'application/x-ndjson' }
    const answer = await fetch(`${gateway.url}/api/samples`, { method: 'POST', headers, body: '{}' })
    const problem = await json(answer)
    expect(problem).toMatchObject({ code: 'FS_QUOTA', status: 429, retryAfterSeconds: 2 })
    expect(problem.detail).toContain('samplesPerSecond')
  })
})

describe('models and experiments at a gateway', () => {
  it.each([
    ['GET', '/api/models'],
    ['HEAD', '/api/models'],
    ['GET', '/api/models/one/versions/1'],
    ['PUT', '/api/models/one/versions/1'],
    ['POST', '/api/models/one/promote'],
    ['DELETE', '/api/models/one/versions/1'],
    ['GET', '/api/experiments?limit=1'],
    ['POST', '/api/experiments'],
    ['POST', '/api/experiments/exp_1/labels'],
    ['GET', '/v2'],
    ['POST', '/v2/models/one/infer'],
  ])('are said to be elsewhere: %s %s', async (method, path) => {
    const init =
      method === 'GET' || method === 'HEAD'
        ? {}
        : { body: 'x', headers: { 'content-type': 'application/x-tar' } }
    const unknown = await fetch(gateway.url + path, { method, ...init })
    expect(unknown.status).toBe(401)
    await unknown.arrayBuffer()
    const answer = await fetch(gateway.url + path, {
      method,
      ...init,
      headers: { ...init.headers, ...READER },
    })
    expect(answer.status).toBe(501)
    const text = await answer.text()
    if (method === 'HEAD') return
    expect(text).toContain('FS_ONE_PROCESS_ONLY')
    expect(text).toContain('one-process mode only')
    const problem = JSON.parse(text)
    if (path.startsWith('/v2')) expect(problem).toEqual({ error: expect.any(String) })
    else expect(problem).toMatchObject({ code: 'FS_ONE_PROCESS_ONLY', status: 501 })
  })

  it('are not there at all in one process that has none', async () => {
    const one = await listen(world().deps)
    expect((await fetch(`${one.url}/api/models`)).status).toBe(404)
    await one.close()
  })
})
