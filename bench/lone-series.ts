import { featureBatch, scoreBatch } from '../src/core/batch.ts'
import { SeriesTable } from '../src/core/series.ts'
import { mulberry32 } from '../src/math/mulberry32.ts'

/** Of a metric that nothing is known of but its name. */
const BARE = {
  tenant: 'default',
  metric: 'm',
  labels: {},
  entity: 'bench',
  unit: '',
  kind: 'other',
  bad: 'both',
} as const

/** A table of `count` series that nothing is known of. */
export function bareSeries(count: number): SeriesTable {
  const series = new SeriesTable(count)
  for (let i = 0; i < count; i++) series.intern({ ...BARE, key: `m{i="${i}"}` })
  return series
}

/** What a detector alone is given: a batch of all of `count` series, room for what it says, full weights; noise for their values. */
export function loneSeries(count: number) {
  const random = mulberry32(1)
  const noise = Float64Array.from({ length: 65_536 }, () => random() + random() + random() - 1.5)
  const batch = featureBatch(count, 0)
  batch.length = count
  const weight = new Float32Array(count).fill(1)
  return { series: bareSeries(count), noise, batch, out: scoreBatch(count), weight }
}
