// Shows what GET /api/windows hands out: every window of the recent past that the history holds, as Parquet that another
// reader reads and as JSON lines, narrowed by time, globs and the key's tenant, with what was anomalous marked; that
// exports are bounded in number, and that nonsense is a problem.
import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { parquetReadObjects } from 'hyparquet'
import { describe, expect, it, vi } from 'vitest'
import { publicScore } from '../../src/detectors/severity.ts'
import { addHistory, addSeries, anomaly, disruption, listen, NOW_MS, served, world } from './world.ts'

const ALL = 'all-key-that-is-long-and-random'
const ACME = 'acme-key-that-is-long-and-random'
const hashOf = (key: string) => `sha256:${createHash('sha256').update(key).digest('hex')}`
const STEP_MS = 10_000
/** Of 360 windows, six are a gap that nothing was said of. */
const WINDOWS = 360
const STRANGE = 12

const ask = (query: string, key = ALL) =>
  fetch(`${server.url}/api/windows${query}`, { headers: { authorization: `Bearer ${key}` } })

interface Line {
  readonly time: string
  readonly entity: string
  readonly metric: string
  readonly observed: number | null
  readonly surprise: number
  readonly score: number
  readonly anomalous: boolean
  readonly disruption: string | null
}

async function lines(query: string, key = ALL): Promise<Line[]> {
  const answer = await ask(`?format=ndjson${query}`, key)
  expect(answer.status).toBe(200)
  const text = await answer.text()
  return text === ''
    ? []
    : text
        .trimEnd()
        .split('\n')
        .map(line => JSON.parse(line))
}

const here = world()
const rows = [
  addSeries(here, 'latency_seconds:p99', { service: 'checkout' }),
  addSeries(here, 'requests_total:rate', { service: 'payments' }, { kind: 'traffic', unit: '1/s' }),
  addSeries(here, 'latency_seconds:p99', { service: 'shop' }, { tenant: 'acme' }),
]
for (const row of rows) addHistory(here, row, 0.5, 4, STRANGE)
addSeries(here, 'never_seen', { service: 'checkout' })
const startMs = NOW_MS - STRANGE * STEP_MS
here.anomalies.push(
  anomaly('dis_one-e1', { startMs, detectedMs: startMs + STEP_MS, endMs: NOW_MS - STEP_MS }),
)
here.board.push(disruption('dis_one'))
const server = await served(here.deps, {
  keys: [
    { id: 'all', hash: hashOf(ALL), scopes: ['admin'] },
    { id: 'acme', hash: hashOf(ACME), scopes: ['read'], tenant: 'acme' },
  ],
})

