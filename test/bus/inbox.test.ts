// Shows that the inbox processes in journal order, one at a time, answers only what is durable, pushes back when
// too much waits, runs errands between envelopes and drains on close.
import { describe, expect, it } from 'vitest'
import { Inbox } from '../../src/bus/inbox.ts'
import { MemoryJournal } from '../../src/bus/memory-journal.ts'
import { EMPTY_RECEIPT, type Envelope } from '../../src/core/envelope.ts'

const envelope = (size: number, arrivalMs = 0): Envelope => ({
  kind: 'json-lines',
  encoding: 'identity',
  arrivalMs,
  tenant: 'default',
  bytes: new Uint8Array(size),
})
const turn = () => new Promise(done => setImmediate(done))

describe('inbox', () => {
  it('processes one at a time, in order', async () => {
    const order: number[] = []
    let inside = 0
    const inbox = new Inbox(
      new MemoryJournal(),
      async position => {
        expect(++inside).toBe(1)
        await turn()
        inside--
        order.push(position)
        return { ...EMPTY_RECEIPT, samples: position }
      },
      { maxQueuedBytes: 1000 },
    )
    const receipts = await Promise.all([1, 2, 3, 4].map(i => inbox.submit(envelope(i))))
    expect(order).toEqual([1, 2, 3, 4])
    expect(receipts.map(r => r.samples)).toEqual([1, 2, 3, 4])
    expect(inbox).toMatchObject({ queuedBytes: 0, processed: 4 })
  })

  it('pushes back when too much waits, and takes more once it has been worked off', async () => {
    let release = () => {}
    const gate = new Promise<void>(done => {
      release = done
    })
    const inbox = new Inbox(new MemoryJournal(), () => gate.then(() => EMPTY_RECEIPT), {
      maxQueuedBytes: 100,
    })
    const taken = inbox.submit(envelope(90))
    await expect(inbox.submit(envelope(20))).rejects.toMatchObject({ code: 'FS_OVERLOADED' })
    release()
    await taken
    await inbox.submit(envelope(20))
  })

  it('takes one envelope larger than the cap when nothing waits', async () => {
    const inbox = new Inbox(new MemoryJournal(), async () => EMPTY_RECEIPT, { maxQueuedBytes: 10 })
    await expect(inbox.submit(envelope(50))).resolves.toEqual(EMPTY_RECEIPT)
  })

  it('tells the sender when its envelope failed, and goes on', async () => {
    const inbox = new Inbox(
      new MemoryJournal(),
      async position => {
        if (position === 1) throw new Error('no')
        return EMPTY_RECEIPT
      },
      { maxQueuedBytes: 100 },
    )
    const [first, second] = await Promise.allSettled([inbox.submit(envelope(1)), inbox.submit(envelope(1))])
    expect(first.status).toBe('rejected')
    expect(second.status).toBe('fulfilled')
  })

  it('runs errands between envelopes and finishes what waits when closed', async () => {
    const log: string[] = []
    const inbox = new Inbox(
      new MemoryJournal(),
      async position => {
        log.push(`in ${position}`)
        await turn()
        log.push(`out ${position}`)
        return EMPTY_RECEIPT
      },
      { maxQueuedBytes: 100 },
    )
    const first = inbox.submit(envelope(1))
    await turn()
    const errand = inbox.between(async processed => log.push(`errand after ${processed}`))
    const second = inbox.submit(envelope(1))
    await inbox.close()
    await Promise.all([first, second, errand])
    expect(log).toEqual(['in 1', 'out 1', 'errand after 1', 'in 2', 'out 2'])
    await expect(inbox.submit(envelope(1))).rejects.toMatchObject({ code: 'FS_OVERLOADED' })
  })
})
