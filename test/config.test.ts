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
})
