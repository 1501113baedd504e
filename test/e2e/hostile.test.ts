// Shows that a running service outlives hostile senders: malformed, huge and exploding bodies on every route,
// clocks that are wrong, duplicates, a burst of a hundred thousand series against a small cap, bodies that never
// end, SIGTERM under load, and a full disk. What it refuses it counts by reason; afterwards it works as before.
import { spawnSync } from 'node:child_process'
import { connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import snappy from 'snappyjs'
import { afterEach, describe, expect, it } from 'vitest'
import { withSmallDisk } from '../peers/small-disk.ts'
import { seeded } from './fleet.ts'
import { getJson, type RunningService, remove, startForeshock, until } from './service.ts'

const CONFIG = { features: { step: '1s' }, log: { level: 'error' } } as const

let service: RunningService | undefined
afterEach(async () => {
  await service?.kill()
  if (service) remove(service.folder)
  service = undefined
})

const PROTO = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' }
const PROTO_2 = { ...PROTO, 'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request' }
const LINES = { 'content-type': 'application/x-ndjson' }
const ROUTES: readonly (readonly [string, Record<string, string>])[] = [
  ['/api/v1/write', PROTO],
  ['/api/v1/write', PROTO_2],
  ['/v1/metrics', { 'content-type': 'application/x-protobuf' }],
  ['/v1/metrics', { 'content-type': 'application/x-protobuf', 'content-encoding': 'gzip' }],
  ['/v1/metrics', { 'content-type': 'application/json' }],
  ['/api/samples', LINES],
  ['/api/samples', { ...LINES, 'content-encoding': 'gzip' }],
  ['/api/changes', { 'content-type': 'application/json' }],
  ['/api/changes', { 'content-type': 'application/cloudevents+json' }],
]

/** The status; 0 when no answer came. */
async function post(url: string, path: string, headers: Record<string, string>, body: Buffer | string) {
  const sent = typeof body === 'string' ? body : new Uint8Array(body)
  try {
    const answer = await fetch(url + path, { method: 'POST', headers, body: sent })
    return { status: answer.status, text: await answer.text() }
  } catch {
    return { status: 0, text: '' }
  }
}

const line = (time: number, metric: string, service: string, value: number) =>
  JSON.stringify({ time, metric, labels: { service }, value })

async function stillWorks(url: string): Promise<void> {
  expect((await fetch(`${url}/livez`)).status).toBe(200)
  const answer = await post(url, '/api/samples', LINES, line(Date.now(), 'alive', 'probe', 1))
  expect(answer).toMatchObject({ status: 200 })
  expect(JSON.parse(answer.text)).toMatchObject({ samples: 1, rejected: 0 })
}

async function rejects(url: string): Promise<Record<string, number>> {
  return (await getJson<{ counts: Record<string, number> }>(`${url}/api/rejects`)).counts
}

async function residentBytes(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(/^process_resident_memory_bytes (\S+)$/m.exec(text)?.[1])
}

describe('a running service', () => {
  it('refuses malformed, huge and exploding bodies on every route', {
    timeout: 40_000,
  }, async () => {
    service = await startForeshock({ ...CONFIG, server: { maxBodyBytes: '8 MiB' } })
    const { url } = service
    const random = seeded(11)
    const noise = Buffer.from(Array.from({ length: 3000 }, () => Math.floor(random() * 256)))
    const zeros = Buffer.alloc(600 * 1_048_576)
    const gzipBomb = gzipSync(zeros.subarray(0, 300 * 1_048_576), { level: 9 })
    // A snappy block that promises 4 GiB.
    const snappyLie = Buffer.concat([Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]), noise])
    const snappyBomb = Buffer.from(snappy.compress(zeros.subarray(0, 80 * 1_048_576)))
    const deep = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`
    const bodies: readonly (Buffer | string)[] = [
      noise,
      deep,
      '{"time":',
      gzipBomb,
      snappyLie,
      snappyBomb,
      Buffer.from(snappy.compress(noise)),
      gzipSync(noise),
      gzipSync(noise).subarray(0, 100),
    ]
    const before = await residentBytes(url)
    for (const [path, headers] of ROUTES) {
      for (const body of bodies) {
        const { status, text } = await post(url, path, headers, body)
        const where = `${path} ${JSON.stringify(headers)} body ${bodies.indexOf(body)}`
        // OTLP receivers must pass over fields they do not know: nothing but those is an empty request.
        if (body === deep && path === '/v1/metrics' && headers['content-type'] === 'application/json') {
          expect({ status, text }, where).toEqual({ status: 200, text: '{}' })
          continue
        }
        const isBomb = body === gzipBomb || body === snappyLie || body === snappyBomb
        expect(status, where).toBeGreaterThanOrEqual(400)
        expect(status, where).toBeLessThanOrEqual(isBomb ? 413 : 415)
      }
      const { status } = await post(url, path, headers, zeros.subarray(0, 9 * 1_048_576))
      expect(status).toBe(413)
      const odd = await post(url, path, { 'content-type': 'text/html' }, '<html>')
      expect(odd.status).toBe(415)
    }
    expect((await residentBytes(url)) - before).toBeLessThan(300 * 1_048_576)
    expect((await getJson<{ series: number }>(`${url}/api/status`)).series).toBe(0)
    expect((await getJson<{ items: unknown[] }>(`${url}/api/changes`)).items).toEqual([])
    await stillWorks(url)
    expect(service.child.exitCode).toBe(null)
  })

  it('counts samples of wrong clocks by reason and takes duplicates once', { timeout: 40_000 }, async () => {
    service = await startForeshock(CONFIG)
    const { url } = service
    const now = Date.now()
    const all: string[] = []
    for (let i = 30; i > 0; i--) all.push(line(now - i * 1000, 'm', 'a', i))
    await post(url, '/api/samples', LINES, all.join('\n'))
    await post(url, '/api/samples', LINES, all.slice(-1).join('\n'))
    const bad = [
      line(now + 3_600_000, 'm', 'a', 1),
      line(now + 1e15, 'm', 'a', 1),
      line(now - 400 * 86_400_000, 'm', 'a', 1),
      line(1, 'm', 'a', 1),
      '{"time":"yesterday","metric":"m","labels":{},"value":1}',
    ]
    for (const one of bad) {
      const { status } = await post(url, '/api/samples', LINES, one)
      expect(status).toBeLessThan(500)
    }
    await until('each is counted', async () => {
      const counts = await rejects(url)
      return Object.values(counts).reduce((sum, n) => sum + n, 0) >= bad.length
    })
    const reasons = Object.keys(await rejects(url))
    expect(reasons.some(reason => reason.includes('future'))).toBe(true)
    expect(reasons.some(reason => reason.includes('late'))).toBe(true)
    await stillWorks(url)
    const { columns } = await getJson<{ columns: { timeMs: number[] } }>(
      `${url}/api/series/${encodeURIComponent('m{service="a"}')}/scores?limit=1000`,
    )
    expect(columns.timeMs.every(time => time > now - 60_000 && time < Date.now() + 10_000)).toBe(true)
    expect(new Set(columns.timeMs).size).toBe(columns.timeMs.length)
  })

  it('holds a burst of 100 000 series at its cap', { timeout: 40_000 }, async () => {
    service = await startForeshock({ ...CONFIG, ingest: { maxSeries: 2000 } })
    const { url } = service
    const body = (from: number) =>
      Array.from({ length: 10_000 }, (_, i) => line(Date.now(), 'burst', `s${from + i}`, 1)).join('\n')
    await post(url, '/api/samples', LINES, body(0))
    const before = await residentBytes(url)
    for (let from = 10_000; from < 100_000; from += 10_000) {
      const { status, text } = await post(url, '/api/samples', LINES, body(from))
      expect([200, 400, 429]).toContain(status)
      expect(text).toMatch(/series/)
    }
    const counts = await rejects(url)
    const refused = Object.entries(counts).filter(([reason]) => reason.includes('series'))
    expect(refused.reduce((sum, [, n]) => sum + n, 0)).toBe(98_000)
    const text = await (await fetch(`${url}/metrics`)).text()
    expect(Number(/^foreshock_series (\d+)$/m.exec(text)?.[1])).toBeLessThanOrEqual(2000)
    expect((await residentBytes(url)) - before).toBeLessThan(150 * 1_048_576)
    expect((await fetch(`${url}/livez`)).status).toBe(200)
  })

  it('is not held up by bodies that never end', { timeout: 40_000 }, async () => {
    service = await startForeshock(CONFIG)
    const { url } = service
    const { port } = new URL(url)
    const slow = Array.from({ length: 200 }, (_, i) => {
      const socket = connect(Number(port), '127.0.0.1')
      socket.on('error', () => {})
      const [path, headers] = ROUTES[i % ROUTES.length]
      const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
      socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\n${head.join('')}content-length: 100000\r\n\r\n{"t`)
      return socket
    })
    const halfHeads = Array.from({ length: 50 }, () => {
      const socket = connect(Number(port), '127.0.0.1')
      socket.on('error', () => {})
      socket.write('POST /api/samples HTTP/1.1\r\nhost: x\r\nx-')
      return socket
    })
    await wait(300)
    const started = performance.now()
    for (let i = 0; i < 20; i++) await stillWorks(url)
    expect(performance.now() - started).toBeLessThan(10_000)
    // Half of them give up in the middle; the other half is there when the service is told to stop.
    for (const socket of slow.slice(0, 100)) socket.destroy()
    await stillWorks(url)
    const stopping = performance.now()
    expect(await service.stop()).toBe(0)
    expect(performance.now() - stopping).toBeLessThan(15_000)
    for (const socket of [...slow, ...halfHeads]) socket.destroy()
  })

  it('drains what it took when it is stopped under load', { timeout: 40_000 }, async () => {
    service = await startForeshock(CONFIG)
    const { url, folder } = service
    let acknowledged = 0
    let stopped = false
    const from = Date.now() - 100_000
    let next = 0
    const sender = async () => {
      while (!stopped) {
        const i = next++
        const { status } = await post(url, '/api/samples', LINES, line(from + i * 10, `load`, `s${i}`, i))
        if (status === 200) acknowledged++
        else if (status === 0 || status >= 429) return
      }
    }
    const senders = Array.from({ length: 8 }, sender)
    await wait(1500)
    expect(await service.stop()).toBe(0)
    stopped = true
    await Promise.all(senders)
    expect(acknowledged).toBeGreaterThan(50)
    service = await startForeshock(CONFIG, folder)
    const status = await getJson<{ series: number }>(`${service.url}/api/status`)
    // A series a sample: every one that was acknowledged is there, and at most those under way besides.
    expect(status.series).toBeGreaterThanOrEqual(acknowledged)
    expect(status.series).toBeLessThanOrEqual(acknowledged + senders.length)
  })

  it('answers 5xx on a full disk and works again when there is room', { timeout: 40_000 }, async context => {
    const mounted = await withSmallDisk(6 * 1_048_576, async dir => {
      service = await startForeshock({ ...CONFIG, checkpoint: { every: '1h' } }, dir)
      const { url } = service
      await stillWorks(url)
      const filler = Array.from({ length: 3000 }, (_, i) => line(Date.now(), 'fill', `s${i % 50}`, i)).join(
        '\n',
      )
      const refused = await until('the disk is full', async () => {
        const answer = await post(url, '/api/samples', LINES, filler)
        return answer.status !== 200 && answer
      })
      expect(refused.status).toBe(503)
      expect(refused.text).toContain('FS_IO')
      expect((await fetch(`${url}/livez`)).status).toBe(200)
      expect(spawnSync('mount', ['-o', 'remount,size=64m', dir]).status).toBe(0)
      await until('it takes samples again', async () => {
        const answer = await post(url, '/api/samples', LINES, line(Date.now(), 'after', 'probe', 1))
        return answer.status === 200
      })
      expect(await service.stop()).toBe(0)
      service = await startForeshock({ ...CONFIG, checkpoint: { every: '1h' } }, dir)
      await stillWorks(service.url)
      const { items } = await getJson<{ items: { metric: string }[] }>(`${service.url}/api/series?limit=1000`)
      expect(items.map(item => item.metric)).toContain('after')
      await service.kill()
    })
    if (!mounted) {
      process.stderr.write(`SKIPPED ${context.task.name}: no tmpfs can be mounted here\n`)
      context.skip('no tmpfs can be mounted here')
    }
  })
})
