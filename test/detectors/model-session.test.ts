// Shows that a thread which hangs is replaced also where it hangs on a call that was given up while it was at the one before.
import { afterEach, expect, it, vi } from 'vitest'
import { ThreadedSession } from '../../src/detectors/model-session.ts'
import type { ModelThread, ThreadEvents } from '../../src/detectors/model-thread.ts'

/** A thread that answers when it is told to. */
class Thread implements Pick<ModelThread, 'listen' | 'room' | 'ask' | 'abandon' | 'close'> {
  readonly card = { id: 'm', version: 1, input: { width: 1 }, output: { width: 1 } }
  readonly proof = { runtime: 'tfjs', parity: 0, msPer256Rows: 0 }
  readonly room = 1024
  readonly ask = vi.fn()
  readonly abandon = vi.fn()
  #events: ThreadEvents | undefined

  listen(events: ThreadEvents): void {
    this.#events = events
  }

  answer(): void {
    this.#events?.answer(Float32Array.of(7))
  }

  async close(): Promise<void> {}
}

afterEach(() => {
  vi.useRealTimers()
})

it('opens a model again whose thread hangs on a call that nobody waits for any more', async () => {
  vi.useFakeTimers()
  const threads = [new Thread(), new Thread()]
  const [first, second] = threads as unknown as ModelThread[]
  const session = new ThreadedSession(
    first,
    async () => second,
    () => {},
  )
  const run = () => session.run(Float32Array.of(1), 1, 100).then(String, ({ message }: Error) => message)
  const [slow, behind] = [run(), run()]
  await vi.advanceTimersByTimeAsync(100)
  expect([await slow, await behind]).toEqual([
    expect.stringContaining('took longer'),
    expect.stringContaining('stuck'),
  ])
  // It comes back, and hangs on the one behind.
  threads[0].answer()
  const next = run()
  await vi.advanceTimersByTimeAsync(100)
  expect(await next).toContain('took longer')
  await vi.advanceTimersByTimeAsync(2000)
  expect(threads[0].abandon).toHaveBeenCalledTimes(1)
  const again = run()
  threads[1].answer()
  expect(await again).toBe('7')
  await session.close()
})
