// Shows that a start finds all that is open in the index, and not the first page of it.
import { expect, it } from 'vitest'
import { allOpen, ended } from '../src/orphans.ts'
import { MemoryIndex } from '../src/store/memory-index.ts'
import { anomaly, BASE_MS } from './store/samples.ts'

it('what nobody knows of any more is told as ended, however much it is', async () => {
  const index = new MemoryIndex()
  const count = 2500
  const lines = Array.from({ length: count }, (_, i) => ({
    seq: i + 1,
    timeMs: BASE_MS + i,
    id: `line-${i}`,
    entry: {
      type: 'anomaly' as const,
      event: 'opened' as const,
      anomaly: anomaly(`ano_${i}`, { status: i % 5 === 0 ? 'closed' : 'open', detectedMs: BASE_MS + i }),
    },
  }))
  await index.apply(lines)
  const open = await allOpen(query => index.anomalies(query))
  expect(new Set(open.map(({ id }) => id)).size).toBe(0.8 * count)
  expect(ended(open, [open[0]])).toHaveLength(0.8 * count - 1)
})
