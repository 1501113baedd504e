// The fleet that the headline run is sent by: services of pods, each pod with the same fifty series, as an exporter of a
// web service in Kubernetes has them. Everything follows from a pod's number, so that ten million series need no list.

/** How a series moves: what it is around, by how much it varies, and what two of the faults do to it. */
export interface MetricPlan {
  readonly name: string
  /** Labels of its own beside the pod's. */
  readonly labels: Readonly<Record<string, string>>
  /** A counter grows by `level` a second; a gauge is around `level`. */
  readonly counter: boolean
  readonly level: number
  /** Standard deviation of the logarithm from one step to the next. */
  readonly spread: number
  /** Factors while its service is slow, and while it is down. */
  readonly slow: number
  readonly down: number
}

type Row = readonly [
  name: string,
  labels: Readonly<Record<string, string>>,
  level: number,
  spread: number,
  slow?: number,
  down?: number,
]

const COUNTERS: readonly Row[] = [
  ['http_requests_total', { code: '200', method: 'GET' }, 40, 0.1, 0.8, 0.03],
  ['http_requests_total', { code: '200', method: 'POST' }, 12, 0.12, 0.8, 0.03],
  ['http_requests_total', { code: '404', method: 'GET' }, 1.5, 0.2, 1, 0.03],
  ['http_requests_total', { code: '500', method: 'GET' }, 0.2, 0.3, 20, 60],
  ['http_requests_total', { code: '500', method: 'POST' }, 0.1, 0.3, 20, 60],
  ['http_requests_total', { code: '503', method: 'GET' }, 0.1, 0.3, 40, 120],
  ['http_requests_total', { code: '302', method: 'GET' }, 3, 0.15, 0.8, 0.03],
  ['http_requests_total', { code: '201', method: 'POST' }, 2, 0.15, 0.8, 0.03],
  ['grpc_server_handled_total', { grpc_code: 'OK' }, 25, 0.1, 0.8, 0.03],
  ['grpc_server_handled_total', { grpc_code: 'Unavailable' }, 0.1, 0.3, 10, 80],
  ['process_cpu_seconds_total', {}, 0.3, 0.08, 2.2, 0.1],
  ['container_cpu_usage_seconds_total', { container: 'app' }, 0.35, 0.08, 2.2, 0.1],
  ['container_cpu_usage_seconds_total', { container: 'sidecar' }, 0.05, 0.1, 1.3, 0.1],
  ['container_network_receive_bytes_total', { interface: 'eth0' }, 2e5, 0.1, 0.9, 0.05],
  ['container_network_transmit_bytes_total', { interface: 'eth0' }, 9e5, 0.1, 0.9, 0.05],
  ['container_fs_reads_bytes_total', { device: 'nvme0n1' }, 4e4, 0.3],
  ['container_fs_writes_bytes_total', { device: 'nvme0n1' }, 6e4, 0.3],
  ['cache_hits_total', { cache: 'sessions' }, 90, 0.1, 0.8, 0.05],
  ['cache_misses_total', { cache: 'sessions' }, 4, 0.15, 0.8, 0.05],
  ['log_messages_total', { level: 'error' }, 0.2, 0.3, 15, 40],
  ['log_messages_total', { level: 'info' }, 15, 0.1, 0.9, 0.2],
]
const GAUGES: readonly Row[] = [
  ['http_request_latency_seconds', { path: '/' }, 0.02, 0.1, 7, 2],
  ['http_request_latency_seconds', { path: '/api/items' }, 0.05, 0.1, 7, 2],
  ['http_request_latency_seconds', { path: '/api/orders' }, 0.11, 0.12, 7, 2],
  ['http_request_latency_seconds', { path: '/api/search' }, 0.18, 0.12, 7, 2],
  ['grpc_server_latency_seconds', {}, 0.015, 0.1, 7, 2],
  ['http_requests_in_flight', {}, 6, 0.15, 6, 0.3],
  ['queue_depth', { queue: 'jobs' }, 20, 0.2, 8, 1],
  ['queue_depth', { queue: 'mail' }, 8, 0.2],
  ['db_pool_connections_active', { pool: 'main' }, 9, 0.12, 4, 0.2],
  ['db_pool_connections_waiting', { pool: 'main' }, 1.2, 0.25, 10, 0.2],
  ['db_query_latency_seconds', { pool: 'main' }, 0.004, 0.12, 6, 1],
  ['process_resident_memory_bytes', {}, 4e8, 0.02, 1.1, 1],
  ['container_memory_working_set_bytes', { container: 'app' }, 4.5e8, 0.02, 1.1, 1],
  ['container_memory_working_set_bytes', { container: 'sidecar' }, 6e7, 0.02],
  ['jvm_memory_used_bytes', { area: 'heap' }, 2.5e8, 0.08],
  ['jvm_memory_used_bytes', { area: 'nonheap' }, 9e7, 0.01],
  ['jvm_gc_pause_seconds', {}, 0.012, 0.25, 2, 1],
  ['process_open_fds', {}, 140, 0.04, 1.6, 0.7],
  ['jvm_threads_live', {}, 60, 0.03, 1.5, 0.9],
  ['thread_pool_active_threads', { pool: 'http' }, 7, 0.15, 5, 0.2],
  ['eventloop_lag_seconds', {}, 0.003, 0.2, 6, 1],
  ['container_cpu_throttled_ratio', { container: 'app' }, 0.02, 0.3, 4, 1],
  ['disk_io_utilization_ratio', { device: 'nvme0n1' }, 0.15, 0.2],
  ['filesystem_free_bytes', { mountpoint: '/' }, 3e10, 0.001],
  ['kafka_consumer_lag', { topic: 'orders' }, 30, 0.3, 12, 30],
  ['kafka_consumer_lag', { topic: 'events' }, 80, 0.3, 1, 1],
  ['tls_certificate_expiry_days', {}, 60, 0.0001],
  ['upstream_latency_seconds', { upstream: 'auth' }, 0.008, 0.12, 1.2, 1],
  ['upstream_latency_seconds', { upstream: 'catalog' }, 0.02, 0.12, 1.2, 1],
]

