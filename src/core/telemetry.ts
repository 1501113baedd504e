import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { type LabelsOf, METRICS, type MetricName } from './metric-catalogue.ts'

/** One counter under one set of labels that goes up often: the registry hears of it when it is asked, not each time. */
export class Running {
  #by = 0

  add(by: number): void {
    this.#by += by
  }

  /** What came since it was taken last. */
  take(): number {
    const by = this.#by
    this.#by = 0
    return by
  }
}

/** Counts what the catalogue names; thin and in one place, because prom-client moves slowly. */
export class Telemetry {
  readonly #registry = new Registry()
  readonly #metrics = new Map<string, Counter | Gauge | Histogram>()
  readonly #running = new Map<string, { readonly running: Running; readonly tell: () => void }>()

  constructor(options: { readonly process?: boolean } = {}) {
    if (options.process) collectDefaultMetrics({ register: this.#registry })
    for (const [name, { type, help, labels }] of Object.entries(METRICS)) {
      const settings = { name, help, labelNames: [...labels], registers: [this.#registry] }
      const buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]
      this.#metrics.set(
        name,
        type === 'counter'
          ? new Counter(settings)
          : type === 'gauge'
            ? new Gauge(settings)
            : new Histogram({ ...settings, buckets }),
      )
    }
  }

  count<N extends MetricName>(name: N, by: number, labels?: LabelsOf<N>): void {
    ;(this.#metrics.get(name) as Counter).inc((labels ?? {}) as Record<string, string>, by)
  }

  /** `count` for what goes up with every body: it costs an addition. */
  running<N extends MetricName>(name: N, labels: LabelsOf<N>): Running {
    const key = `${name} ${JSON.stringify(labels ?? {})}`
    const known = this.#running.get(key)
    if (known) return known.running
    const running = new Running()
    const tell = () => {
      const by = running.take()
      if (by > 0) this.count(name, by, labels)
    }
    this.#running.set(key, { running, tell })
    return running
  }

  set<N extends MetricName>(name: N, value: number, labels?: LabelsOf<N>): void {
    ;(this.#metrics.get(name) as Gauge).set((labels ?? {}) as Record<string, string>, value)
  }

  observe<N extends MetricName>(name: N, value: number, labels?: LabelsOf<N>): void {
    ;(this.#metrics.get(name) as Histogram).observe((labels ?? {}) as Record<string, string>, value)
  }

  /** A metric with these labels is no more, such as of a partition that another process holds now. */
  remove<N extends MetricName>(name: N, labels: LabelsOf<N>): void {
    this.#metrics.get(name)?.remove((labels ?? {}) as Record<string, string>)
  }

  /** All of a metric is to be told anew: what is not set again is no more. */
  clear(name: MetricName): void {
    this.#metrics.get(name)?.reset()
  }

  /** Prometheus text exposition. */
  text(): Promise<string> {
    for (const { tell } of this.#running.values()) tell()
    return this.#registry.metrics()
  }
}
