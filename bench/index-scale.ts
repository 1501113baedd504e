/**
 * How an index bears a large record: lines taken in a second, bytes a row, and how long queries take.
 *
 *   npx tsx bench/index-scale.ts memory|duckdb|postgres [--disruptions 100000] [--anomalies 1000000] [--url postgres://…]
 *
 * The record is made up, seeded: 4 tenants with 300 services each over a year; a disruption has up to 6 entities, 5
 * suspects and 8 pieces of evidence and is told in 3 revisions, some services far more often than others.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import pg from 'pg'
import type { Anomaly } from '../src/core/anomaly.ts'
import type { Disruption } from '../src/core/disruption.ts'
import type { RecordEntry, RecordIndex, RecordLine } from '../src/core/ports.ts'
import { DuckDbIndex } from '../src/store/duckdb-index.ts'
import { MemoryIndex } from '../src/store/memory-index.ts'
import { PostgresIndex } from '../src/store/postgres-index.ts'

const YEAR_MS = 365 * 86_400_000
const END_MS = Date.UTC(2026, 10, 20)
const BATCH = 2000
const TENANTS = 4
const SERVICES = 300
const METRICS = [
  'latency_seconds:p99',
  'errors:rate',
  'requests:rate',
  'cpu_ratio',
  'memory_bytes',
  'queue_length',
]

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    disruptions: { type: 'string', default: '100000' },
    anomalies: { type: 'string', default: '1000000' },
    url: { type: 'string' },
    asks: { type: 'string', default: '300' },
  },
})
const engine = positionals[0] ?? 'memory'
const [disruptions, anomalies, asks] = [values.disruptions, values.anomalies, values.asks].map(Number)

let state = 20_261_120
/** Park and Miller's generator, 0..1. */
function random(): number {
  state = (state * 48_271) % 2_147_483_647
  return state / 2_147_483_647
}
/** Small numbers far more often than large ones. */
const skewed = (n: number) => Math.floor(n * random() ** 3)
const pick = <T>(all: readonly T[]) => all[Math.floor(random() * all.length)]
const iso = (ms: number) => new Date(ms).toISOString()
const service = (n: number) => `service-${n}`

function disruption(i: number, detectedMs: number): Disruption {
  const entities = [
    ...new Set(Array.from({ length: 1 + Math.floor(random() * 6) }, () => service(skewed(SERVICES)))),
  ]
  const at = iso(detectedMs)
  const id = `dis_${i.toString(36).padStart(16, '0')}`
  const suspects = Array.from({ length: 1 + Math.floor(random() * 5) }, (_, rank) => ({
    rank: rank + 1,
    entity: pick(entities),
    metric: pick(METRICS),
    score: random(),
    onset: at,
    direction: 'spike' as const,
    observed: random(),
    expected: random(),
    why: [`earliest onset, ${at}; what calls it follows within ${Math.floor(random() * 60)} s`],
  }))
  const evidence = Array.from({ length: 1 + Math.floor(random() * 8) }, (_, n) => ({
    id: `ano_${i}_${n}`,
    series: {
      metric: pick(METRICS),
      labels: { service: pick(entities), zone: `zone-${skewed(6)}`, pod: `pod-${skewed(1e4)}` },
    },
    entity: pick(entities),
    unit: 's',
    window: { start: at, end: at },
    observed: random(),
    expected: random(),
    lower: random(),
    upper: random(),
    direction: 'spike' as const,
    tailProbability: random() * 1e-6,
    surprise: 7 * random(),
    imputed: false,
    detectors: [
      { id: 'seasonal@1', share: 0.7 },
      { id: 'deviation@1', share: 0.3 },
    ],
    why: [`${random()} s, expected ${random()} s at this time of day`],
  }))
  return {
    id,
    revision: 1,
    supersedes: null,
    tenant: `tenant-${i % TENANTS}`,
    status: 'open',
    rank: 1,
    severity: pick(['warning', 'minor', 'major', 'critical']),
    score: 100 * random(),
    confidence: random(),
    impact: { entities: entities.length, trafficShare: random() },
    rankParts: { impact: random(), confidence: random(), persistence: 1, novelty: random() },
    startedAt: iso(detectedMs - 30_000),
    detectedAt: at,
    updatedAt: at,
    resolvedAt: null,
    entity: entities[0],
    entities,
    title: `${entities[0]} p99 latency 4.1× expected since ${at}, first seen at ${entities.at(-1)}`,
    why: [`${entities.length} services, ${evidence.length} series`],
    suspects,
    evidence,
    changes: [],
    silenced: false,
    replay: { log: 'journal', config: `sha256:${'0'.repeat(64)}`, models: {} },
    links: { self: `/api/disruptions/${id}`, verdict: `/api/disruptions/${id}/verdicts` },
  }
}

