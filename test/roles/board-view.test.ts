// Shows that a gateway's board is new as soon as a stage said so, long before it would be read anyway, and that a word
// that nobody can carry keeps nothing from the board. The channel and the board are those in memory.
import { expect, it, vi } from 'vitest'
import type { Disruption } from '../../src/core/disruption.ts'
import { BoardView, withNews } from '../../src/roles/board-view.ts'
import { MemoryBoard } from '../../src/store/memory-board.ts'
import { MemoryChannel } from '../../src/store/memory-channel.ts'
import { MemorySilences } from '../../src/store/memory-silences.ts'

const one = { id: 'dis_1', tenant: 'default', status: 'open', score: 80 } as Disruption

it('is read at once when it is said to be new', async () => {
  const [board, channel] = [new MemoryBoard(), new MemoryChannel()]
  const view = new BoardView(board, new MemorySilences())
  try {
    await view.refresh()
    await view.listen(channel)
    expect(view.disruptions).toEqual([])
    await withNews(board, channel).publish('stage-0', [one])
    await vi.waitFor(() => expect(view.disruptions).toEqual([one]), { timeout: 500, interval: 5 })
  } finally {
    view.stop()
  }
})

it('is published also when nobody can be told', async () => {
  const board = new MemoryBoard()
  const channel = new MemoryChannel()
  channel.publish = () => Promise.reject(new Error('away'))
  await withNews(board, channel).publish('stage-0', [one])
  expect(await board.list()).toEqual([one])
})
