// Shows that so many messages arrive at a time and no more, the others in their order; that who takes too long is given up while
// others wait, and only then; and that nobody who has gone is waited for.
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { type Awaited, MessageTurns } from '../../src/serve/message-turns.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function messages(count: number) {
  const events: string[] = []
  const all = Array.from(
    { length: count },
    (_, i): Awaited => ({
      begin: () => events.push(`${i} begins`),
      giveUp: ({ code }) => events.push(`${i} ${code}`),
    }),
  )
  return { events, all, told: () => events.splice(0) }
}

it('gives turns in the order of coming, and refuses whom there is no room to wait for', () => {
  const turns = new MessageTurns(2, 2)
  const { all, told } = messages(6)
  for (const one of all.slice(0, 5)) turns.take(one)
  expect(told()).toEqual(['0 begins', '1 begins', '4 FS_OVERLOADED'])
  turns.leave(all[2])
  turns.leave(all[1])
  turns.take(all[5])
  expect(told()).toEqual(['3 begins'])
  for (const i of [1, 4, 0, 0]) turns.leave(all[i])
  expect(told()).toEqual(['5 begins'])
  for (const one of all) turns.leave(one)
  turns.take(all[0])
  expect(told()).toEqual(['0 begins'])
  expect(vi.getTimerCount()).toBe(0)
})

it('gives up the longest on its way while others wait, for as long as they do', () => {
  const turns = new MessageTurns(2, 10)
  const { all, told } = messages(4)
  turns.take(all[0])
  vi.advanceTimersByTime(60_000)
  turns.take(all[1])
  expect(told()).toEqual(['0 begins', '1 begins'])
  turns.take(all[2])
  turns.take(all[3])
  vi.advanceTimersByTime(1000)
  expect(told()).toEqual(['2 begins', '0 FS_OVERLOADED'])
  vi.advanceTimersByTime(3000)
  expect(told()).toEqual([])
  vi.advanceTimersByTime(1000)
  expect(told()).toEqual(['3 begins', '1 FS_OVERLOADED'])
  vi.advanceTimersByTime(60_000)
  expect(told()).toEqual([])
  expect(vi.getTimerCount()).toBe(0)
})
