// Shows a new deployment that learns from files first: it listens at once and says that it is not ready, takes samples
// meanwhile and answers them afterwards, tells nobody of an outage in the past, has opinions with a daily shape in its
// first live window, remembers that it has learned, learns again when asked and when its state no longer fits, and a
// history that cannot be read keeps nothing from starting.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { getJson, type RunningService, remove, startForeshock, temporaryFolder, until } from './service.ts'

const STEP_MS = 5000
const DAYS = 3
const KEY = encodeURIComponent('latency_seconds{service="shop"}')

/** Three days of latency with a daily shape and an outage on the second, up to now. */
function writeHistory(folder: string, untilMs: number): string {
  const file = join(folder, 'history.csv')
  const lines = ['timestamp,shop|latency_seconds,shop|requests_per_second']
  for (let timeMs = untilMs - DAYS * 86_400_000; timeMs < untilMs; timeMs += STEP_MS) {
    const outage = timeMs > untilMs - 1.5 * 86_400_000 && timeMs < untilMs - 1.5 * 86_400_000 + 120_000
    const day = Math.sin((2 * Math.PI * (timeMs % 86_400_000)) / 86_400_000)
    const noise = ((timeMs / STEP_MS) * 7919) % 97
    const latency = (0.3 + 0.1 * day + noise / 10_000) * (outage ? 10 : 1)
    lines.push(`${timeMs},${latency.toFixed(5)},${(80 + 30 * day + noise / 50).toFixed(3)}`)
  }
  writeFileSync(file, `${lines.join('\n')}\n`)
  return file
}

const post = (url: string, timeMs: number, value: number) =>
  fetch(`${url}/api/samples`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: JSON.stringify({ time: timeMs, metric: 'latency_seconds', labels: { service: 'shop' }, value }),
  })

describe('learning from files', () => {
  const folder = temporaryFolder()
  let service: RunningService | undefined
  afterEach(async () => {
    await service?.kill()
    remove(folder)
  })

  it('happens once, before the first live window', { timeout: 180_000 }, async () => {
    mkdirSync(folder, { recursive: true })
    const startMs = Math.floor(Date.now() / STEP_MS) * STEP_MS
    const files = writeHistory(folder, startMs)
    const config = { features: { step: '5s' }, warmup: { files } }
    service = await startForeshock(config, folder)
    const { url } = service
    const busy = await fetch(`${url}/readyz`)
    expect(busy.status).toBe(503)
    expect(await busy.text()).toContain('learning from history')
    expect((await fetch(`${url}/livez`)).status).toBe(200)
    const value = 0.3 + 0.1 * Math.sin((2 * Math.PI * (Date.now() % 86_400_000)) / 86_400_000)
    // Arrives while it learns: waits its turn, then is taken.
    const early = await post(url, Date.now(), value)
    expect(early.status).toBe(200)
    expect(service.logged()).toContain('learned from history')
    await until('ready', async () => (await fetch(`${url}/readyz`)).ok)
    const { columns } = await until('a live window', async () => {
      await post(url, Date.now(), value)
      const answer = await getJson<{
        columns: { timeMs: number[]; observed: (number | null)[]; expected: (number | null)[] }
      }>(`${url}/api/series/${KEY}/scores?limit=10`)
      const last = answer.columns.timeMs.length - 1
      return (
        answer.columns.timeMs[last] > startMs + STEP_MS && answer.columns.observed[last] !== null && answer
      )
    })
    const last = columns.timeMs.length - 1
    expect(Math.abs((columns.expected[last] ?? Number.NaN) - value)).toBeLessThan(0.03)
    for (const what of ['disruptions', 'anomalies'])
      expect(await getJson(`${url}/api/${what}`)).toMatchObject({ items: [] })
    const metrics = await (await fetch(`${url}/metrics`)).text()
    expect(metrics).toContain('foreshock_warm_up_progress 1')
    const all = (2 * DAYS * 86_400_000) / STEP_MS
    expect(metrics).toContain(`foreshock_warm_up_samples_total ${all}`)
    expect(await service.stop()).toBe(0)

    service = await startForeshock(config, folder)
    expect((await fetch(`${service.url}/readyz`)).status).toBe(200)
    expect(service.logged()).not.toContain('learning from history')
    await service.stop()

    // Another step: what was learned cannot serve, so history is learned from again.
    service = await startForeshock({ ...config, features: { step: '10s' } }, folder)
    expect(service.logged()).toContain('learned anew')
    await until('learned', async () => service?.logged().includes('learned from history'))
  })

  it('goes live without a history that cannot be read', { timeout: 60_000 }, async () => {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'bad.csv'), 'timestamp,shop|latency_seconds\nyesterday,1\n')
    service = await startForeshock({ warmup: { files: join(folder, 'bad.csv') } }, folder)
    const { url } = service
    await until('ready', async () => (await fetch(`${url}/readyz`)).ok)
    expect(service.logged()).toContain('history could not be read to its end')
    expect(service.logged()).toContain('bad.csv, row 2')
    expect((await post(url, Date.now(), 1)).status).toBe(200)
  })
})
