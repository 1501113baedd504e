/**
 * What a metric measures and which way is bad, from metadata, name and unit. Kinds and floors follow the
 * measured table of the disruption recipe; a floor is the change below which nobody cares.
 */

/** UCUM-like: `s`, `By`, `1` (count), `ratio` (0..1), `percent`, `{req}/s`; '' when unknown. */
export type Unit = string

export const METRIC_KINDS = [
  'latency',
  'availability',
  'error',
  'traffic',
  'cpu',
  'memory',
  'io',
  'network',
  'saturation',
  'other',
] as const
export type MetricKind = (typeof METRIC_KINDS)[number]

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

/** A derived suffix, such as `:rate`; it says how a value came to be, not what it measures. */
const DERIVED = /:(rate|mean|p\d+(\.\d+)?|min|max|avg)$/

/** In order: the first that matches decides, so words of meaning stand before words of place. */
const PATTERNS: readonly (readonly [RegExp, MetricKind])[] = [
  [
    /(^|[_:.])(err(or)?s?|errs|fail(ure|ed|s|ures|ing)?|exceptions?|faults?|[45]xx|timeouts?|timedout|reject(ed|s|ions?)?|drop(ped|s)?|discard(s|ed)?|retr(y|ies)|retrans(\w*)?|restarts?|oom(_?kills?)?|unavailable|aborted|deadlocks?|panics?|evictions?|evicted|unhealthy|unauthori[sz]ed|forbidden|denied|refused|crash(es|ed|ing)?)([_:.]|$)|(^|[_:.])(http|status|code|resp(onse)?s?)_[45]\d\d([_:.]|$)/i,
    'error',
  ],
  [
    /(^|[_:.])(availability|success(es|ful)?|up|healthy|health|apdex|ready|alive|reachable)([_:.]|$)|hit[_.]?(rate|ratio)/i,
    'availability',
  ],
  [/(^|[_:.])pressure([_:.]|$)|active_(requests|calls|sessions)|(requests|sessions)_active/i, 'saturation'],
  [/throttl/i, 'cpu'],
  [/(^|[_:.])gc([_:.]|$)/i, 'memory'],
  [/(^|[_:.])(cpu|cpus|load\d*|loadavg|nice|steal)([_:.]|$)|cpu[_.]?(usage|time|util|load|seconds)/i, 'cpu'],
  [
    /(^|[_:.])(queue[ds]?|pools?|saturation|backlog|in[_.]?flight|pending|utili[sz]ation|pressure|conn(ection)?s?|connected|threads?|goroutines|fds?|filefd|sessions_active|waiting|blocked|procs_running|procs_blocked|conntrack|lag|sockets?|sockstat|slots)([_:.]|$)|queue[_.]?(length|size|depth)/i,
    'saturation',
  ],
  // Filesystems fill up as memory does not: they are io, whatever word for free space follows.
  [/(^|[_:.])(disks?|fs|filesystem|iops|volume|blkio|inodes?|nvme|block|kubelet_volume)([_:.]|$)/i, 'io'],
  [
    /(^|[_:.])(net(work)?|rx|tx|receive[ds]?|transmit(ted)?|sent|recv|packets?|bandwidth|ethernet|tcp|udp|ip|netstat)([_:.]|$)/i,
    'network',
  ],
  [
    /latenc|duration|(response|request|rq|processing|execution|service|load|elapsed|round[_.]?trip)[_.]?time([_:.]|$)|(^|[_:.])(rt|rtt|ttfb|p\d\d|elapsed|delay|wait)([_:.]|$)/i,
    'latency',
  ],
  [
    /(^|[_:.])(mem(ory)?|heap|nonheap|rss|swap|buffers?|cached|vss|pss|alloc(ated)?|working_set|maxmemory|pgpgin|pgfault|pgmajfault)([_:.]|$)|memory/i,
    'memory',
  ],
  [/(^|[_:.])(reads?|writes?|written|io|fsync)([_:.]|$)/i, 'io'],
  [
    /(^|[_:.])(requests?|req|reqs|qps|rps|tps|throughput|traffic|calls?|queries|hits|operations?|ops|commands?|messages?|records?|events?|orders?|sessions?|visits?|logins?|transactions?|xact|commits?|workload|jobs?|rpcs?|handled|started|processed|count|rate|interrupts|intr|switches|forks|samples)([_:.]|$)/i,
    'traffic',
  ],
]

/** Names of labels that tell the outcome of a request, and values of theirs that tell of a failure. */
const OUTCOME =
  /^(status|code|outcome|result|state|status_?code|response_?code|http(_response)?_status_?code|grpc_code|rpc_grpc_status_code|response_class|class|type|error|exception|level|severity)$/i
