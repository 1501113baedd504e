// Shows that what a worker holds after a restart is what somebody there looks at: the past of series for a pool, and none without.
import { afterEach, expect, it, vi } from 'vitest'
import { SeriesTable } from '../../src/core/series.ts'
import { WindowHistory } from '../../src/features/history.ts'
import { shardMemory } from '../../src/shards/memory.ts'
import { sent } from '../../src/shards/shard-parts.ts'
import { ShardScoring } from '../../src/shards/shard-scoring.ts'
import { intern } from '../features/windowing.ts'
import { MINUTE_MS, settings, T0 } from './shard-world.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

it('takes the past of series back for a pool only', async () => {
  const config = settings('1d', 1_000_000)
  const { detection } = config
  const series = new SeriesTable(10)
  const row = intern(series, 'a')
  const past = new WindowHistory({ stepMs: MINUTE_MS, depth: 30 }, { series })
  past.fill(row, T0, Float64Array.of(1, 2, 3))
  const taken = vi.spyOn(WindowHistory.prototype, 'restore')
  for (const size of [0, 4]) {
    const memory = shardMemory(8, new SharedArrayBuffer(4))
    const own = { ...config, detection: { ...detection, pool: { ...detection.pool, size } } }
    const data = { config: own, shard: 0, shards: 1, memory, modelFolders: undefined }
    const scoring = new ShardScoring(data, () => {})
    const parts = [sent(past.snapshot())]
    await scoring.call({ op: 'restore', table: series.snapshot(), parts, isOwn: true })
    expect(taken).toHaveBeenCalledTimes(size === 0 ? 0 : 1)
  }
})
