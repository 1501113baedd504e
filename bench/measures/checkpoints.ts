// Checkpoints in Redis: bytes a series, and what saving and restoring cost, of a pipeline that has run for a while.
// node --expose-gc --import tsx bench/measures/checkpoints.ts --redis redis://127.0.0.1:6379 [--series N] [--windows N]
// It is not part of `npm run bench`, which needs nothing but Node; what it saves is removed.
import { parseArgs } from 'node:util'
import { assemble } from '../../src/assembly.ts'
import { capture, restore } from '../../src/checkpoint.ts'
import { parseConfig } from '../../src/config.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { Pipeline } from '../../src/pipeline.ts'
import { RedisCheckpointStores } from '../../src/store/redis-checkpoints.ts'
import { RedisConnection } from '../../src/store/redis-connection.ts'
import { BodyWriter } from '../bodies.ts'
import { collect, cpuNs, type Measured, QUICK, say } from '../measure.ts'

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    redis: { type: 'string', default: 'redis://127.0.0.1:6379' },
    series: { type: 'string', default: QUICK ? '4000' : '100000' },
    windows: { type: 'string', default: QUICK ? '10' : '60' },
  },
})
const count = Number(args.series)
const windows = Number(args.windows)
const STEP_MS = 10_000
const T0 = 1_700_000_000_000
const PREFIX = 'foreshock-bench:'
const NAME = 'samples-0'

const build = () =>
  assemble(parseConfig({ ingest: { maxSeries: Math.max(count, 1_000_000) } }), new Rejects())
const statefulOf = (parts: ReturnType<typeof build>) => [
  parts.intake,
  parts.windows,
  parts.scoring,
  parts.disruptions,
]

const parts = build()
const pipeline = new Pipeline(parts, async () => {}, new Telemetry())
const writer = new BodyWriter()
let position = 0
for (let t = 0; t < windows; t++) {
  const ms = T0 + t * STEP_MS
  for (let first = 0; first < count; first += 1000) {
    const bytes = writer.body(first, Math.min(1000, count - first), t, ms)
    const about = { kind: 'remote-write-1', encoding: 'snappy', tenant: 'default' } as const
    await pipeline.process(++position, { ...about, arrivalMs: ms + 2000, bytes })
  }
}

const connection = new RedisConnection({ url: args.redis, prefix: PREFIX })
const stores = new RedisCheckpointStores({ connection })
const usedBytes = async () =>
  Number(/used_memory:(\d+)/.exec(await connection.run('bench', client => client.info('memory')))?.[1])
const keys = () => connection.run('bench', client => client.keys(`${PREFIX}*`))
const clear = async () => {
  for (const key of await keys()) await connection.run('bench', client => client.unlink(key))
}
await clear()

const checkpoint = capture(position, T0, parts.series, statefulOf(parts))
const store = await stores.claim(NAME)
const before = await usedBytes()
const saved: { wallS: number; cpuNs: number }[] = []
const held: number[] = []
for (let i = 0; i < (QUICK ? 2 : 4); i++) {
  collect()
  const startedMs = performance.now()
  const startedNs = cpuNs()
  await store.save({ ...checkpoint, position: position + i })
  saved.push({ wallS: (performance.now() - startedMs) / 1000, cpuNs: cpuNs() - startedNs })
  held.push((await usedBytes()) - before)
}
const loaded: { wallS: number; cpuNs: number; restoreNs: number }[] = []
for (let i = 0; i < (QUICK ? 2 : 4); i++) {
  collect()
  const startedMs = performance.now()
  const startedNs = cpuNs()
  const found = await (await stores.claim(NAME)).load()
  if (!found) throw new Error('nothing was found')
  const wallS = (performance.now() - startedMs) / 1000
  const loadedNs = cpuNs()
  const again = build()
  restore(found, again.series, statefulOf(again))
  loaded.push({ wallS, cpuNs: loadedNs - startedNs, restoreNs: cpuNs() - loadedNs })
}
const packed = held[0]
await clear()
await connection.close()

const size = `${count / 1000} k series after ${windows} windows`
const rows: Measured[] = [
  {
    id: 'redis.bytes',
    what: `a checkpoint in Redis, ${size}`,
    unit: 'B/series',
    values: [packed / count],
  },
  {
    id: 'redis.kept',
    what: '· with the one before it, as Redis holds it between saves',
    unit: 'B/series',
    values: [held[1] / count],
  },
  { id: 'redis.save.wall', what: `saving it, ${size}`, unit: 's', values: saved.map(one => one.wallS) },
  {
    id: 'redis.save.cpu',
    what: '· of this process, off the event loop for the most part',
    unit: 'µs CPU/series',
    values: saved.map(one => one.cpuNs / 1000 / count),
  },
  {
    id: 'redis.load.wall',
    what: `claiming and loading it, ${size}`,
    unit: 's',
    values: loaded.map(one => one.wallS),
  },
  {
    id: 'redis.load.cpu',
    what: '· of this process',
    unit: 'µs CPU/series',
    values: loaded.map(one => one.cpuNs / 1000 / count),
  },
  {
    id: 'redis.restore.cpu',
    what: '· then putting it back into a pipeline',
    unit: 'µs CPU/series',
    values: loaded.map(one => one.restoreNs / 1000 / count),
  },
]
say(rows)
