// Shows who may do what: every kind of credential against every scope over real requests, that only hashes are
// needed, that a service without keys is open but may be bound to loopback only, and that keys appear in no log.
import { createHash } from 'node:crypto'
import { PassThrough } from 'node:stream'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ApiKey, assertBindable, isLoopback, Keyring, type Scope } from '../../src/serve/auth.ts'
import { json, listen, type Running, world } from './world.ts'

const hashOf = (key: string) => `sha256:${createHash('sha256').update(key).digest('hex')}`
const SECRETS = {
  ingest: 'key-ingest-0001',
  read: 'key-read-0002',
  admin: 'key-admin-0003',
  both: 'key-both-0004',
}
const KEYS: ApiKey[] = [
  { id: 'agent', hash: hashOf(SECRETS.ingest), scopes: ['ingest'] },
  { id: 'viewer', hash: hashOf(SECRETS.read), scopes: ['read'] },
  { id: 'boss', hash: hashOf(SECRETS.admin), scopes: ['admin'] },
  { id: 'person', hash: hashOf(SECRETS.both), scopes: ['ingest', 'read'] },
]

let server: Running
let logged = ''
beforeAll(async () => {
  const sink = new PassThrough()
  sink.on('data', chunk => {
    logged += chunk
  })
  server = await listen(world().deps, { keys: KEYS, logger: pino({ level: 'trace' }, sink) })
})
afterAll(() => server.close())

const CREDENTIALS: Record<string, (secret: string) => Record<string, string>> = {
  bearer: secret => ({ authorization: `Bearer ${secret}` }),
  'bearer in lower case': secret => ({ authorization: `bearer ${secret}` }),
  'x-api-key': secret => ({ 'x-api-key': secret }),
  basic: secret => ({ authorization: `Basic ${Buffer.from(`any:${secret}`).toString('base64')}` }),
}
const ROUTES: [method: string, path: string, scope: Scope | 'open', ok: number, type?: string][] = [
  ['POST', '/api/samples', 'ingest', 200, 'application/x-ndjson'],
  ['POST', '/api/v1/write', 'ingest', 204, 'application/x-protobuf'],
  ['POST', '/v1/metrics', 'ingest', 200, 'application/x-protobuf'],
  ['GET', '/api/disruptions', 'read', 200],
  ['GET', '/api/board', 'read', 200],
  ['GET', '/api/changes', 'read', 200],
  ['GET', '/api/rejects', 'read', 200],
  ['GET', '/metrics', 'read', 200],
  ['GET', '/api/status', 'read', 200],
  ['GET', '/livez', 'open', 200],
  ['GET', '/readyz', 'open', 200],
  ['GET', '/openapi.json', 'open', 200],
  ['GET', '/asyncapi.json', 'open', 200],
  ['GET', '/', 'open', 200],
]

function send(method: string, path: string, type: string | undefined, headers: Record<string, string>) {
  const all = type === undefined ? headers : { ...headers, 'content-type': type }
  return fetch(server.url + path, { method, headers: all, body: method === 'POST' ? 'x' : null })
}

describe.each(Object.entries(CREDENTIALS))('with a key as %s', (_name, credential) => {
  it.each(ROUTES)('%s %s needs %s', async (method, path, scope, ok, type) => {
    for (const [name, secret] of Object.entries(SECRETS)) {
      const allowed = scope === 'open' || name === 'admin' || name === 'both' || name === scope
      const answer = await send(method, path, type, credential(secret))
      expect(answer.status, name).toBe(allowed ? ok : 403)
      if (!allowed && path !== '/v1/metrics')
        expect(await json(answer)).toMatchObject({ code: 'FS_FORBIDDEN', status: 403 })
    }
  })
})

describe('without a known key', () => {
  const WRONG: Record<string, string>[] = [
    {},
    { authorization: 'Bearer wrong' },
    { authorization: 'Bearer' },
    { authorization: `Digest ${SECRETS.read}` },
    { authorization: `Basic ${Buffer.from(SECRETS.read).toString('base64')}` },
    { authorization: 'Basic !!!' },
    { 'x-api-key': '' },
    { 'x-api-key': KEYS[1].hash },
    { 'x-api-key': KEYS[1].hash.slice(7) },
    { 'x-api-key': 'x'.repeat(5000) },
  ]
  it.each(ROUTES.filter(([, , scope]) => scope !== 'open'))(
    '%s %s answers 401',
    async (method, path, _s, _ok, type) => {
      for (const headers of WRONG) {
        const answer = await send(method, path, type, headers)
        expect(answer.status, JSON.stringify(headers).slice(0, 80)).toBe(401)
        expect(answer.headers.get('www-authenticate')).toContain('Bearer')
        await answer.arrayBuffer()
      }
    },
  )

  it('does not read the body of a stranger', async () => {
    const answer = await fetch(`${server.url}/api/samples`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: new Uint8Array(20 * 1024 * 1024),
    }).catch(() => ({ status: 401 }))
    expect(answer.status).toBe(401)
  })
})

describe('secrets', () => {
  it('appear in no log line, though every request is logged', () => {
    expect(logged).toContain('/api/disruptions')
    for (const secret of Object.values(SECRETS)) expect(logged).not.toContain(secret)
    for (const { hash } of KEYS) expect(logged).not.toContain(hash.split(':').at(-1))
  })
})

describe('a keyring', () => {
  it.each(['', 'plain', 'sha256:12', `sha256:${'g'.repeat(64)}`, `scrypt:00ff:${'0'.repeat(64)}`, 'md5:00'])(
    'refuses the hash %j without repeating it',
    hash => {
      expect(() => new Keyring([{ id: 'k', hash, scopes: ['read'] }])).toThrow(
        expect.objectContaining({ code: 'FS_CONFIG_INVALID' }),
      )
      if (hash.length > 10)
        expect(() => new Keyring([{ id: 'k', hash, scopes: ['read'] }])).not.toThrow(new RegExp(hash))
    },
  )
})

describe('assertBindable', () => {
  const keys: ApiKey[] = [KEYS[0]]
  it.each(['127.0.0.1', '127.8.9.1', '::1', '[::1]', 'localhost', '::ffff:127.0.0.1'])(
    'lets %s be open',
    host => {
      expect(isLoopback(host)).toBe(true)
      expect(() => assertBindable(host, {})).not.toThrow()
    },
  )
  it.each([
    '0.0.0.0',
    '::',
    '',
    '10.0.0.1',
    'localhost.example.com',
    '127.evil.example',
    '::ffff:10.0.0.1',
    '128.0.0.1',
  ])('refuses %j without keys and lets it be with them', host => {
    expect(() => assertBindable(host, {})).toThrow(expect.objectContaining({ code: 'FS_AUTH_REQUIRED' }))
    expect(() => assertBindable(host, { keys: [] })).toThrow(/auth\.keys/)
    expect(() => assertBindable(host, { keys })).not.toThrow()
  })
})
