// Shows that the bounded resource of the lab's services is bounded in every way: slots, queue and wait, and that a
// leak takes slots away until they are reclaimed. Random orders of use never exceed the slots.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Bounded, Refused } from '../../src/lab/bounded.ts'

describe('a bounded resource', () => {
  it('queues when full, refuses when the queue is full or the wait too long', async () => {
    const pool = new Bounded(1, 1, 20)
    await pool.acquire()
    const waiting = pool.acquire()
    await expect(pool.acquire()).rejects.toBeInstanceOf(Refused)
    await expect(waiting).rejects.toThrow('no slot became free in time')
    pool.release()
    await pool.acquire()
  })

  it('hands a released slot to whoever waited longest', async () => {
    const pool = new Bounded(1, 5, 1000)
    const order: number[] = []
    await pool.acquire()
    const waiters = [1, 2, 3].map(async name => {
      await pool.acquire()
      order.push(name)
      pool.release()
    })
    pool.release()
    await Promise.all(waiters)
    expect(order).toEqual([1, 2, 3])
  })

  it('is dry after leaks, and whole again once they are reclaimed', async () => {
    const pool = new Bounded(2, 0, 10)
    for (const _ of [1, 2]) {
      await pool.acquire()
      pool.leak()
    }
    await expect(pool.acquire()).rejects.toBeInstanceOf(Refused)
    pool.reclaim()
    await pool.acquire()
    await pool.acquire()
    await expect(pool.acquire()).rejects.toBeInstanceOf(Refused)
  })

  it('never lets more in than it has slots', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.boolean(), { maxLength: 60 }),
        async (slots, steps) => {
          const pool = new Bounded(slots, 3, 1000)
          const held = { now: 0 }
          for (const take of steps) {
            if (take) {
              pool.acquire().then(
                () => held.now++,
                () => undefined,
              )
            } else if (held.now > 0) {
              held.now--
              pool.release()
            }
            await Promise.resolve()
            await Promise.resolve()
            expect(held.now).toBeLessThanOrEqual(slots)
          }
          while (held.now > 0) {
            held.now--
            pool.release()
            await new Promise(done => setImmediate(done))
          }
          expect(pool.use().inUseMean).toBeLessThanOrEqual(slots)
        },
      ),
      { numRuns: 50 },
    )
  })
})
