// Shows the built-in page in a real browser (Debian's chromium): it lists the board, charts the evidence, follows
// events as they come and after a restart of the service, can be used by keyboard, never turns data into markup,
// loads nothing from elsewhere, and says so honestly when nothing is wrong. Skipped where there is no chromium.
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { buildServer } from '../../src/serve/server.ts'
import {
  addHistory,
  addSeries,
  disruption,
  event,
  listen,
  NOW_MS,
  type Running,
  type World,
  world,
} from './world.ts'

const CHROMIUM = '/usr/bin/chromium'
const there = existsSync(CHROMIUM)
if (!there) process.stderr.write(`page.test.ts is skipped: there is no ${CHROMIUM}\n`)

let browser: Browser
let page: Page
let here: World
let server: Running
let asked: string[]
let complaints: string[]

beforeAll(async () => {
  if (!there) return
  const args = ['--no-sandbox', '--disable-gpu', '--disable-background-networking']
  browser = await chromium.launch({ executablePath: CHROMIUM, args })
})
afterAll(() => browser?.close())
beforeEach(async () => {
  if (!there) return
  here = world()
  addHistory(here, addSeries(here, 'latency_seconds:p99', { service: 'checkout' }), 0.46, 4, 130)
  server = await listen(here.deps)
  page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
  asked = []
  complaints = []
  page.on('request', request => asked.push(request.url()))
  page.on('pageerror', error => complaints.push(error.message))
  page.on('console', message => {
    if (message.type() === 'error' && !message.text().includes('401')) complaints.push(message.text())
  })
})
afterEach(async () => {
  if (!there) return
  await page.close()
  await server.close()
})

