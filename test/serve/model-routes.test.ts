// Models over HTTP: packages pushed as tar, looked at in a process of their own, listed, ordered, removed; refused with a
// problem that says why, and only for those who may. Registry, ledger and threads are the real ones, the models real ONNX.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sha256 } from '../../src/core/identity.ts'
import { PACKAGE_FILES, rawTar, tarOf } from '../store/model-packages.ts'
import { type ModelWorld, modelWorld, sumPackage, sumTar } from './model-world.ts'
import { type Json, json, listen, type Running, world } from './world.ts'

const KEYS = [
  { id: 'reader', hash: `sha256:${sha256('r')}`, scopes: ['read'] as const },
  { id: 'tenant', hash: `sha256:${sha256('t')}`, scopes: ['read', 'models'] as const, tenant: 'shop' },
  { id: 'scientist', hash: `sha256:${sha256('m')}`, scopes: ['read', 'models'] as const },
]
let models: ModelWorld
let server: Running
beforeAll(async () => {
  models = await modelWorld()
  server = await listen({ ...world().deps, models: models.desk }, { keys: KEYS })
})
afterAll(async () => {
  await server.close()
  await models.close()
})

const call = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
  const isBytes = body instanceof Uint8Array
  return fetch(server.url + path, {
    method,
    headers: {
      authorization: 'Bearer m',
      ...(body === undefined ? {} : { 'content-type': isBytes ? 'application/gzip' : 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: isBytes ? new Uint8Array(body) : JSON.stringify(body) }),
  })
}
const put = (version: number, body: Uint8Array, headers = {}) =>
  call('PUT', `/api/models/sum/versions/${version}`, body, headers)
const post = (op: string, body: unknown = {}, headers = {}) =>
  call('POST', `/api/models/sum/${op}`, body, headers)