function anomaly(i: number, detectedMs: number): Anomaly {
  const entity = service(skewed(SERVICES))
  const metric = pick(METRICS)
  const tenant = `tenant-${i % TENANTS}`
  return {
    id: `ano_${i.toString(36).padStart(16, '0')}`,
    series: i % 100_000,
    key: `${tenant}/${metric}{service="${entity}",zone="zone-${skewed(6)}",pod="pod-${skewed(20)}"}`,
    metric,
    labels: { service: entity, zone: `zone-${skewed(6)}`, pod: `pod-${skewed(20)}` },
    entity,
    tenant,
    status: 'open',
    startMs: detectedMs - 20_000,
    endMs: detectedMs,
    detectedMs,
    observed: random(),
    expected: random(),
    lower: random(),
    upper: random(),
    direction: 'spike',
    surprise: 4 + random(),
    tailProbability: 1e-5 * random(),
    score: 100 * random(),
    severity: 'minor',
    imputed: false,
    confidence: random(),
    detectors: [{ id: 'seasonal@1', share: 1 }],
    why: [`${entity} ${metric} ${random()}, expected ${random()}`],
  }
}

/** The record: every thing is told when it opens, and again, changed, when it ends. */
function* entries(): Generator<RecordEntry> {
  const total = disruptions + anomalies
  const told = (one: Disruption, type: 'opened' | 'updated' | 'resolved'): RecordEntry => ({
    type: 'disruption',
    event: { id: `${one.id}.${one.revision}`, type, timeMs: Date.parse(one.updatedAt), disruption: one },
  })
  let made = 0
  for (let i = 0; i < total; i++) {
    const timeMs = END_MS - YEAR_MS + Math.floor((i / total) * YEAR_MS)
    if (Math.floor(((i + 1) * disruptions) / total) > made) {
      const one = disruption(made++, timeMs)
      yield told(one, 'opened')
      yield told({ ...one, revision: 2, supersedes: 1 }, 'updated')
      const resolvedAt = iso(timeMs + 60_000 * (1 + skewed(500)))
      yield told({ ...one, revision: 3, supersedes: 2, status: 'resolved', resolvedAt }, 'resolved')
    } else {
      const one = anomaly(i, timeMs)
      yield { type: 'anomaly', event: 'opened', anomaly: one }
      const closed = { ...one, status: 'closed', endMs: timeMs + 10_000 * (1 + skewed(200)) } as const
      yield { type: 'anomaly', event: 'closed', anomaly: closed }
    }
  }
}

async function open(dir: string): Promise<RecordIndex> {
  if (engine === 'memory')
    return new MemoryIndex({ disruptionsMax: disruptions + 1, anomaliesMax: anomalies + 1 })
  if (engine === 'duckdb')
    return DuckDbIndex.open({
      path: join(dir, 'index.duckdb'),
      retentionMs: 2 * YEAR_MS,
      onWarning: console.warn,
    })
  if (!values.url) throw new Error('--url names the server')
  const index = { url: values.url, schema: 'bench', retentionMs: 2 * YEAR_MS, clock: () => END_MS }
  const client = new pg.Client({ connectionString: values.url })
  await client.connect()
  await client.query('DROP SCHEMA IF EXISTS bench CASCADE')
  await client.end()
  return new PostgresIndex(index)
}

async function load(index: RecordIndex): Promise<void> {
  let lines: RecordLine[] = []
  let [seq, bytes, spentMs, cpuMs] = [0, 0, 0, 0]
  const apply = async () => {
    const [started, cpu] = [performance.now(), process.cpuUsage()]
    await index.apply(lines)
    spentMs += performance.now() - started
    const used = process.cpuUsage(cpu)
    cpuMs += (used.user + used.system) / 1000
    lines = []
  }
  for (const entry of entries()) {
    seq++
    if (seq % 100 === 0) bytes += 100 * JSON.stringify(entry).length
    lines.push({ seq, timeMs: END_MS, id: `l${seq}`, entry })
    if (lines.length === BATCH) await apply()
    if (seq % 200_000 === 0)
      process.stderr.write(`${seq} lines, ${Math.round((1000 * seq) / spentMs)} lines/s\n`)
  }
  await apply()
  print('lines', seq)
  print('JSON of the lines, MB', Math.round(bytes / 1e6))
  print('lines/s, wall', Math.round((1000 * seq) / spentMs))
  print('µs CPU a line, this process', Math.round((1000 * cpuMs) / seq))
}