describe('GET /api/windows', () => {
  it('hands out all that the history holds', async () => {
    const found = await lines('')
    expect(found).toHaveLength(3 * WINDOWS)
    const own = found.filter(row => row.entity === 'checkout')
    expect(own).toHaveLength(WINDOWS)
    expect(own.map(row => Date.parse(row.time))).toEqual(
      Array.from({ length: WINDOWS }, (_, i) => NOW_MS - (WINDOWS - 1 - i) * STEP_MS),
    )
    const held = here.history.rows.get(0)!
    for (const [i, row] of own.entries()) {
      expect(row.observed).toBe(Number.isNaN(held.observed[i]) ? null : held.observed[i])
      expect(row.score).toBe(Math.fround(publicScore(held.surprise[i])))
    }
  })

  it('marks what was anomalous, from its start to its last strange window', async () => {
    const found = await lines('&entity=checkout')
    const strange = found.filter(row => row.anomalous)
    expect(strange).toHaveLength(STRANGE - 1)
    expect(Date.parse(strange[0].time)).toBe(NOW_MS - (STRANGE - 1) * STEP_MS)
    expect(new Set(strange.map(row => row.disruption))).toEqual(new Set(['dis_one']))
    expect(found.filter(row => !row.anomalous).every(row => row.disruption === null)).toBe(true)
  })

  it('reads no anomalies of the record that ended before what the history holds', async () => {
    const { index, history } = here.deps
    const anomalies = vi.spyOn(index, 'anomalies')
    await lines('')
    await lines(`&from=${NOW_MS - 2 * STEP_MS}`)
    const asked = anomalies.mock.calls.map(([query]) => query.fromMs)
    anomalies.mockRestore()
    const oldestMs = history.newestEndMs - history.depth * STEP_MS
    expect(asked).toEqual([oldestMs, NOW_MS - 2 * STEP_MS])
  })

  it('narrows by time, globs and tenant', async () => {
    const span = `&from=${NOW_MS - 5 * STEP_MS}&to=${NOW_MS - STEP_MS}`
    expect(await lines(`${span}&entity=check*`)).toHaveLength(4)
    expect(new Set((await lines('&metric=*:rate')).map(row => row.entity))).toEqual(new Set(['payments']))
    expect(await lines('&entity=nobody')).toEqual([])
    expect(new Set((await lines('', ACME)).map(row => row.entity))).toEqual(new Set(['shop']))
  })

  it('writes Parquet that says the same as the lines', async () => {
    const answer = await ask('?entity=checkout')
    expect(answer.headers.get('content-type')).toBe('application/vnd.apache.parquet')
    const found = await parquetReadObjects({ file: await answer.arrayBuffer() })
    const wanted = await lines('&entity=checkout')
    expect(found).toHaveLength(wanted.length)
    for (const [i, row] of wanted.entries()) {
      const { time, observed, surprise, anomalous } = found[i]
      expect([(time as Date).toISOString(), observed, surprise, anomalous]).toEqual([
        row.time,
        row.observed,
        row.surprise,
        row.anomalous,
      ])
    }
  })

  it('looks at series that have a past only, and lets others in while it finds none to tell of', async () => {
    const many = world()
    for (let i = 0; i < 9000; i++) addSeries(many, 'never_seen', { service: `service-${i}` })
    const row = addSeries(many, 'latency_seconds:p99', { service: 'checkout' })
    addHistory(many, row, 0.5, 4, STRANGE)
    const meta = vi.spyOn(many.series, 'meta')
    // Every look at the clock finds it a while later.
    let nowMs = 0
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => {
      nowMs += 10
      return nowMs
    })
    const own = await listen(many.deps)
    let turns = 0
    let isDone = false
    const others = (async () => {
      for (; !isDone; turns++) await setImmediate()
    })()
    const told = async () =>
      (await fetch(`${own.url}/api/windows?format=ndjson&metric=latency*`))
        .text()
        .then(text => text.split('\n'))
    try {
      expect(await told()).toHaveLength(WINDOWS + 1)
      expect(turns).toBeGreaterThan(9000 / 64)
      expect(meta).toHaveBeenCalledTimes(1)
      Object.assign(many.history, { held: () => Uint32Array.of(row) })
      const head = vi.spyOn(many.series, 'head')
      expect(await told()).toHaveLength(WINDOWS + 1)
      expect(head).toHaveBeenCalledTimes(1)
    } finally {
      isDone = true
      await others
      clock.mockRestore()
      await own.close()
    }
  })

  it('answers nonsense and too many at once with problems', async () => {
    for (const query of ['?format=xlsx', '?from=yesterday', '?entity='])
      expect((await ask(query)).status).toBe(400)
    expect((await fetch(`${server.url}/api/windows`)).status).toBe(401)
    const open = await Promise.all(Array.from({ length: 12 }, () => ask('')))
    const statuses = open.map(answer => answer.status)
    await Promise.all(open.map(answer => answer.arrayBuffer()))
    expect(statuses.filter(status => status === 200).length).toBeGreaterThan(0)
    expect(statuses.every(status => status === 200 || status === 503 || status === 429)).toBe(true)
    expect((await ask('')).status).toBe(200)
  })
})