describe('/api/models', { timeout: 60_000 }, () => {
  it('takes a package, once, and shows it with its card', async () => {
    const tar = await sumTar(models.root, 1)
    const first = await put(1, tar)
    expect(first.status).toBe(201)
    const stored = await json(first)
    expect(stored).toMatchObject({
      model: 'sum',
      version: 1,
      pushedBy: 'scientist',
      part: 'none',
      task: 'score',
    })
    const second = await put(1, tar)
    expect([second.status, await json(second)]).toEqual([200, stored])
    const shown = await json(await call('GET', '/api/models/sum/versions/1'))
    expect(shown.card).toMatchObject({ id: 'sum', version: 1, input: { width: 3 } })
    const plain = await tarOf(sumPackage(models.root, 2), PACKAGE_FILES)
    expect((await put(2, plain, { 'content-type': 'application/x-tar' })).status).toBe(201)
    expect(models.audits.map(one => [one.who, one.action])).toEqual([
      ['scientist', 'model.push'],
      ['scientist', 'model.push'],
    ])
  })

  it('refuses what is no package, with a problem that says why', async () => {
    const wrongGolden = await sumTar(models.root, 9, 'sum', 8)
    const cases: readonly (readonly [Promise<Response>, number, string, RegExp])[] = [
      [put(3, Buffer.from('no tar at all')), 422, 'FS_MODEL_INVALID', /cannot be read|empty/],
      [put(3, wrongGolden), 422, 'FS_MODEL_INVALID', /card.json says sum 9/],
      [put(3, rawTar([{ path: '../card.json', data: '{}' }])), 422, 'FS_MODEL_INVALID', /leads out/],
      [put(3, wrongGolden, { 'content-type': 'application/zip' }), 415, 'FS_MEDIA_TYPE_UNSUPPORTED', /tar/],
      [put(1, await sumTar(models.root, 1, 'sum', 5)), 409, 'FS_CONFLICT', /another package/],
      [call('PUT', '/api/models/Sum/versions/1', wrongGolden), 400, 'FS_INPUT_INVALID', /params id/],
      [call('PUT', '/api/models/sum/versions/x', wrongGolden), 400, 'FS_INPUT_INVALID', /params version/],
      [put(3, wrongGolden, { authorization: 'Bearer r' }), 403, 'FS_FORBIDDEN', /scope models/],
      [put(3, wrongGolden, { authorization: '' }), 401, 'FS_UNAUTHORIZED', /key/],
      [put(3, wrongGolden, { authorization: 'Bearer t' }), 403, 'FS_FORBIDDEN', /tenant shop/],
      [post('promote', { version: 1 }, { authorization: 'Bearer t' }), 403, 'FS_FORBIDDEN', /tenant shop/],
      [call('GET', '/api/models/none'), 404, 'FS_NOT_FOUND', /model none/],
      [call('GET', '/api/models/sum/versions/77'), 404, 'FS_NOT_FOUND', /version 77/],
      [post('promote', { version: 77 }), 404, 'FS_NOT_FOUND', /version 77/],
      [post('promote', { share: 0.5 }), 400, 'FS_INPUT_INVALID', /share/],
      [post('withdraw', { version: 1 }), 400, 'FS_INPUT_INVALID', /version/],
      [post('canary', { version: 1, share: 3 }), 400, 'FS_INPUT_INVALID', /share/],
      [post('rollback'), 409, 'FS_CONFLICT', /no champion/],
      [post('promote', { version: 1 }, { authorization: 'Bearer r' }), 403, 'FS_FORBIDDEN', /scope models/],
    ]
    for (const [asked, status, code, detail] of cases) {
      const answer = await asked
      const problem = await json(answer)
      expect([answer.status, problem.code], JSON.stringify(problem)).toEqual([status, code])
      expect(problem.detail).toMatch(detail)
      expect(JSON.stringify(problem)).not.toContain(models.root)
    }
    expect(models.registry.versions('sum').map(one => one.version)).toEqual([2, 1])
  })

  it('refuses a model that is not what its golden rows say, after trying it', async () => {
    const folder = sumPackage(models.root, 4)
    const { writeFileSync } = await import('node:fs')
    writeFileSync(`${folder}/golden.json`, JSON.stringify({ inputs: [[1, 2, 3]], outputs: [[7]] }))
    const answer = await put(4, await tarOf(folder, PACKAGE_FILES))
    const problem = await json(answer)
    expect([answer.status, problem.code]).toEqual([422, 'FS_MODEL_INVALID'])
    expect(problem.detail).toMatch(/golden/)
    expect(problem.detail).not.toContain('.incoming')
  })

  it.each([
    ['of one file', 413, [{ path: 'card.json', size: 200 * 1_048_576 }]],
    ['behind its end', 422, [{ path: 'card.json', data: '{}' }]],
  ] as const)('answers %s of far too many bytes before it took them all', async (_name, status, entries) => {
    const chunk = new Uint8Array(1_048_576)
    let sent = 0
    const body = new ReadableStream<Uint8Array>({
      pull(to) {
        if (sent === 0) to.enqueue(rawTar(entries).subarray(0, status === 413 ? 512 : undefined))
        else if (sent < 200) to.enqueue(chunk)
        else to.close()
        sent++
      },
    })
    const headers = { authorization: 'Bearer m', 'content-type': 'application/x-tar' }
    const url = `${server.url}/api/models/sum/versions/5`
    const answer = await fetch(url, { method: 'PUT', headers, body, duplex: 'half' } as RequestInit)
    expect(answer.status).toBe(status)
    expect(sent).toBeLessThan(199)
    await answer.body?.cancel()
  })

  it('carries out orders, once for each Idempotency-Key, and shows what ran when', async () => {
    const first = await post('promote', { version: 1, why: 'first' }, { 'idempotency-key': 'a' })
    expect(first.status).toBe(200)
    const again = await post('promote', { version: 1, why: 'first' }, { 'idempotency-key': 'a' })
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect((await post('promote', { version: 2 }, { 'idempotency-key': 'a' })).status).toBe(422)
    expect(models.stage.envelopes.length).toBe(1)
    await post('canary', { version: 2, share: 0.3 })
    const shown = (await json(await call('GET', '/api/models/sum'))) as Json
    expect(shown).toMatchObject({
      champion: { version: 1 },
      challenger: { version: 2, mode: 'canary', share: 0.3 },
      live: { champion: { rows: 7 }, covered: 3 },
      history: [
        { op: 'canary', version: 2, by: 'scientist', champion: { version: 1 } },
        { op: 'promote', version: 1, why: 'first' },
      ],
    })
    const { items } = await json(await call('GET', '/api/models', undefined, { authorization: 'Bearer r' }))
    expect(items).toMatchObject([{ model: 'sum', versions: [{ part: 'challenger' }, { part: 'champion' }] }])
    expect((await post('promote')).status).toBe(200)
    expect((await call('POST', '/api/models/sum/rollback')).status).toBe(200)
    expect(models.desk.entry('sum')?.standing.champion?.version).toBe(1)
  })

  it('removes what has no part', async () => {
    expect((await call('DELETE', '/api/models/sum/versions/1')).status).toBe(409)
    expect((await call('DELETE', '/api/models/sum/versions/2')).status).toBe(204)
    expect((await call('DELETE', '/api/models/sum/versions/2')).status).toBe(404)
    expect(models.audits.at(-1)).toMatchObject({ who: 'scientist', action: 'model.remove' })
  })

  it('is in /openapi.json', async () => {
    const { paths } = (await json(await fetch(`${server.url}/openapi.json`))) as Json
    expect(Object.keys(paths).filter(path => path.startsWith('/api/models'))).toEqual(
      expect.arrayContaining(
        ['/api/models/', '/api/models/{id}/promote'].map(path => path.replace(/\/$/, '')),
      ),
    )
    expect(Object.keys(paths['/api/models/{id}/versions/{version}'])).toEqual(
      expect.arrayContaining(['get', 'put', 'delete']),
    )
  })
})