describe.skipIf(!there)('the page', () => {
  it('says honestly that nothing is disrupted, or that nothing is sent', async () => {
    await page.goto(server.url)
    await page.getByText('Nothing is disrupted').waitFor()
    await page.getByText('Watching 1 series').waitFor()
    here.series.evict(0)
    await page.reload()
    await page.getByText('No data yet').waitFor()
    await page.getByText(`${server.url}/api/v1/write`).waitFor()
    expect(complaints).toEqual([])
  })

  it('shows the board, its causes, rank parts and a chart that has been drawn, all from this host', async () => {
    here.board.push(
      disruption('dis_a', {
        changes: [
          {
            id: 'c',
            time: new Date(NOW_MS).toISOString(),
            entity: 'payments',
            kind: 'deploy',
            ref: 'v2.4.1',
          },
        ],
      }),
    )
    await page.goto(server.url)
    await page.getByRole('heading', { name: /checkout latency p99/ }).waitFor()
    await page.getByText('deploy v2.4.1 3 min before').waitFor()
    await page.getByRole('rowheader', { name: 'persistence' }).waitFor()
    await page.getByText('360 windows of 10 s').waitFor()
    // The chart is a picture: it is there when it has many colours.
    const colours = await page.locator('#chart canvas').evaluate(node => {
      const canvas = node as unknown as { width: number; height: number; getContext(kind: '2d'): never }
      const context = canvas.getContext('2d') as {
        getImageData(x: number, y: number, w: number, h: number): { data: Uint8ClampedArray }
      }
      const { data } = context.getImageData(0, 0, canvas.width, canvas.height)
      const seen = new Set<number>()
      for (let i = 0; i < data.length; i += 4)
        seen.add((data[i] << 24) | (data[i + 1] << 16) | (data[i + 2] << 8) | data[i + 3])
      return seen.size
    })
    expect(colours).toBeGreaterThan(20)
    expect(asked.filter(url => !url.startsWith(server.url) && !url.startsWith('data:'))).toEqual([])
    expect(complaints).toEqual([])
  })

  it('follows events without a reload, and goes on after the service was away', async () => {
    await page.goto(server.url)
    await page.getByText('live', { exact: true }).waitFor()
    here.board.push(disruption('dis_a'))
    here.feed.publish(event(here.board[0]))
    await page
      .getByRole('button', { name: /checkout latency p99/ })
      .first()
      .waitFor({ timeout: 5000 })
    await server.close()
    await page.getByText('reconnecting…').waitFor()
    here.board.push(disruption('dis_b', { rank: 2, title: 'search is slow', entities: ['search'] }))
    const again = await buildServer(here.deps, {})
    await again.listen({ host: '127.0.0.1', port: Number(new URL(server.url).port) })
    server = { url: server.url, close: () => again.close() }
    await page.getByRole('button', { name: /search is slow/ }).waitFor({ timeout: 15_000 })
    await page.getByText('live', { exact: true }).waitFor()
  })

  it('says so when what is chosen cannot be read', async () => {
    here.board.push(disruption('dis_a'), disruption('dis_b', { rank: 2 }))
    await page.goto(server.url)
    await page.getByText('360 windows of 10 s').waitFor()
    await page.route('**/api/disruptions/dis_b/**', route =>
      route.fulfill({
        status: 503,
        contentType: 'application/problem+json',
        body: '{"detail":"away for now"}',
      }),
    )
    await page.locator('[data-id="dis_b"]').click()
    await page.getByText('away for now').waitFor()
    expect(complaints.filter(text => !text.includes('503'))).toEqual([])
  })

  it('is used by keyboard', async () => {
    here.board.push(disruption('dis_a'), disruption('dis_b', { rank: 2, title: 'search is slow' }))
    await page.goto(server.url)
    await page.getByRole('heading', { name: /checkout latency p99/ }).waitFor()
    await page.keyboard.press('j')
    await page.getByRole('heading', { name: 'search is slow' }).waitFor()
    const focused = await page.evaluate('document.activeElement.getAttribute("data-id")')
    expect(focused).toBe('dis_b')
    await page.keyboard.press('k')
    await page.getByRole('heading', { name: /checkout latency p99/ }).waitFor()
  })

  it('shows which disruptions merged or parted, and goes to those on the board', async () => {
    const related = [
      { id: 'dis_b', relation: 'split-off' },
      { id: 'dis_gone', relation: 'merged-from' },
    ] as const
    here.board.push(
      disruption('dis_a', { related: [...related] }),
      disruption('dis_b', {
        rank: 2,
        title: 'search is slow',
        related: [{ id: 'dis_a', relation: 'split-from' }],
      }),
    )
    await page.goto(server.url)
    await page.getByRole('heading', { name: 'Related disruptions' }).waitFor()
    await page.getByText('Turned out to contain dis_gone').waitFor()
    await page.locator('[data-related="dis_b"]').click()
    await page.getByRole('heading', { name: 'search is slow' }).waitFor()
    await page.getByText('Was told apart from', { exact: false }).waitFor()
    await page.locator('[data-related="dis_a"]').click()
    await page.getByRole('heading', { name: /checkout latency p99/ }).waitFor()
    expect(complaints).toEqual([])
  })

  it('shows markup in data as text', async () => {
    const evil = '<img src=x onerror="document.title=1"><script>document.title=1</script>'
    const one = disruption('dis_<b>', { title: evil, why: [evil], entity: evil, entities: [evil] })
    here.board.push({ ...one, evidence: [{ ...one.evidence[0], why: [evil], entity: evil }] })
    await page.goto(server.url)
    await page.getByRole('heading', { name: evil }).waitFor()
    expect(await page.locator('main img, main script').count()).toBe(0)
    expect(await page.title()).toBe('(1) Foreshock')
  })

  it('asks for a key where one is needed and works with it', async () => {
    await server.close()
    here.board.push(disruption('dis_a'))
    const hash = `sha256:${createHash('sha256').update('the-key').digest('hex')}`
    server = await listen(here.deps, { keys: [{ id: 'k', hash, scopes: ['read'] }] })
    await page.goto(server.url)
    await page.getByLabel(/API key/).fill('the-key')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: /checkout latency p99/ }).waitFor()
    await page.getByText('live', { exact: true }).waitFor()
  })

  it('fits a telephone, and the API documentation renders under the same policy', async () => {
    here.board.push(disruption('dis_a'))
    await page.setViewportSize({ width: 380, height: 800 })
    await page.goto(server.url)
    await page.getByText('360 windows of 10 s').waitFor()
    const width = await page.evaluate('document.documentElement.scrollWidth')
    expect(width).toBeLessThanOrEqual(380)
    await page.goto(`${server.url}/docs`)
    await page.getByText('/api/disruptions/{id}/evidence').first().waitFor()
    expect(asked.filter(url => !url.startsWith(server.url) && !/^(data|blob):/.test(url))).toEqual([])
  })
})
