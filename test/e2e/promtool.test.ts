// Shows that Prometheus' own client reads what Foreshock computes: promtool asks a running service for observed and
// expected values, a range of scores, series and labels, and is told what is not spoken.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { peerPath } from '../peers/peers.ts'
import { type RunningService, remove, startForeshock, until } from './service.ts'

const run = promisify(execFile)
const INSTALL_MS = 900_000

let service: RunningService
let timer: NodeJS.Timeout
beforeAll(async () => {
  service = await startForeshock({ features: { step: '1s' }, log: { level: 'warn' } })
  const send = async () => {
    const lines = ['checkout', 'payments'].map((name, i) =>
      JSON.stringify({
        time: new Date().toISOString(),
        metric: 'latency_seconds',
        labels: { service: name },
        value: i + 1 + Math.random() / 10,
      }),
    )
    await fetch(`${service.url}/api/samples`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines.join('\n'),
    }).catch(() => undefined)
  }
  timer = setInterval(send, 250)
})
afterAll(async () => {
  clearInterval(timer)
  await service.kill()
  remove(service.folder)
})

it('promtool queries it as it would a Prometheus', { timeout: INSTALL_MS }, async context => {
  const promtool = await peerPath('promtool', context)
  const query = async (...args: string[]) => (await run(promtool, ['query', ...args])).stdout
  const observed = await until('values', async () => {
    const text = await query('instant', service.url, 'y{for="latency_seconds",entity=~"check.*"}')
    return text.includes('checkout') && text
  })
  expect(observed).toMatch(/^y\{entity="checkout", for="latency_seconds", service="checkout"\} => 1\.\d+ @\[/)
  const now = Date.now() / 1000
  const range = await query('range', `--start=${now - 10}`, `--end=${now}`, '--step=1s', service.url, 'y')
  expect(range.match(/^y\{/gm)).toHaveLength(2)
  const series = await query('series', '--match=y', service.url)
  expect(series.trim().split('\n')).toHaveLength(2)
  expect((await query('labels', service.url, 'entity')).trim().split('\n')).toEqual(['checkout', 'payments'])
  await expect(query('instant', service.url, 'sum(y)')).rejects.toThrow(/function or aggregation/)
})
