// Shows the built-in page of a real service in a real Chromium while a fleet has a real fault: the disruption, its
// cause and the chart of its strongest evidence are there. With FORESHOCK_SCREENSHOT=FILE it leaves the picture that
// the README shows.
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium as playwright } from 'playwright-core'
import { afterEach, expect, it } from 'vitest'
import type { Disruption } from '../../src/core/disruption.ts'
import { chromium } from '../peers/peers.ts'
import { INCIDENT_CONFIG, Incident } from './incident.ts'
import { getJson, type RunningService, remove, startForeshock } from './service.ts'

/** A peer may have to be installed first. */
const INSTALL_MS = 900_000

const folder = mkdtempSync(join(tmpdir(), 'foreshock-page-'))
let service: RunningService | undefined
afterEach(async () => {
  await service?.kill()
  if (service) remove(service.folder)
  rmSync(folder, { recursive: true, force: true })
})

it('shows a real disruption, its suspects and its chart', { timeout: INSTALL_MS }, async context => {
  const settings = await chromium(context)
  service = await startForeshock(INCIDENT_CONFIG)
  const incident = new Incident(5, { extraLatencyS: 0.06, stepsAgo: 50 })
  await incident.learn(service.url)
  const browser = await playwright.launch(settings)
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 1110 } })
    const complaints: string[] = []
    page.on('pageerror', error => complaints.push(error.message))
    page.on('console', message => {
      if (message.type() === 'error') complaints.push(message.text())
    })
    await page.goto(service.url)
    await page.getByText('Nothing is disrupted').waitFor()
    const opened = await incident.strike(service.url)
    // No reload: the event stream brings it as it is now, and again as it grows. A title tells the present state, so the
    // page must show the one that the API gives, not the one it was opened with.
    const title = async () =>
      (await getJson<Disruption>(`${service?.url}/api/disruptions/${opened.id}`)).title
    await page.getByRole('heading', { name: await title(), exact: true }).waitFor()
    await incident.tell(service.url, 40)
    await page.getByRole('heading', { name: await title(), exact: true }).waitFor()
    await page
      .getByText(/^store/)
      .first()
      .waitFor()
    await page.locator('#chart canvas').waitFor()
    await page.waitForFunction(() => {
      const canvas = (
        globalThis as unknown as { document: { querySelector(q: string): unknown } }
      ).document.querySelector('#chart canvas') as {
        width: number
        height: number
        getContext(kind: '2d'): {
          getImageData(x: number, y: number, w: number, h: number): { data: Uint8ClampedArray }
        }
      }
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
      const seen = new Set<number>()
      for (let i = 0; i < data.length; i += 4) seen.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2])
      return seen.size > 20
    })
    expect(complaints).toEqual([])
    const path = process.env.FORESHOCK_SCREENSHOT ?? join(folder, 'page.png')
    await page.screenshot({ path, animations: 'disabled' })
    expect(statSync(path).size).toBeGreaterThan(20_000)
    expect(statSync(path).size).toBeLessThan(300_000)
  } finally {
    await browser.close()
  }
})
