// Shows when work that goes on in steps lets others have their turns: before a step like the last one would make its stretch too
// long, never where nobody waits, after every step where nobody is to; and that only work is counted.
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Rests } from '../../src/core/rests.ts'

let nowMs = 1000
vi.spyOn(performance, 'now').mockImplementation(() => nowMs)

/** A step of so many ms; whether there is a rest after it. */
async function step(rests: Rests, ms: number): Promise<boolean> {
  nowMs += ms
  const others = rests.rest()
  // Others take their time.
  nowMs += others === undefined ? 0 : 50
  await others
  return others !== undefined
}

async function steps(rests: Rests, lengths: readonly number[]): Promise<boolean[]> {
  const rested: boolean[] = []
  for (const ms of lengths) rested.push(await step(rests, ms))
  return rested
}

describe('rests', () => {
  afterEach(() => {
    nowMs = 1000
  })

  it('come before a step like the last one would make a stretch too long', async () => {
    const rests = new Rests(10)
    rests.begin()
    expect(await steps(rests, [4, 4, 4, 4])).toEqual([false, true, false, true])
    expect(await steps(rests, [1, 7, 1, 1, 1])).toEqual([false, true, false, false, false])
    expect(await steps(rests, [12, 2])).toEqual([true, false])
  })

  it('never come where nobody waits, and always where nobody is to', async () => {
    const [never, always] = [new Rests(Number.POSITIVE_INFINITY), new Rests(0)]
    never.begin()
    always.begin()
    expect(await steps(never, [1e6, 1e6])).toEqual([false, false])
    expect(await steps(always, [0, 1e-3])).toEqual([true, true])
  })

  it('are no work, and a stretch begins after each', async () => {
    const rests = new Rests(10)
    rests.begin()
    const [beganMs, turns] = [rests.workedMs, rests.turns]
    await steps(rests, [4, 4, 4, 4, 3])
    expect(rests.workedMs - beganMs).toBeCloseTo(19)
    expect(rests.turns - turns).toBe(2)
  })
})