function print(what: string, value: number | string): void {
  process.stdout.write(`${engine.padEnd(9)} ${what.padEnd(44)} ${value}\n`)
}

async function timed(what: string, ask: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < 10; i++) await ask()
  const took: number[] = []
  for (let i = 0; i < asks; i++) {
    const started = performance.now()
    await ask()
    took.push(performance.now() - started)
  }
  took.sort((a, b) => a - b)
  const at = (q: number) => took[Math.min(took.length - 1, Math.floor(q * took.length))].toFixed(1)
  print(what, `p50 ${at(0.5)}  p99 ${at(0.99)}  max ${at(1)} ms`)
}

async function ask(index: RecordIndex): Promise<void> {
  const tenant = () => `tenant-${Math.floor(random() * TENANTS)}`
  const someId = () =>
    `dis_${Math.floor(random() * disruptions)
      .toString(36)
      .padStart(16, '0')}`
  const anyDay = () => {
    const fromMs = END_MS - Math.floor(random() * YEAR_MS)
    return { fromMs, toMs: fromMs + 86_400_000 }
  }
  await timed('disruptions: newest 50 of a tenant', () => index.disruptions({ tenant: tenant(), limit: 50 }))
  await timed('disruptions: newest 50 of all', () => index.disruptions({ limit: 50 }))
  await timed('disruptions: open ones', () => index.disruptions({ status: 'open', limit: 50 }))
  await timed('disruptions: 50 of an entity', () =>
    index.disruptions({ tenant: tenant(), entity: service(skewed(SERVICES)), limit: 50 }),
  )
  await timed('disruptions: 50 of one day', () =>
    index.disruptions({ tenant: tenant(), ...anyDay(), limit: 50 }),
  )
  let cursor: string | null = null
  await timed('disruptions: next page of 50', async () => {
    const page = await index.disruptions({ tenant: 'tenant-1', limit: 50, ...(cursor ? { cursor } : {}) })
    cursor = page.next
  })
  await timed('disruption by id', () => index.disruption(someId()))
  await timed('similar, 10', () => index.similar(someId(), 10))
  await timed('anomalies: newest 50 of a tenant', () => index.anomalies({ tenant: tenant(), limit: 50 }))
  await timed('anomalies: 50 of an entity', () =>
    index.anomalies({ tenant: tenant(), entity: service(skewed(SERVICES)), limit: 50 }),
  )
  await timed('anomalies: 50 of one day', () => index.anomalies({ tenant: tenant(), ...anyDay(), limit: 50 }))
}

async function sizes(dir: string): Promise<void> {
  print('RSS, MB', Math.round(process.memoryUsage().rss / 1e6))
  if (engine === 'duckdb') print('file, MB', Math.round(statSync(join(dir, 'index.duckdb')).size / 1e6))
  if (engine !== 'postgres') return
  const client = new pg.Client({ connectionString: values.url as string })
  await client.connect()
  const found = await client.query(
    `SELECT p.relname AS name, sum(pg_total_relation_size(i.inhrelid))::bigint AS bytes, sum(pg_indexes_size(i.inhrelid))::bigint AS indexes
     FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace n ON n.oid = p.relnamespace
     WHERE n.nspname = 'bench' AND p.relkind = 'p' GROUP BY 1 ORDER BY 1`,
  )
  for (const { name, bytes, indexes } of found.rows)
    print(`${name}, MB (of it indexes)`, `${Math.round(bytes / 1e6)} (${Math.round(indexes / 1e6)})`)
  await client.end()
}

const dir = mkdtempSync(join(tmpdir(), 'foreshock-index-'))
try {
  let index = await open(dir)
  await load(index)
  if (engine === 'postgres') {
    const client = new pg.Client({ connectionString: values.url as string })
    await client.connect()
    await client.query('VACUUM ANALYZE')
    await client.end()
  }
  if (engine === 'duckdb') {
    await index.close()
    const started = performance.now()
    index = await open(dir)
    print('open again, ms', Math.round(performance.now() - started))
  }
  await ask(index)
  await sizes(dir)
  await index.close()
} finally {
  rmSync(dir, { recursive: true, force: true })
}
