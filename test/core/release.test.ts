// A column's memory is given back in the same turn, without a collection: resident memory falls by most of what was filled.
import { expect, it } from 'vitest'
import { release } from '../../src/core/release.ts'

const COLUMNS = 20
const VALUES = 1_000_000

it('gives memory back at once', async () => {
  await new Promise(done => setImmediate(done))
  const columns = Array.from({ length: COLUMNS }, (_, i) => new Float64Array(VALUES).fill(i + 1))
  const filled = process.memoryUsage.rss()
  for (const column of columns) release(column)
  expect(filled - process.memoryUsage.rss()).toBeGreaterThan(0.6 * COLUMNS * VALUES * 8)
  expect(columns.every(column => column.length === 0)).toBe(true)
  const shared = new Uint8Array(new SharedArrayBuffer(8)).fill(7)
  release(shared)
  expect(shared.length).toBe(8)
})
