// Shows that series cross to a worker as they are, whatever their labels hold and however many pieces they come in; property.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { SeriesMeta } from '../../src/core/series.ts'
import { forEachTold, toldSeries } from '../../src/shards/told-series.ts'

const metaArbitrary: fc.Arbitrary<SeriesMeta> = fc.record({
  key: fc.string({ unit: 'grapheme' }),
  tenant: fc.constant('default'),
  metric: fc.string(),
  labels: fc.dictionary(fc.string(), fc.string({ unit: 'grapheme' })),
  entity: fc.string({ unit: 'grapheme' }),
  unit: fc.constant(''),
  kind: fc.constant('other' as const),
  bad: fc.constant('both' as const),
})

it('hands over what was told, in its order', () => {
  fc.assert(
    fc.property(fc.array(metaArbitrary, { maxLength: 20 }), fc.nat(700), (some, more) => {
      // Several pieces: the same ones again.
      const metas = Array.from({ length: some.length === 0 ? 0 : more }, (_, i) => some[i % some.length])
      const series = metas.map((_, i) => 3 * i)
      const rows = metas.map((_, i) => i + 7)
      const heard: unknown[] = []
      forEachTold(
        toldSeries(series, rows, row => metas[row / 3]),
        (...told) => heard.push(told),
      )
      expect(heard).toEqual(metas.map((meta, i) => [i + 7, 3 * i, JSON.parse(JSON.stringify(meta))]))
    }),
    { numRuns: 60, seed: 11 },
  )
})
