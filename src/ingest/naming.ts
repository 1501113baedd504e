import { KIND_TRAITS, metricKind, type Unit, unitOf } from '../core/metric-kind.ts'
import { type Labels, type SeriesMeta, seriesKey } from '../core/series.ts'
import { TYPE } from './families.ts'
import type { IntakeOptions } from './options.ts'

const WORD_UNITS: Readonly<Record<string, string>> = {
  seconds: 's',
  milliseconds: 'ms',
  microseconds: 'us',
  nanoseconds: 'ns',
  bytes: 'By',
  percent: 'percent',
  '%': 'percent',
  ratio: 'ratio',
}

/** Units as senders write them, in the spelling of the vocabulary. */
export function canonicalUnit(unit: string): Unit {
  const word = unit.toLowerCase()
  // A unit may be called `constructor`: what every object inherits is none.
  return Object.hasOwn(WORD_UNITS, word) ? WORD_UNITS[word] : unit
}

/** Unit of a counter's rate. */
export function rateUnit(unit: Unit): Unit {
  return unit === '' || unit === '1' ? '1/s' : `${unit}/s`
}

/** A metric or label name the Prometheus way: anything but letters, digits, `_` and `:` becomes `_`. */
export function sanitised(name: string): string {
  const plain = name.replace(/[^a-zA-Z0-9_:]/g, '_')
  return /^[0-9]/.test(plain) ? `_${plain}` : plain
}

/** Characters that would make a canonical key ambiguous. */
const UNSAFE = /[{}="\\,\p{Cc}]/gu

export function safeName(name: string): string {
  return name.replace(UNSAFE, '_')
}

/** Takes a canonical key (without tenant) apart: the inverse of `seriesKey` on safe names. */
export function parseKey(text: string): { metric: string; labels: Record<string, string> } {
  const open = text.indexOf('{')
  if (open < 0) return { metric: text, labels: {} }
  const labels: Record<string, string> = {}
  for (const found of text.slice(open).matchAll(/[{,]([^=]*)="((?:[^"\\]|\\.)*)"/g)) {
    const value = found[2]
    labels[found[1]] = value.includes('\\')
      ? value.replace(/\\(.)/gs, (_, c: string) => (c === 'n' ? '\n' : c))
      : value
  }
  return { metric: text.slice(0, open), labels }
}

export function entityOf(
  metric: string,
  labels: Labels,
  options: Pick<IntakeOptions, 'entityLabels'>,
): string {
  for (const name of options.entityLabels) if (labels[name]) return labels[name]
  // Service graphs of tracing systems name both ends of a call and nobody else: it is about who is called.
  if (labels.client && labels.server) return labels.server
  const end = metric.search(/[_.:]/)
  return end > 0 ? metric.slice(0, end) : 'unknown'
}

/**
 * The entity that the series of a wire will have, from what its sender says of it alone: what decides a partition must
 * not depend on what was learned before. It differs from `metaOf` in one case only: a counter without `_total`, without
 * any label that names an entity and with a name of one word, whose type comes by remote write 1.0 metadata.
 */
export function entityOfWire(
  metric: string,
  labels: Labels,
  type: number,
  options: Pick<IntakeOptions, 'entityLabels'>,
): string {
  const derived =
    type === TYPE.counter || type === TYPE.delta || type === TYPE.points || labels.quantile !== undefined
  return entityOf(derived && !/[_.:]/.test(metric) ? `${metric}:` : metric, labels, options)
}

/** Everything known of a series, from its name, labels, declared unit and the user's overrides. */
export function metaOf(
  tenant: string,
  metric: string,
  labels: Labels,
  unit: Unit,
  options: IntakeOptions,
): SeriesMeta {
  const base = metric.replace(/:(rate|count|mean|p\d+(\.\d+)?)$/, '')
  const override = options.overrides[metric] ?? options.overrides[base] ?? {}
  const known = override.unit ?? unit
  const kind = override.kind ?? metricKind(metric, known, labels)
  return {
    key: seriesKey(metric, labels, tenant),
    tenant,
    metric,
    labels,
    entity: entityOf(metric, labels, options),
    unit: known,
    kind,
    bad: override.bad ?? KIND_TRAITS[kind].bad,
  }
}

/** The canonical key of the wire that feeds a series, without tenant; `rate`: the series is the rate of a count. */
export function wireText({ key, tenant }: Pick<SeriesMeta, 'key' | 'tenant'>, rate: boolean): string {
  const text = tenant === 'default' ? key : key.slice(tenant.length + 1)
  if (!rate) return text
  const brace = text.indexOf('{')
  const end = brace < 0 ? text.length : brace
  return `${text.slice(0, end).replace(/:rate$/, '')}${text.slice(end)}`
}

/** Declared unit, or what the name says. */
export function unitFor(metric: string, declared: string): Unit {
  return declared === '' ? unitOf(metric) : canonicalUnit(declared)
}
