import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Attributes } from '@opentelemetry/api'
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  MeterProvider,
  PeriodicExportingMetricReader,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics'
import type { Bounded } from './bounded.ts'
import type { ServiceSettings } from './settings.ts'

/** Resolution of the event loop's delay monitor, ms; it is part of every value that the monitor reads. */
const LOOP_RESOLUTION_MS = 20

/** Bucket bounds from 1 ms to 10 s, a quarter apart: a p99 read from them is off by an eighth at most. */
export function durationBuckets(): number[] {
  const bounds: number[] = []
  for (let bound = 0.001; bound < 10; bound *= 1.25) bounds.push(Number(bound.toPrecision(3)))
  return bounds
}

/** The official exporter, which can fall silent as a frozen process does. */
class InterruptibleExporter extends OTLPMetricExporter {
  silent = false

  override export(metrics: ResourceMetrics, done: Parameters<OTLPMetricExporter['export']>[1]): void {
    if (this.silent) done({ code: 0 })
    else super.export(metrics, done)
  }
}

export interface Telemetry {
  served(seconds: number, failed: boolean): void
  called(target: string, seconds: number, failed: boolean): void
  silence(silent: boolean): void
  /** Exports what is left and stops. */
  stop(): Promise<void>
}

/** Metrics of one service process: OpenTelemetry SDK, pushed over OTLP/HTTP every second. */
export function startTelemetry(
  settings: ServiceSettings,
  calls: readonly string[],
  pool: Bounded,
): Telemetry {
  const exporter = new InterruptibleExporter({
    url: settings.metricsUrl,
    headers: { ...settings.headers },
    timeoutMillis: 2000,
  })
  const reader = new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: settings.exportEveryMs,
    exportTimeoutMillis: Math.max(settings.exportEveryMs, 900),
  })
  const provider = new MeterProvider({
    resource: resourceFromAttributes({
      'service.name': settings.role,
      'service.instance.id': settings.instance,
      'service.version': String(settings.version),
    }),
    readers: [reader],
  })
  const meter = provider.getMeter('foreshock-lab')
  const buckets = { unit: 's', advice: { explicitBucketBoundaries: durationBuckets() } }
  const serverDuration = meter.createHistogram('http.server.request.duration', buckets)
  const clientDuration = meter.createHistogram('http.client.request.duration', buckets)
  const requests = meter.createCounter('http.server.requests', { unit: '{request}' })
  const errors = meter.createCounter('http.server.errors', { unit: '{error}' })
  const clientErrors = meter.createCounter('http.client.errors', { unit: '{error}' })
  requests.add(0)
  errors.add(0)
  const edge = new Map<string, Attributes>()
  for (const target of calls) {
    const attributes = { client: settings.role, server: target }
    edge.set(target, attributes)
    // A counter that has never counted would not be exported, and its first error would have no rate.
    clientErrors.add(0, attributes)
  }
  observeProcess(meter, pool)
  return {
    served(seconds, failed) {
      serverDuration.record(seconds)
      requests.add(1)
      if (failed) errors.add(1)
    },
    called(target, seconds, failed) {
      const attributes = edge.get(target)
      if (!attributes) return
      clientDuration.record(seconds, attributes)
      if (failed) clientErrors.add(1, attributes)
    },
    silence(silent) {
      exporter.silent = silent
    },
    stop: () => provider.shutdown({ timeoutMillis: 1000 }),
  }
}

function observeProcess(meter: ReturnType<MeterProvider['getMeter']>, pool: Bounded): void {
  const up = meter.createObservableGauge('up')
  const cpu = meter.createObservableGauge('process.cpu.ratio', { unit: '1' })
  const memory = meter.createObservableGauge('process.memory.usage', { unit: 'By' })
  const lag = meter.createObservableGauge('nodejs.eventloop.delay.mean', { unit: 's' })
  const inUse = meter.createObservableGauge('pool.in_use', { unit: '{slot}' })
  const queue = meter.createObservableGauge('pool.queue.length', { unit: '{request}' })
  const loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS })
  loop.enable()
  let before = { cpu: process.cpuUsage(), atMs: performance.now() }
  meter.addBatchObservableCallback(
    result => {
      const used = process.cpuUsage(before.cpu)
      const nowMs = performance.now()
      const elapsedMs = Math.max(1, nowMs - before.atMs)
      before = { cpu: process.cpuUsage(), atMs: nowMs }
      const use = pool.use()
      result.observe(up, 1)
      result.observe(cpu, (used.user + used.system) / 1000 / elapsedMs)
      result.observe(memory, process.memoryUsage.rss())
      result.observe(
        lag,
        Number.isFinite(loop.mean) ? Math.max(0, loop.mean / 1e9 - LOOP_RESOLUTION_MS / 1000) : 0,
      )
      result.observe(inUse, use.inUseMean)
      result.observe(queue, use.queueMax)
      loop.reset()
    },
    [up, cpu, memory, lag, inUse, queue],
  )
}