const plan =
  (counter: boolean) =>
  ([name, labels, level, spread, slow = 1, down = 1]: Row): MetricPlan => ({
    name,
    labels,
    counter,
    level,
    spread,
    slow,
    down,
  })

/** What every pod sends, in this order. */
export const METRICS: readonly MetricPlan[] = [...COUNTERS.map(plan(true)), ...GAUGES.map(plan(false))]

/** Pods of a service, where there are pods enough. */
const PODS_PER_SERVICE = 20
/** Services at least, so that one is not the fleet. */
const SERVICES_MIN = 20
const WORDS = [
  'checkout',
  'catalog',
  'payment',
  'search',
  'session',
  'billing',
  'profile',
  'gateway',
] as const

export interface FleetShape {
  readonly pods: number
  readonly services: number
  readonly series: number
}

/** As many whole pods as hold `series`. */
export function fleetOf(series: number): FleetShape {
  const pods = Math.max(1, Math.ceil(series / METRICS.length))
  const perService = Math.max(1, Math.min(PODS_PER_SERVICE, Math.floor(pods / SERVICES_MIN)))
  return { pods, services: Math.ceil(pods / perService), series: pods * METRICS.length }
}

/** Pods of one service follow each other, as a scrape finds them. */
export function serviceOf(pod: number, { pods, services }: FleetShape): number {
  return Math.floor(pod / Math.ceil(pods / services))
}

export function serviceName(service: number): string {
  return `${WORDS[service % WORDS.length]}-${String(service).padStart(5, '0')}`
}

/** Labels of all series of a pod, but those that change when it is replaced. */
export function podLabels(service: number): Readonly<Record<string, string>> {
  const name = serviceName(service)
  return {
    cluster: 'eu-west-1',
    job: name,
    namespace: `team-${String(service % 40).padStart(2, '0')}`,
    service: name,
  }
}

/** Characters of a pod's name that Kubernetes draws. */
export const SUFFIX_LENGTH = 5
const LETTERS = 'bcdfghjklmnpqrstvwxz2456789acegi'
/** Odd, so that multiplying by it is one to one on 25 bits: no two pods of a service share a name. */
const SCATTER = 0x9e3779b1

/** The drawn part of the name of a service's `pod`th pod after it was replaced `generation` times. */
export function podSuffix(pod: number, generation: number): string {
  let left = Math.imul((pod % 4096) + 4096 * generation, SCATTER) >>> 7
  let text = ''
  for (let i = 0; i < SUFFIX_LENGTH; i++, left >>>= 5) text += LETTERS[left & 31]
  return text
}

/** Three octets of three digits: an address of another pod fits where this one's is. */
export function podAddress(pod: number, generation: number): string {
  const mixed = Math.imul(pod + 1, SCATTER) ^ Math.imul(generation + 1, 0x85ebca6b)
  const octet = (shift: number) => 100 + ((mixed >>> shift) & 127)
  return `10.${octet(4)}.${octet(11)}.${octet(18)}:9090`
}

export const FAULT_KINDS = ['slow', 'down', 'silent'] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

export interface FaultPlan {
  readonly service: number
  readonly entity: string
  /** Its answers take long, hardly any traffic reaches it, or nothing is heard of it at all. */
  readonly kind: FaultKind
  /** Steps [from, to) in which it is faulty. */
  readonly from: number
  readonly to: number
}

/** One service of a hundred, but one of each kind and not a crowd. */
const FAULTS_MIN = FAULT_KINDS.length
const FAULTS_MAX = 20
/** Where in the run faults begin and end: after everything was seen for long enough to be known. */
const FAULT_FROM = 0.65
const FAULT_TO = 0.9

/** Services that go wrong, spread over the fleet. */
export function faultsOf({ services }: FleetShape, steps: number): FaultPlan[] {
  const count = Math.min(services, Math.max(FAULTS_MIN, Math.min(FAULTS_MAX, Math.round(services / 100))))
  return Array.from({ length: count }, (_, f) => {
    const service = Math.floor(((f + 0.5) * services) / count)
    const [from, to] = [Math.floor(steps * FAULT_FROM), Math.ceil(steps * FAULT_TO)]
    return { service, entity: serviceName(service), kind: FAULT_KINDS[f % FAULT_KINDS.length], from, to }
  })
}
