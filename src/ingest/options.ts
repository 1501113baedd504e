import type { MetricKind, Unit } from '../core/metric-kind.ts'
import type { BadDirection } from '../core/series.ts'

/** What a user knows better than the name of a metric says. */
export interface MetricOverride {
  readonly unit?: Unit
  readonly kind?: MetricKind
  readonly bad?: BadDirection
}

export interface IntakeOptions {
  /** Largest body as sent, bytes. */
  readonly bodyBytesMax: number
  /** Largest body once inflated, bytes. */
  readonly inflatedBytesMax: number
  readonly labelsMax: number
  /** Metric and label names, UTF-16 units. */
  readonly nameLengthMax: number
  readonly labelValueLengthMax: number
  /** Samples later than arrival by more than this are refused, ms. */
  readonly futureMsMax: number
  /** A counter that was silent for longer starts anew, because one average would hide the gap, ms. */
  readonly counterGapMsMax: number
  /** Wire series known at once, buckets and such included. */
  readonly wiresMax: number
  /** A wire series unseen for this long may be evicted when the table is full, ms. */
  readonly wireIdleMs: number
  /** Buckets of one histogram. */
  readonly bucketsMax: number
  /** The first of these labels that a series has names its entity. */
  readonly entityLabels: readonly string[]
  /** Labels that are left out of series; `le` and `quantile` always are, once understood. */
  readonly dropLabels: readonly string[]
  /** OTLP resource attributes that become labels; all others are left out. */
  readonly resourceLabels: Readonly<Record<string, string>>
  /** Bodies are read by the plain readers alone, without kernels. */
  readonly plain: boolean
  /** By metric name, with or without its derived suffix. */
  readonly overrides: Readonly<Record<string, MetricOverride>>
}

export const INTAKE_DEFAULTS: IntakeOptions = {
  bodyBytesMax: 16 * 1024 * 1024,
  inflatedBytesMax: 64 * 1024 * 1024,
  labelsMax: 64,
  nameLengthMax: 256,
  labelValueLengthMax: 1024,
  futureMsMax: 5 * 60_000,
  counterGapMsMax: 10 * 60_000,
  wiresMax: 2_000_000,
  wireIdleMs: 15 * 60_000,
  bucketsMax: 1024,
  entityLabels: ['service', 'service_name', 'service.name', 'job', 'instance'],
  dropLabels: [],
  resourceLabels: {
    'service.name': 'service',
    'service.namespace': 'namespace',
    'service.instance.id': 'instance',
    'deployment.environment': 'environment',
    'deployment.environment.name': 'environment',
    'host.name': 'host',
    'k8s.namespace.name': 'k8s_namespace',
    'k8s.pod.name': 'pod',
  },
  plain: false,
  overrides: {},
}
