// Not a test: a small synthetic fleet (edge → checkout → payments, inventory → store; edge → search → cache) with
// the faults of the live lab, as numbers. Seeded, so every run is the same.
import { KIND_TRAITS, metricKind } from '../../src/core/metric-kind.ts'
import { type SeriesMeta, seriesKey } from '../../src/core/series.ts'
import type { DisruptionOptions } from '../../src/disruptions/options.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { Bench } from './bench.ts'

const CALLS: readonly (readonly [string, string])[] = [
  ['edge', 'checkout'],
  ['checkout', 'payments'],
  ['checkout', 'inventory'],
  ['inventory', 'store'],
  ['edge', 'search'],
  ['search', 'cache'],
]
const SERVICES = ['edge', 'checkout', 'payments', 'inventory', 'store', 'search', 'cache']
const INSTANCES = ['a', 'b']
export const START_MS = Date.UTC(2026, 0, 5, 14, 0, 0)

/** What a fault does to the fleet at one window; all factors 1 when nothing is wrong. */
export interface Weather {
  /** Added latency of a service's own work, s. */
  slow: Record<string, number>
  /** Share of a service's own answers that are errors. */
  errors: Record<string, number>
  cpu: Record<string, number>
  memory: Record<string, number>
  pool: Record<string, number>
  /** Services or `service/instance` that do not answer and do not report. */
  down: Set<string>
  /** Services or `service/instance` that work but do not report. */
  mute: Set<string>
  traffic: number
}

export function calm(): Weather {
  return {
    slow: {},
    errors: {},
    cpu: {},
    memory: {},
    pool: {},
    down: new Set(),
    mute: new Set(),
    traffic: 1,
  }
}

function metaOf(metric: string, labels: Record<string, string>, unit: string): SeriesMeta {
  const kind = metricKind(metric, unit)
  return {
    key: seriesKey(metric, labels),
    tenant: 'default',
    metric,
    labels,
    entity: labels.service,
    unit,
    kind,
    bad: KIND_TRAITS[kind].bad,
  }
}

export class SyntheticFleet {
  readonly bench: Bench
  nowMs = START_MS
  readonly #noise: () => number
  readonly #shuffle: (() => number) | undefined
  readonly #edges: boolean

  constructor(
    seed = 1,
    settings: { options?: Partial<DisruptionOptions>; shuffle?: number; edges?: boolean } = {},
  ) {
    this.bench = new Bench(settings.options)
    this.#noise = mulberry32(seed)
    this.#shuffle = settings.shuffle === undefined ? undefined : mulberry32(settings.shuffle)
    this.#edges = settings.edges ?? true
    if (this.#edges) {
      this.bench.stage.addEdges(
        CALLS.map(([source, target]) => ({ source, target })),
        START_MS,
      )
    }
  }

  #jitter(size: number): number {
    return 1 + size * (this.#noise() + this.#noise() + this.#noise() - 1.5)
  }

  /** Runs `windows` windows under one weather, or under what `weather(i)` says. */
  run(windows: number, weather: Weather | ((i: number) => Weather) = calm()): void {
    for (let i = 0; i < windows; i++) {
      this.nowMs += this.bench.options.stepMs
      const now = typeof weather === 'function' ? weather(i) : weather
      const values = new Map<number, number>()
      for (const [meta, value] of this.#measure(now)) values.set(this.bench.add(meta), value)
      this.bench.window(this.nowMs, this.#shuffle ? shuffled(values, this.#shuffle) : values)
    }
  }

  #measure(w: Weather): [SeriesMeta, number][] {
    const latency = new Map<string, number>()
    const failing = new Map<string, number>()
    for (const service of [...SERVICES].reverse()) this.#resolve(service, w, latency, failing)
    const out: [SeriesMeta, number][] = []
    for (const service of SERVICES) {
      for (const instance of INSTANCES) {
        const labels = { service, instance: `${service}-${instance}` }
        const gone = [w.down, w.mute].some(set => set.has(service) || set.has(`${service}/${instance}`))
        const seen = (value: number): number => (gone ? Number.NaN : value)
        const cpu = 0.3 * (0.3 + 0.7 * w.traffic) * (w.cpu[service] ?? 1)
        const lat = latency.get(service) ?? 0
        out.push(
          [metaOf('server_duration_seconds:p99', labels, 's'), seen(lat * this.#jitter(0.2))],
          [metaOf('errors_ratio', labels, 'ratio'), seen((failing.get(service) ?? 0) * this.#jitter(0.1))],
          [metaOf('requests_total:rate', labels, '{req}/s'), seen(50 * w.traffic * this.#jitter(0.15))],
          [metaOf('cpu_ratio', labels, 'ratio'), seen(Math.min(1, cpu * this.#jitter(0.15)))],
          [metaOf('memory_bytes', labels, 'By'), seen(2e8 * (w.memory[service] ?? 1) * this.#jitter(0.02))],
          [metaOf('network_bytes:rate', labels, 'By/s'), seen(1e6 * w.traffic * this.#jitter(0.2))],
          [
            metaOf('pool_utilization_ratio', labels, 'ratio'),
            seen(Math.min(1, 0.2 * w.traffic * (w.pool[service] ?? 1) * this.#jitter(0.2))),
          ],
        )
      }
    }
    for (const [client, server] of this.#edges ? CALLS : []) {
      const labels = { service: client, client, server }
      const gone = w.down.has(client) || w.mute.has(client)
      const wait = w.down.has(server) ? 0.01 : (latency.get(server) ?? 0) * 1.1
      const errors = failing.get(server) ?? 0
      out.push(
        [metaOf('client_duration_seconds:p99', labels, 's'), gone ? Number.NaN : wait * this.#jitter(0.2)],
        [metaOf('client_errors_ratio', labels, 'ratio'), gone ? Number.NaN : errors * this.#jitter(0.1)],
      )
    }
    return out
  }

  #resolve(service: string, w: Weather, latency: Map<string, number>, failing: Map<string, number>): void {
    let time = 0.02 + (w.slow[service] ?? 0)
    let fail = Math.max(0.001, w.errors[service] ?? 0)
    if (w.down.has(service)) fail = 1
    for (const [client, server] of CALLS) {
      if (client !== service) continue
      time += w.down.has(server) ? 0.01 : (latency.get(server) ?? 0)
      fail = Math.max(fail, 0.9 * (failing.get(server) ?? 0))
    }
    latency.set(service, time)
    failing.set(service, fail)
  }
}

function shuffled(values: ReadonlyMap<number, number>, next: () => number): Map<number, number> {
  const all = [...values]
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1))
    ;[all[i], all[j]] = [all[j], all[i]]
  }
  return new Map(all)
}
