// Shows a running service with rules, a budget, a calendar and maintenance: what they do is in the API and the metrics,
// hostile values of issue 3 neither crash it nor leave NaN or an endless alert, and a live maintenance window survives
// a crash because it is journaled.
import { afterEach, expect, it } from 'vitest'
import { getJson, type RunningService, remove, startForeshock, until } from './service.ts'

let service: RunningService | undefined
afterEach(async () => {
  await service?.kill()
  if (service) remove(service.folder)
  service = undefined
})

const CONFIG = {
  features: { step: '1s' },
  log: { level: 'error' },
  detection: {
    timeZone: 'Europe/Berlin',
    budget: 5,
    rules: [
      { metric: 'odd*', direction: 'up' },
      { metric: 'never', ignore: true },
    ],
    calendar: [{ name: 'always', from: '2020-01-01', to: '2099-01-01', metric: 'quiet' }],
  },
  maintenance: [
    { name: 'nightly', from: '2026-01-01T02:00', to: '2026-01-01T03:00', every: 'day', entity: 'db' },
  ],
}

/** Values by window: what sensors and exporters really send at their worst. */
const ODD: Readonly<Record<string, (i: number) => number | null>> = {
  constant: () => 5,
  oneValue: i => (i === 3 ? 1 : null),
  huge: i => (i % 2 === 0 ? 1e300 : -1e300),
  subnormal: i => i * 5e-324,
  negative: i => -i,
  step: i => (i < 40 ? 1 : 1e6),
}

it('answers, counts and remembers what is configured and ordered', { timeout: 60_000 }, async () => {
  service = await startForeshock(CONFIG)
  const from = Date.now() - 90_000
  const lines: string[] = []
  for (let i = 0; i < 80; i++) {
    for (const [name, value] of Object.entries(ODD)) {
      const v = value(i)
      const line = JSON.stringify({
        time: from + i * 1000,
        metric: `odd_${name}`,
        labels: { service: 'a' },
        value: v,
      })
      if (v !== null) lines.push(line, ...(i % 10 === 0 ? [line] : []))
    }
    lines.push(
      JSON.stringify({
        time: from + i * 1000,
        metric: 'quiet',
        labels: { service: 'a' },
        value: i < 60 ? 1 + (i % 3) : 1e5,
      }),
    )
  }
  const sent = await fetch(`${service.url}/api/samples`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: lines.join('\n'),
  })
  expect(sent.status).toBe(200)
  type Report = {
    budgets: { promisedPerWeek: number; series: number }[]
    rules: { series: number }[]
    calendar: { windows: number }[]
  }
  const report = await until('windows are judged', async () => {
    const found = await getJson<Report>(`${(service as RunningService).url}/api/detectors`)
    return found.calendar[0]?.windows >= 60 && found
  })
  expect(report.budgets[0]).toMatchObject({ promisedPerWeek: 5, series: 7 })
  expect(report.rules.map(rule => rule.series)).toEqual([6, 0])
  const metrics = await until('gauges are read', async () => {
    const text = await (await fetch(`${(service as RunningService).url}/metrics`)).text()
    // They are read every second, of windows that were judged since too.
    return /foreshock_calendar_windows\{entry="always"\} \d\d/.test(text) && text
  })
  expect(metrics).toContain('foreshock_alerts_promised_per_week{budget="entity"} 5')
  expect(metrics).toMatch(/foreshock_alerts_achieved_per_week\{budget="entity"\} \d/)
  expect(metrics).toMatch(/foreshock_rule_series\{rule="rule 2: never"\} 0/)
  const { items } = await getJson<{ items: { metric: string }[] }>(`${service.url}/api/anomalies?limit=100`)
  expect(items.some(item => item.metric === 'quiet')).toBe(false)
  for (const name of Object.keys(ODD)) {
    const key = encodeURIComponent(`odd_${name}{service="a"}`)
    const { columns } = await getJson<{ columns: { surprise: (number | null)[] } }>(
      `${service.url}/api/series/${key}/scores`,
    )
    expect(columns.surprise.every(one => one === null || (one >= 0 && one <= 12))).toBe(true)
  }
  const body = JSON.stringify({
    name: 'upgrade',
    entity: 'a',
    from: new Date(Date.now() - 60_000).toISOString().slice(0, 16),
    to: '2099-01-01',
  })
  const posted = await fetch(`${service.url}/api/maintenance`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  expect(posted.status).toBe(201)
  const { folder } = service
  await service.kill()
  service = await startForeshock(CONFIG, folder)
  const windows = await getJson<{ items: { name: string; isOn: boolean; by: string }[] }>(
    `${service.url}/api/maintenance`,
  )
  expect(windows.items.map(one => [one.name, one.by])).toEqual([
    ['nightly', 'configuration'],
    ['upgrade', 'anonymous'],
  ])
  expect(windows.items[1].isOn).toBe(true)
})
