// Shows that any number of shapes that no series has any more comes back from a checkpoint: as many as label names were made up.
import { expect, it } from 'vitest'
import { SeriesShapes } from '../../src/core/series-shapes.ts'

it('come back with however many free numbers', () => {
  const shapes = new SeriesShapes()
  const free = Array.from({ length: 200_000 }, (_, number) => number)
  shapes.restore({ shapes: [], numbers: [], free })
  expect(shapes.snapshot()).toEqual({ shapes: [], numbers: [], free })
})
