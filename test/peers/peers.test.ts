// Shows that the peers which other tests rely on are real and run: a Prometheus scrapes a node exporter, an
// Alertmanager answers, a Chromium shows a page, and a peer that cannot be had is named.
import { setTimeout as wait } from 'node:timers/promises'
import { chromium as playwright } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { alertmanager, chromium, nodeExporter, peerPath, prometheus } from './peers.ts'

const INSTALL_MS = 900_000

describe('peers', () => {
  it('Prometheus scrapes a node exporter', { timeout: INSTALL_MS }, async context => {
    const exporter = await nodeExporter(context)
    const server = await prometheus(context, { scrape: { node: new URL(exporter.url).host } })
    for (const end = Date.now() + 20_000; Date.now() < end; await wait(200)) {
      const answer = await fetch(`${server.url}/api/v1/query?query=${encodeURIComponent('up{job="node"}')}`)
      const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } }
      if (data.result[0]?.value[1] === '1') return
    }
    expect.unreachable(`the target never came up:\n${server.output()}`)
  })

  it('Alertmanager answers', { timeout: INSTALL_MS }, async context => {
    const peer = await alertmanager(context)
    const answer = await fetch(`${peer.url}/api/v2/status`)
    expect(await answer.json()).toMatchObject({ cluster: { status: 'disabled' } })
  })

  it('Chromium shows a page', { timeout: INSTALL_MS }, async context => {
    const browser = await playwright.launch(await chromium(context))
    try {
      const page = await browser.newPage()
      await page.goto(
        'data:text/html,<h1>early</h1><script>document.querySelector("h1").append(" warning")</script>',
      )
      expect(await page.textContent('h1')).toBe('early warning')
    } finally {
      await browser.close()
    }
  })

  it('names a peer that cannot be had', async context => {
    const kept = { ...process.env }
    Object.assign(process.env, { FORESHOCK_ALERTMANAGER: '/nowhere', FORESHOCK_REQUIRE_PEERS: '1' })
    try {
      await expect(peerPath('alertmanager', context)).rejects.toThrow(
        'FORESHOCK_ALERTMANAGER=/nowhere is no program',
      )
    } finally {
      for (const name of ['FORESHOCK_ALERTMANAGER', 'FORESHOCK_REQUIRE_PEERS']) {
        if (kept[name] === undefined) delete process.env[name]
        else process.env[name] = kept[name]
      }
    }
  })
})
