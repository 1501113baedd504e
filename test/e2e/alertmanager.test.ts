// Shows a real Alertmanager getting what the service finds: a fault in a fleet becomes an alert there, a silence
// made there shows on the API and on the board, the alert outlives a restart of the service, and ends with the fault.
import { afterEach, expect, it } from 'vitest'
import type { Disruption } from '../../src/core/disruption.ts'
import { alertmanager } from '../peers/peers.ts'
import { disruptions, INCIDENT_CONFIG, Incident } from './incident.ts'
import { getJson, type RunningService, remove, startForeshock, until } from './service.ts'

/** A peer may have to be installed first. */
const INSTALL_MS = 900_000

interface GotAlert {
  readonly labels: Record<string, string>
  readonly annotations: Record<string, string>
  readonly status: { readonly state: string }
}

let service: RunningService | undefined
afterEach(async () => {
  await service?.kill()
  if (service) remove(service.folder)
})

it('opens, shows a silence, survives a restart and resolves', { timeout: INSTALL_MS }, async context => {
  const peer = await alertmanager(context)
  const alerts = () => getJson<GotAlert[]>(`${peer.url}/api/v2/alerts`)
  const config = { ...INCIDENT_CONFIG, sinks: { alertmanagers: [{ url: peer.url }] } }
  service = await startForeshock(config)
  const incident = new Incident(3)
  await incident.learn(service.url)
  expect(await alerts()).toEqual([])
  const opened = await incident.strike(service.url)
  const [alert, ...others] = await until('the alert', async () => {
    const found = await alerts()
    return found.length > 0 && found
  })
  expect(others).toEqual([])
  expect(alert.labels).toMatchObject({ alertname: 'ForeshockDisruption', disruption: opened.id })
  expect(alert.annotations.summary).not.toBe('')
  expect(alert.annotations.suspects).toContain('store')
  expect(alert.status.state).toBe('active')
  expect(opened.silenced).toBe(false)

  const silence = await fetch(`${peer.url}/api/v2/silences`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      matchers: [{ name: 'disruption', value: opened.id, isRegex: false, isEqual: true }],
      startsAt: new Date().toISOString(),
      endsAt: new Date(Date.now() + 600_000).toISOString(),
      createdBy: 'test',
      comment: 'known',
    }),
  })
  expect(silence.status).toBe(200)
  const shown = (url: string) =>
    until('the silence', async () => {
      const { items } = await getJson<{ items: Disruption[] }>(`${url}/api/board`)
      const [listed] = await disruptions(url, 'open')
      return items[0]?.silenced === true && listed?.silenced === true
    })
  await shown(service.url)

  await service.stop()
  service = await startForeshock(config, service.folder)
  await shown(service.url)
  await incident.heal(service.url, opened.id)
  await until('the alert ends', async () => (await alerts()).length === 0)
})
