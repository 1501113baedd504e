// Shows that works which go on side by side leave the event loop its turn after one stretch of them all, not one of each; that
// nobody is passed over; and that stretches are short while something presses.
import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { Turns } from '../../src/roles/turns.ts'

const STEP_MS = 5
const WORKS = 8

/** Works of so many steps each, on a clock that only they move: which one made each step, and how many steps each turn of the loop had. */
async function worked(steps: number, pressing?: Promise<void>) {
  let nowMs = 0
  const turns = new Turns(() => nowMs)
  const who: number[] = []
  const ofTurn: number[] = [0]
  let isDone = false
  const loop = async () => {
    for (; !isDone; ofTurn.push(0)) await turn()
  }
  const work = async (nth: number) => {
    for (let i = 0; i < steps; i++) {
      await turns.next()
      nowMs += STEP_MS
      who.push(nth)
      ofTurn[ofTurn.length - 1]++
    }
  }
  if (pressing) void turns.pressing(pressing)
  const watched = loop()
  await Promise.all(Array.from({ length: WORKS }, (_, nth) => work(nth)))
  isDone = true
  await watched
  return { who, ofTurn }
}

it('the event loop has its turn after one stretch, however many there are', async () => {
  const { ofTurn } = await worked(40)
  expect(Math.max(...ofTurn)).toBe(4)
  // Nor has it more turns than that.
  expect(ofTurn.filter(steps => steps === 4).length).toBeGreaterThan((WORKS * 40) / 4 - WORKS)
})

it('all come as far as each other', async () => {
  const { who } = await worked(40)
  const ofEach = (until: number) =>
    Array.from({ length: WORKS }, (_, nth) => who.slice(0, until).filter(one => one === nth).length)
  for (let until = 0; until < who.length; until += 4)
    expect(Math.max(...ofEach(until)) - Math.min(...ofEach(until))).toBeLessThanOrEqual(8)
})

it('a step is a stretch while something presses, and no longer', async () => {
  let done = () => {}
  const pressing = new Promise<void>(resolve => {
    done = resolve
  })
  const all = worked(40, pressing)
  for (let i = 0; i < 100; i++) await turn()
  done()
  const { ofTurn } = await all
  expect(Math.max(...ofTurn.slice(0, 90))).toBe(1)
  expect(Math.max(...ofTurn.slice(110))).toBe(4)
})