const FAILED =
  /^(5\d\d|5xx|err(or)?s?|fail(ed|ure|ures)?|exception|timeout|unavailable|internal|unknown|deadline_?exceeded|aborted|data_?loss|resource_?exhausted|server_error|critical|fatal|rejected|dropped)$/i

/** Whether the labels of a count say that it counts failures. */
export function countsFailures(labels: Readonly<Record<string, string>>): boolean {
  for (const name of Object.keys(labels)) {
    if (!OUTCOME.test(name)) continue
    const value = labels[name]
    if (FAILED.test(value)) return true
    // `error="true"`, `exception="IOException"`: the label's own name is the failure.
    if (/^error$/i.test(name) && /^(true|1)$/i.test(value)) return true
    if (/^exception$/i.test(name) && !/^(none|false|)$/i.test(value)) return true
  }
  return false
}

/** Kind by name, then by unit. `labels` tell a count of failures from a count of requests. */
export function metricKind(
  metric: string,
  unit: Unit,
  labels: Readonly<Record<string, string>> = {},
): MetricKind {
  // How often something was observed, whatever was measured of it.
  const counted = /:count$/.test(metric)
  const base = metric.replace(/:count$/, '').replace(DERIVED, '')
  if (counted) return PATTERNS[0][0].test(words(base)) || countsFailures(labels) ? 'error' : 'traffic'
  const kind = kindOfName(words(base), unit)
  return kind === 'traffic' && countsFailures(labels) ? 'error' : kind
}

/** `NodeCpuUsageRate(%)` and `cpu-usage` in the spelling of the patterns. */
function words(name: string): string {
  return name.replace(/([a-z\d])([A-Z])/g, '$1_$2').replace(/[^\w:.]+/g, '_')
}

/** Names asked for lately; a fleet has a few thousand. When there are too many, all are forgotten. */
const NAMED_MAX = 4096
const named = new Map<string, MetricKind>()

/** Dozens of patterns are tried on a name, and every series of a metric asks again. */
function kindOfName(base: string, unit: Unit): MetricKind {
  const key = `${unit} ${base}`
  const known = named.get(key)
  if (known !== undefined) return known
  const found = kindByPatterns(base, unit)
  if (named.size >= NAMED_MAX) named.clear()
  named.set(key, found)
  return found
}

function kindByPatterns(base: string, unit: Unit): MetricKind {
  // Seconds count time: `http_requests_seconds` is how long, not how many.
  const timed = unit === 's' || unit === 'ms' || unit === 'us' || unit === 'ns'
  // Uptimes are counted in seconds as well, and nobody waits for them.
  if (/(boot|start|creat(ion|ed))_time|(^|[_:.])uptime([_:.]|$)/i.test(base)) return 'other'
  for (const [pattern, kind] of PATTERNS) {
    if (pattern.test(base)) return timed && (kind === 'traffic' || kind === 'saturation') ? 'latency' : kind
  }
  return timed ? 'latency' : 'other'
}

/** Unit by name suffix, '' when the name says nothing. */
export function unitOf(metric: string): Unit {
  const base = metric.replace(/:\w+(\.\d+)?$/, '').replace(/_total$/, '')
  if (/_milliseconds$|_millis$|_ms$/.test(base)) return 'ms'
  if (/_microseconds$|_us$/.test(base)) return 'us'
  if (/_nanoseconds$|_ns$/.test(base)) return 'ns'
  if (/_seconds$|_secs$|_s$/.test(base)) return 's'
  if (/_bytes$/.test(base)) return 'By'
  if (/_ratio$/.test(base)) return 'ratio'
  if (/_percent$|_pct$|_percentage$/.test(base)) return 'percent'
  if (/_celsius$/.test(base)) return 'Cel'
  return ''
}

/**
 * A gauge of errors without a unit that calls itself a rate is a share of requests nearly always; rates of counters
 * have the unit `1/s` or say `:rate`.
 */
const SHARE = /(^|[_.])(rate|share|fraction|proportion)$/i

/** Absolute change, in the unit, below which nobody cares. The name tells counts from shares where the unit does not. */
export function unitFloor(kind: MetricKind, unit: Unit, metric = ''): number {
  switch (kind) {
    case 'latency':
      return unit === 'ms' ? 2 : 0.002
    case 'availability':
      return unit === 'percent' ? 1 : 0.01
    case 'error':
      if (unit === 'percent') return 1
      return unit === 'ratio' || (unit === '' && SHARE.test(words(metric))) ? 0.01 : 0.5
    case 'cpu':
      // `m` is a thousandth of a core, as containers count.
      return unit === 'percent' ? 1 : unit === 'ratio' ? 0.01 : unit === 'm' ? 2 : 0.002
    case 'memory':
      return unit === 'Mi' ? 1 : unit === 'By' ? 1_048_576 : unit === 'percent' ? 1 : 0.01
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
