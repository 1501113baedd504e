// Shows that the configuration is read from YAML and environment by one schema, and that each mistake is named
// with its key and the fix before anything starts.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig, parseConfig, shownConfig } from '../src/config.ts'
import { ForeshockError } from '../src/core/errors.ts'

const complaint = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(ForeshockError)
    expect((error as ForeshockError).code).toBe('FS_CONFIG_INVALID')
    return (error as Error).message
  }
  throw new Error('no error was thrown')
}

describe('config', () => {
  it('has a default for everything', () => {
    const config = parseConfig({})
    expect(config.server).toMatchObject({ host: '127.0.0.1', port: 4318 })
    expect(config.features.step).toBe(10_000)
    expect(config.data.folder.startsWith('/') || /^[A-Z]:/.test(config.data.folder)).toBe(true)
  })

  it('reads durations and sizes', () => {
    const config = parseConfig({
      features: { step: '500ms', historyBudget: '1.5 MiB' },
      checkpoint: { every: '2m' },
    })
    expect(config.features).toMatchObject({ step: 500, historyBudget: 1_572_864 })
    expect(config.checkpoint.every).toBe(120_000)
  })

  it('takes an empty variable for none', () => {
    const environment = { FORESHOCK_CONFIG: '', FORESHOCK_SERVER_PORT: '' }
    expect(loadConfig({ environment }).server.port).toBe(4318)
  })

  it('lets the environment win over the file', () => {
    const config = parseConfig(
      { server: { port: 1 } },
      {
        environment: {
          FORESHOCK_SERVER_PORT: '9090',
          FORESHOCK_SERVER_MAX_BODY_BYTES: '1 MiB',
          FORESHOCK_SOURCES_HOST_ENABLED: 'true',
        },
      },
    )
    expect(config.server).toMatchObject({ port: 9090, maxBodyBytes: 1_048_576 })
    expect(config.sources.host.enabled).toBe(true)
  })

  it('refuses what would forget a series before its next window, and more windows than there is room for', () => {
    const refused = (features: object) => complaint(() => parseConfig({ features }))
    for (const features of [
      { step: '10s', retention: '9s' },
      { step: '1s', lateness: '2d' },
    ])
      expect(refused(features)).toBe(
        'configuration: features.retention: must be at least as long as step and lateness',
      )
    expect(parseConfig({ features: { step: '1d', lateness: '1h' } }).features.retention).toBe(86_400_000)
    expect(refused({ historyWindows: 7_000_000 })).toContain('features.historyWindows')
  })

  it('names an unknown key and those that are known', () => {
    expect(complaint(() => parseConfig({ server: { prot: 1 } }, { file: 'f.yaml' }))).toMatch(
      /f\.yaml: server: unknown key "prot"; known here: host, port/,
    )
    expect(complaint(() => parseConfig({ sever: {} }))).toMatch(
      /unknown key "sever"; known here: server, auth/,
    )
  })

  it('says what a duration looks like, and names the variable when it came from there', () => {
    expect(complaint(() => parseConfig({ features: { step: 'ten' } }))).toMatch(
      /features\.step: write a duration such as/,
    )
    expect(complaint(() => parseConfig({}, { environment: { FORESHOCK_SERVER_PORT: '70000' } }))).toMatch(
      /^FORESHOCK_SERVER_PORT: /,
    )
  })

  it('lists every mistake, one a line', () => {
    const text = complaint(() => parseConfig({ server: { port: -1 }, checkpoint: { every: '0s' }, zzz: 1 }))
    expect(text.split('\n').length).toBe(3)
  })

  it('names the line of each mistake, or of what is nearest around what is missing', () => {
    const folder = mkdtempSync(join(tmpdir(), 'foreshock-config-'))
    const file = join(folder, 'f.yaml')
    const lines = [
      'server:',
      '  port: 70000',
      'features:',
      '  stap: 3s',
      '  expressions:',
      '    - { metric: a, expression: b }',
      '    - metric: c',
      'log: { level: loud }',
    ]
    writeFileSync(file, lines.join('\n'))
    const found = complaint(() => loadConfig({ file, environment: {} })).split('\n')
    const places = found.map(text => /: (\S+): .* \(line (\d+)\)$/.exec(text)?.slice(1).join(' '))
    expect(places.sort()).toEqual([
      'features 4',
      'features.expressions.1.expression 7',
      'log.level 8',
      'server.port 2',
    ])
    // What comes from the environment stands in no line.
    const text = complaint(() => loadConfig({ file, environment: { FORESHOCK_SERVER_PORT: 'x' } }))
    expect(text).toMatch(/^FORESHOCK_SERVER_PORT: .*received NaN$/m)
  })

  it.each([null, true, [], [8080], '', ' '])('makes no number of %j', value => {
    const text = complaint(() =>
      parseConfig({ server: { port: value, grpcPort: value }, ingest: { maxSeries: value } }),
    )
    expect(text.split('\n').map(line => line.split(': ')[1])).toEqual([
      'server.port',
      'server.grpcPort',
      'ingest.maxSeries',
    ])
    expect(text).toContain('server.grpcPort: write off, or a whole number from 0 to 65535')
  })

  it('says what belongs where something else stands', () => {
    const wrong = { data: { indexRetention: null }, ingest: { maxQueuedBytes: true }, kernels: 7 }
    const text = complaint(() => parseConfig({ ...wrong, sources: { host: { enabled: 'yes' } } }))
    expect(text).toContain('data.indexRetention: write a duration such as')
    expect(text).toContain('ingest.maxQueuedBytes: write a size such as')
    expect(text).toContain('sources.host.enabled: write true or false')
  })

  // A timer of Node that is told to wait longer than 2^31 ms ends at once: checkpoints were saved without a pause.
  it('refuses times that no timer waits for', () => {
    const long = { every: '5w' }
    const text = complaint(() =>
      parseConfig({
        checkpoint: long,
        sources: { host: long },
        features: { step: '25d' },
        warmup: { limit: '50d' },
      }),
    )
    expect(text.match(/must be at most 24d/g)).toHaveLength(4)
    expect(parseConfig({ checkpoint: { every: '24d' }, features: { retention: '52w' } })).toMatchObject({
      checkpoint: { every: 24 * 86_400_000 },
    })
    expect(complaint(() => parseConfig({ features: { retention: '100000d' } }))).toContain('century')
  })

  it('refuses bodies longer than the journal takes', () => {
    expect(complaint(() => parseConfig({ server: { maxBodyBytes: '1 GiB' } }))).toContain('at most 255 MiB')
  })

  it('refuses a threshold that closes above the one that opens, for all and in rules', () => {
    const thresholds = { openSurprise: 3, closeSurprise: 4 }
    expect(complaint(() => parseConfig({ detection: thresholds }, { file: 'f.yaml' }))).toBe(
      'f.yaml: detection.closeSurprise: must be at most openSurprise',
    )
    const rules = [{ metric: 'a' }, { metric: 'b', ...thresholds }]
    expect(complaint(() => parseConfig({ detection: { rules } }))).toContain(
      'detection.rules.1.closeSurprise: must be at most openSurprise',
    )
    expect(parseConfig({ detection: { openSurprise: 4, closeSurprise: 4 } }).detection.closeSurprise).toBe(4)
    expect(parseConfig({ detection: { closeSurprise: 9 } }).detection.closeSurprise).toBe(9)
  })

  it('refuses names of tenants that no header can name, in keys, windows and quotas', () => {
    const key = { name: 'a', hash: `sha256:${'0'.repeat(64)}`, scopes: ['read'] }
    const window = { name: 'upgrade', entity: '*', from: '2026-11-20' }
    for (const tenant of ['', 'a/b', 'two words', '-', 'x'.repeat(65)]) {
      expect(complaint(() => parseConfig({ auth: { keys: [{ ...key, tenant }] } }))).toMatch(
        /^configuration: auth.keys.0.tenant: must be/,
      )
      expect(complaint(() => parseConfig({ maintenance: [{ ...window, tenant }] }))).toMatch(
        /maintenance.0.tenant: must be/,
      )
      expect(complaint(() => parseConfig({ tenants: { [tenant]: {} } }))).toMatch(
        /tenants.*must be the name of a tenant, or \*/,
      )
    }
    const all = { auth: { keys: [{ ...key, tenant: 'a.b-c_1' }] }, tenants: { '*': {}, acme: {} } }
    expect(parseConfig(all).auth.keys[0].tenant).toBe('a.b-c_1')
  })

  it('takes durations as whole milliseconds', () => {
    expect(parseConfig({ features: { step: '1000.4ms' } }).features.step).toBe(1000)
    expect(complaint(() => parseConfig({ features: { step: '0.4ms' } }))).toContain('longer than nothing')
  })

  it.each(['hello', 7, [1]])('refuses a file that is only %j, whatever the environment says', written => {
    const environment = { FORESHOCK_SERVER_PORT: '1' }
    expect(complaint(() => parseConfig(written, { file: 'f.yaml', environment }))).toMatch(
      /f\.yaml: top level: write keys and values/,
    )
  })

  it('refuses a file that is missing or not YAML, by name', () => {
    const folder = mkdtempSync(join(tmpdir(), 'foreshock-config-'))
    const file = join(folder, 'bad.yaml')
    writeFileSync(file, 'a: [1,\n')
    expect(complaint(() => loadConfig({ file, environment: {} }))).toContain('bad.yaml: not YAML')
    expect(complaint(() => loadConfig({ file: join(folder, 'none.yaml'), environment: {} }))).toContain(
      'cannot be read',
    )
  })

  it('shows no secrets', () => {
    const config = parseConfig({
      auth: { keys: [{ name: 'a', hash: `sha256:${'0'.repeat(64)}`, scopes: ['read'] }] },
      sinks: { webhooks: [{ url: 'https://example.com/x', secret: 'whsec_abc' }] },
    })
    expect(JSON.stringify(shownConfig(config))).not.toMatch(/whsec_|sha256:0/)
  })

  it('shows no passwords that stand in addresses, and the addresses', () => {
    const config = parseConfig({
      sinks: {
        webhooks: [{ url: 'https://hook:hidden@example.com/x', secret: 'whsec_abc' }],
        alertmanagers: [{ url: 'http://alert:hidden@example.com:9093' }],
      },
      warmup: { prometheus: { url: 'http://prom:hidden@example.com:9090/prometheus' } },
      cluster: {
        kafka: { brokers: ['example.com:9092'] },
        redis: { url: 'redis://:hidden@example.com:6379/0' },
        postgres: {
          url: 'postgres://user:hidden@example.com:5432/foreshock?password=hidden&sslmode=require',
        },
      },
    })
    const shown = JSON.stringify(shownConfig(config))
    expect(shown).not.toContain('hidden@')
    expect(shown).not.toContain('password=hidden')
    expect(shown).toContain('example.com:6379/0')
    expect(shown).toContain('example.com:5432/foreshock')
    expect(shown).toContain('sslmode=require')
    expect(shown).toContain('example.com:9090/prometheus')
  })
})
