/**
 * What a metric measures and which way is bad, from metadata, name and unit. Kinds and floors follow the
 * measured table of the disruption recipe; a floor is the change below which nobody cares.
 */

/** UCUM-like: `s`, `By`, `1` (count), `ratio` (0..1), `percent`, `{req}/s`; '' when unknown. */
export type Unit = string

export type MetricKind =
  | 'latency'
  | 'availability'
  | 'error'
  | 'traffic'
  | 'cpu'
  | 'memory'
  | 'io'
  | 'network'
  | 'saturation'
  | 'other'

export interface KindTraits {
  readonly bad: 'up' | 'down' | 'both'
  /** Relative change below which nobody cares. */
  readonly relativeFloor: number
}

export const KIND_TRAITS: Readonly<Record<MetricKind, KindTraits>> = {
  latency: { bad: 'up', relativeFloor: 0.2 },
  availability: { bad: 'down', relativeFloor: 0 },
  error: { bad: 'up', relativeFloor: 0.1 },
  traffic: { bad: 'both', relativeFloor: 0.1 },
  cpu: { bad: 'up', relativeFloor: 0.1 },
  memory: { bad: 'both', relativeFloor: 0.03 },
  io: { bad: 'both', relativeFloor: 0.1 },
  network: { bad: 'both', relativeFloor: 0.1 },
  saturation: { bad: 'up', relativeFloor: 0.1 },
  other: { bad: 'both', relativeFloor: 0.1 },
}

const PATTERNS: readonly (readonly [RegExp, MetricKind])[] = [
  [
    /(^|[_:.])(err(or)?s?|fail(ure|ed|s)?|exception|5xx|4xx|timeout|reject(ed|s)?|drop(ped|s)?|retr(y|ies)|retrans)([_:.]|$)/i,
    'error',
  ],
  [/avail|success|hit[_.]?(rate|ratio)|(^|[_:.])up$|healthy|apdex/i, 'availability'],
  [
    /latenc|duration|response[_.]?time|(^|[_:.])(rt|p\d\d|ttfb)([_:.]|$)|elapsed|delay|lag([_:.]|$)|wait/i,
    'latency',
  ],
  [
    /queue|pool|saturat|backlog|in[_.]?flight|pending|utili[sz]ation|pressure|(^|[_:.])(conn(ection)?s?)([_:.]|$)/i,
    'saturation',
  ],
  [/cpu|load\d*([_:.]|$)|throttl/i, 'cpu'],
  [/mem(ory)?([_:.]|$)|heap|rss|swap|(^|[_:.])gc([_:.]|$)/i, 'memory'],
  [/disk|fs[_.]|filesystem|iops|(^|[_:.])(read|write)s?([_:.]|$)|io([_:.]|$)/i, 'io'],
  [/net(work)?([_:.]|$)|receive|transmit|(^|[_:.])(rx|tx|packets?|bandwidth)([_:.]|$)/i, 'network'],
  [
    /request|req([_:.]|$)|qps|rps|tps|throughput|traffic|calls?([_:.]|$)|count|rate([_:.]|$)|orders?|sessions?/i,
    'traffic',
  ],
]

/** Kind by name, then by unit. */
export function metricKind(metric: string, unit: Unit): MetricKind {
  for (const [pattern, kind] of PATTERNS) if (pattern.test(metric)) return kind
  if (unit === 's' || unit === 'ms') return 'latency'
  return 'other'
}

/** Unit by name suffix, '' when the name says nothing. */
export function unitOf(metric: string): Unit {
  const base = metric.replace(/(_total)?(:\w+)?$/, '')
  if (/_milliseconds$|_ms$/.test(base)) return 'ms'
  if (/_seconds$|_s$/.test(base)) return 's'
  if (/_bytes$/.test(base)) return 'By'
  if (/_ratio$/.test(base)) return 'ratio'
  if (/_percent$|_pct$/.test(base)) return 'percent'
  return ''
}

/** Absolute change, in the unit, below which nobody cares. */
export function unitFloor(kind: MetricKind, unit: Unit): number {
  switch (kind) {
    case 'latency':
      return unit === 'ms' ? 2 : 0.002
    case 'availability':
      return unit === 'percent' ? 1 : 0.01
    case 'error':
      return unit === 'ratio' ? 0.01 : unit === 'percent' ? 1 : 0.5
    case 'cpu':
      return unit === 'percent' ? 1 : unit === 'ratio' ? 0.01 : 0.002
    case 'memory':
      return unit === 'By' ? 1_048_576 : unit === 'percent' ? 1 : 0.01
    case 'io':
      return unit === 'By' || unit === 'By/s' ? 100 : 5
    case 'network':
      return unit === 'By' || unit === 'By/s' ? 100 : 0.2
    case 'traffic':
      return 0.2
    case 'saturation':
      return unit === 'ratio' ? 0.01 : 0.5
    case 'other':
      return 0
  }
}
