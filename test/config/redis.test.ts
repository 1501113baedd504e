// What the configuration says of Redis reaches a real server: a password from the environment, TLS with a CA of one's own;
// and what cannot work is refused with the key that is wrong.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { redisSettings } from '../../src/config/redis.ts'
import { parseConfig } from '../../src/config.ts'
import { freePort } from '../../src/lab/free-port.ts'
import { RedisConnection } from '../../src/store/redis-connection.ts'

import { redis } from '../peers/redis.ts'

const clusterOf = (section: object) => {
  const { cluster } = parseConfig({
    cluster: { kafka: { brokers: ['kafka:9092'] }, redis: section, postgres: { url: 'postgres://db/x' } },
  })
  if (!cluster) throw new Error('no cluster')
  return cluster
}
const works = async (section: object, environment = {}) => {
  const connection = new RedisConnection({
    ...redisSettings(clusterOf(section), environment),
    silentMs: 1500,
  })
  try {
    await connection.check()
  } finally {
    await connection.close()
  }
}

describe('cluster.redis', () => {
  it('takes the password from the environment, and says which of both is missing', async context => {
    const peer = await redis(context, ['--requirepass', 'open sesame'])
    const section = { url: peer.url, passwordEnv: 'REDIS_PASSWORD' }
    await works(section, { REDIS_PASSWORD: 'open sesame' })
    await works({ url: `redis://:open%20sesame@127.0.0.1:${peer.port}` })
    await expect(works({ url: peer.url })).rejects.toThrow('NOAUTH')
    const refused = works(section, { REDIS_PASSWORD: 'guessed' })
    await expect(refused).rejects.toThrow('WRONGPASS')
    await expect(refused).rejects.not.toThrow('guessed')
    await expect(works(section)).rejects.toThrow('the environment holds no REDIS_PASSWORD')
  })

  it('speaks TLS with a CA of its own', async context => {
    const dir = mkdtempSync(join(tmpdir(), 'foreshock-tls-'))
    context.onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
    const made = spawnSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
        ...['-days', '1', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'],
        ...['-keyout', 'key.pem', '-out', 'cert.pem'],
      ],
      { cwd: dir },
    )
    if (made.status !== 0) return context.skip('openssl is missing')
    const port = await freePort()
    const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')]
    await redis(context, [
      ...['--tls-port', String(port), '--tls-cert-file', cert, '--tls-key-file', key],
      ...['--tls-ca-cert-file', cert, '--tls-auth-clients', 'no'],
    ])
    await works({ url: `rediss://localhost:${port}`, tls: { ca: cert } })
    await works({ url: `redis://127.0.0.1:${port}`, tls: { ca: cert, serverName: 'localhost' } })
    await expect(works({ url: `rediss://localhost:${port}` })).rejects.toThrow('self-signed')
  })

  it('refuses what cannot work', () => {
    const wrong = (section: object) => () => redisSettings(clusterOf(section), {})
    expect(wrong({})).toThrow('name one of url, sentinels')
    expect(wrong({ url: 'redis://a:1', nodes: ['b:1'] })).toThrow('name one of url, sentinels')
    expect(wrong({ url: 'localhost:6379' })).toThrow('write redis://host:6379')
    expect(wrong({ sentinels: ['a:26379'] })).toThrow('sentinels and master belong together')
    const url = 'redis://a:1'
    expect(wrong({ url, tls: { ca: '/nowhere' } })).toThrow('cluster.redis.tls.ca: /nowhere cannot be read')
    expect(wrong({ url, tls: { cert: '/nowhere' } })).toThrow('cert and key belong together')
  })
})
