// Shows that the plan of a run speaks of files that exist, each at one place, and that what lives by the clock has a process
// to itself: a shared one has once and for all a lower priority.
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { LONG, livesByTheClock, placeOf, together, WAITING } from './plan.ts'

const ROOT = resolve(import.meta.dirname, '..')
const shared = together()

it('speaks of files that exist, each at one place', () => {
  const named = [...WAITING, ...LONG]
  expect(named.filter(path => !existsSync(join(ROOT, path)))).toEqual([])
  expect(new Set([...named, ...shared]).size).toBe(named.length + shared.length)
  expect(shared.length).toBeGreaterThan(100)
  expect(shared.some(livesByTheClock)).toBe(false)
})

it('begins with what waits, and ends with what is short', () => {
  const files = ['test/a.test.ts', LONG[1], shared[0], WAITING[1], LONG[0], WAITING[0]]
  const places = files.map(path => ({ path, place: placeOf(path, shared.includes(path), 100) }))
  const sorted = places.sort((a, b) => a.place[0] - b.place[0] || a.place[1] - b.place[1])
  expect(sorted.map(({ path }) => path)).toEqual([
    WAITING[0],
    WAITING[1],
    shared[0],
    LONG[0],
    LONG[1],
    'test/a.test.ts',
  ])
})
