// Shows a stock Prometheus at work: it scrapes a real node exporter every second and writes to a real service with
// the lines that the README shows; CPU rates and load appear as series, windows are scored, the service counts the
// samples, and nothing is refused without a reason that is expected.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { parse } from 'yaml'
import { nodeExporter, prometheus } from '../peers/peers.ts'
import { getJson, type RunningService, remove, startForeshock, until } from './service.ts'

/** A peer may have to be installed first. */
const INSTALL_MS = 900_000
const WRITE_2_SINCE = [2, 55]

interface SeriesItem {
  readonly key: string
  readonly metric: string
  readonly entity: string
}

let service: RunningService | undefined
afterEach(async () => {
  await service?.kill()
  if (service) remove(service.folder)
})

/** The remote write entry of the README, sent to this service. */
function readmeEntry(url: string): { url: string } & Record<string, unknown> {
  const readme = readFileSync(resolve(import.meta.dirname, '../../README.md'), 'utf8')
  const block = /```yaml\n(# prometheus\.yml\n[\s\S]*?)```/.exec(readme)
  if (!block) throw new Error('README shows no prometheus.yml')
  const { remote_write } = parse(block[1]) as { remote_write: { url: string }[] }
  expect(remote_write.length).toBe(1)
  return { ...remote_write[0], url: remote_write[0].url.replace('http://127.0.0.1:4318', url) }
}

/** Labels → value of one of the service's own metrics. */
async function own(url: string, metric: string): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const found = text.matchAll(new RegExp(`^${metric}(?:\\{([^}]*)\\})? (\\S+)$`, 'gm'))
  return new Map([...found].map(([, labels, value]) => [labels ?? '', Number(value)]))
}

async function remoteWrite(
  context: Parameters<typeof prometheus>[0],
  more: readonly string[],
  kind: string,
): Promise<void> {
  service = await startForeshock({ features: { step: '2s' }, log: { level: 'warn' } })
  const { url } = service
  const { url: writeUrl, ...rest } = readmeEntry(url)
  expect(writeUrl).toBe(`${url}/api/v1/write`)
  expect(rest).toEqual({})
  const exporter = await nodeExporter(context)
  const peer = await prometheus(context, {
    scrape: { node: new URL(exporter.url).host },
    remoteWriteUrl: writeUrl,
    remoteWriteMore: more,
  })
  const series = await until('the CPU and the load appear', async () => {
    const { items } = await getJson<{ items: SeriesItem[] }>(`${url}/api/series?limit=1000`)
    const cpu = items.find(item => item.metric.startsWith('node_cpu') && item.metric.endsWith(':rate'))
    const load = items.find(item => item.metric === 'node_load1')
    return cpu && load && { cpu, load }
  })
  expect(series.cpu.entity).toBe('node')
  for (const { key } of Object.values(series)) {
    await until(`windows of ${key}`, async () => {
      const scores = await getJson<{ columns: { observed: (number | null)[] } }>(
        `${url}/api/series/${encodeURIComponent(key)}/scores`,
      )
      return scores.columns.observed.filter(value => value !== null).length >= 3
    })
  }
  expect((await own(url, 'foreshock_windows_total')).get('')).toBeGreaterThan(1000)
  expect((await own(url, 'foreshock_samples_total')).get(`kind="${kind}"`)).toBeGreaterThan(1000)
  const rejects = await own(url, 'foreshock_rejects_total')
  const { recent } = await getJson<{ recent: unknown[] }>(`${url}/api/rejects`)
  expect({ rejects: Object.fromEntries(rejects), recent }).toEqual({ rejects: {}, recent: [] })
  expect(peer.output()).not.toMatch(/non-recoverable|level=error/)
}

it('remote write 1.0 as the README shows it', { timeout: INSTALL_MS }, context =>
  remoteWrite(context, [], 'remote-write-1'),
)

it('remote write 2.0', { timeout: INSTALL_MS }, async context => {
  const exporter = await nodeExporter(context)
  const probe = await prometheus(context, { scrape: { node: new URL(exporter.url).host } })
  const { data } = await getJson<{ data: { version: string } }>(`${probe.url}/api/v1/status/buildinfo`)
  await probe.stop()
  const [major, minor] = data.version.split('.').map(Number)
  if (major < WRITE_2_SINCE[0] || (major === WRITE_2_SINCE[0] && minor < WRITE_2_SINCE[1])) {
    const text = `Prometheus ${data.version} cannot write 2.0, which came with ${WRITE_2_SINCE.join('.')}`
    process.stderr.write(`SKIPPED ${context.task.name}: ${text}\n`)
    context.skip(text)
  }
  await remoteWrite(context, ['protobuf_message: io.prometheus.write.v2.Request'], 'remote-write-2')
})
