// Shows who changes tier and when: what is due is kept until it is done, however many windows without a row come before the next that
// is scored; and who was made rich is heard from there before it can be made plain again, whatever the step.
import { expect, it } from 'vitest'
import { featureBatch, opinionBatch } from '../../src/core/batch.ts'
import { SeriesTable } from '../../src/core/series.ts'
import { SuspectQueue } from '../../src/detectors/suspect-queue.ts'
import { intern } from '../features/windowing.ts'

const DAY_MS = 86_400_000

/** A queue of windows of so many milliseconds, whose next review is called. */
class World {
  readonly queue: SuspectQueue
  readonly #stepMs: number
  #nowMs = 0

  constructor(stepMs: number) {
    const series = new SeriesTable()
    for (const metric of ['a', 'b', 'c']) intern(series, metric)
    this.#stepMs = stepMs
    this.queue = new SuspectQueue(series, stepMs)
  }

  /** Windows in which nothing was scored. */
  empty(count: number, room = 2): void {
    for (let i = 0; i < count; i++) {
      this.#nowMs += this.#stepMs
      this.queue.review(this.#nowMs, room, () => false)
    }
  }

  /** A window in which one series was strange. */
  strange(row: number, room = 2): void {
    const batch = featureBatch(1, 0)
    const opinions = opinionBatch(1)
    batch.length = 1
    batch.series[0] = row
    opinions.surprise[0] = 5
    for (const _ of this.queue.looking(batch, opinions));
    this.empty(1, room)
  }
}

it('keeps what is due until it is done, though others graduate meanwhile', () => {
  const world = new World(60_000)
  world.strange(0)
  world.queue.due()
  world.empty(298)
  world.strange(1)
  world.empty(10)
  expect(world.queue.due()).toEqual({ up: [1], down: [], graduates: [] })
  world.empty(1)
  expect(world.queue.due()).toEqual({ up: [], down: [], graduates: [0] })
  // Long enough for those that are not even rich yet.
  world.strange(2)
  world.empty(400)
  expect(world.queue.due()).toEqual({ up: [2], down: [], graduates: [] })
  world.empty(1)
  expect(world.queue.due()).toEqual({ up: [], down: [], graduates: [1, 2] })
})

it('makes nobody plain again who is not heard as a rich one yet', () => {
  const stepMs = 600_000
  const world = new World(stepMs)
  world.strange(0)
  world.queue.due()
  world.empty(DAY_MS / stepMs + 1)
  // A day has passed and there is no room: an apprentice stays.
  world.strange(1, 0)
  expect(world.queue.due()).toBeUndefined()
  expect(world.queue.isApprentice(0)).toBe(true)
  world.empty(300 - DAY_MS / stepMs - 3)
  world.strange(1, 0)
  expect(world.queue.due()).toEqual({ up: [1], down: [0], graduates: [0] })
})
