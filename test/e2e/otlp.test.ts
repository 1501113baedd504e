// Shows that the official OpenTelemetry SDK exporter, as users configure it, writes to the service: its counters
// become rates, its histograms quantiles, its resource the entity.
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { getJson, type RunningService, remove, startForeshock, until } from './service.ts'

interface SeriesItem {
  key: string
  metric: string
  entity: string
  unit: string
  kind: string
}

describe('OpenTelemetry SDK', () => {
  let service: RunningService
  beforeAll(async () => {
    service = await startForeshock({ features: { step: '1s' }, log: { level: 'warn' } })
  })
  afterAll(async () => {
    await service.kill()
    remove(service.folder)
  })

  it('writes counters, gauges and histograms over OTLP/HTTP protobuf', async () => {
    const provider = new MeterProvider({
      resource: resourceFromAttributes({ 'service.name': 'checkout', 'service.instance.id': 'a' }),
      readers: [
        new PeriodicExportingMetricReader({
          exporter: new OTLPMetricExporter({ url: `${service.url}/v1/metrics` }),
          exportIntervalMillis: 500,
          exportTimeoutMillis: 400,
        }),
      ],
    })
    const meter = provider.getMeter('test')
    const requests = meter.createCounter('http.server.requests')
    const duration = meter.createHistogram('http.server.request.duration', { unit: 's' })
    const pool = meter.createUpDownCounter('pool.in_use')
    const timer = setInterval(() => {
      requests.add(10)
      pool.add(Math.random() < 0.5 ? 1 : -1)
      for (let i = 0; i < 10; i++) duration.record(0.05 + 0.01 * Math.random())
    }, 100)
    try {
      const items = await until('quantiles and rates appear', async () => {
        const { items } = await getJson<{ items: SeriesItem[] }>(
          `${service.url}/api/series?entity=checkout&limit=100`,
        )
        const metrics = items.map(item => item.metric)
        return (
          ['http_server_request_duration:p99', 'http_server_requests:rate', 'pool_in_use'].every(name =>
            metrics.includes(name),
          ) && items
        )
      })
      const p99 = items.find(item => item.metric === 'http_server_request_duration:p99')!
      expect(p99).toMatchObject({ entity: 'checkout', unit: 's', kind: 'latency' })
      const rate = items.find(item => item.metric === 'http_server_requests:rate')!
      const observed = await until('windows of the rate', async () => {
        const scores = await getJson<{ columns: { observed: (number | null)[] } }>(
          `${service.url}/api/series/${encodeURIComponent(rate.key)}/scores`,
        )
        const values = scores.columns.observed.filter(value => value !== null)
        return values.length >= 3 && values
      })
      // 100 a second, give or take what a busy machine does to a timer.
      for (const value of observed) expect(value).toBeGreaterThan(30)
      for (const value of observed) expect(value).toBeLessThan(200)
    } finally {
      clearInterval(timer)
      await provider.shutdown()
    }
  })
})
