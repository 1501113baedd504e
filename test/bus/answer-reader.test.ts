// Shows that frames come out as they went in, wherever reads begin and end: those to the room asked for, those into memory of others, and
// both by turns. What is lent is not written over until it is given back; sizes that none can have end the reading.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AnswerReader } from '../../src/bus/answer-reader.ts'

const frameOf = (answer: Uint8Array): Buffer => {
  const frame = Buffer.alloc(4 + answer.length)
  frame.writeInt32BE(answer.length)
  frame.set(answer, 4)
  return frame
}

/** Reads all bytes as a socket does: as much as there is room for, at most `most`; now and then into memory of its own. */
function feed(
  reader: AnswerReader,
  bytes: Buffer,
  mosts: readonly number[],
  elsewhere: readonly boolean[],
): void {
  for (let at = 0, i = 0; at < bytes.length && reader.fault === ''; i++) {
    const isElsewhere = elsewhere[i % elsewhere.length]
    const room = isElsewhere ? Buffer.alloc(1000) : reader.next()
    const length = Math.min(room.length, mosts[i % mosts.length], bytes.length - at)
    bytes.copy(room, 0, at, at + length)
    reader.took(room.subarray(0, length))
    at += length
  }
}

const answers = fc.array(fc.uint8Array({ minLength: 4, maxLength: 300, size: 'max' }), { maxLength: 8 })
const reads = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 })
const places = fc.array(fc.boolean(), { minLength: 1 })

describe('an answer reader', () => {
  it('gives the frames that went in, however they were cut', () => {
    fc.assert(
      fc.property(answers, reads, places, fc.boolean(), (all, mosts, elsewhere, keeps) => {
        const found: Buffer[] = []
        const lent: Buffer[] = []
        const reader = new AnswerReader(frame => {
          found.push(Buffer.from(frame))
          lent.push(frame)
          expect(reader.lends(frame.subarray(8))).toBe(true)
          if (!keeps) reader.giveBack(frame)
        })
        feed(reader, Buffer.concat(all.map(frameOf)), mosts, elsewhere)
        expect(found).toEqual(all.map(frameOf))
        // What was not given back is still what it was.
        if (keeps) expect(lent).toEqual(found)
      }),
    )
  })

  it('uses its room again once that is given back, and a larger one for a larger frame', () => {
    const rooms: ArrayBufferLike[] = []
    const reader = new AnswerReader(frame => {
      rooms.push(frame.buffer)
      reader.giveBack(frame)
    })
    const small = frameOf(new Uint8Array(1000))
    const large = frameOf(new Uint8Array(200_000).fill(7))
    for (const frame of [small, small, large, small, large]) feed(reader, frame, [70_000], [false])
    expect(rooms[1]).toBe(rooms[0])
    expect(rooms[2]).not.toBe(rooms[1])
    expect(rooms[3]).toBe(rooms[2])
    expect(rooms[4]).toBe(rooms[2])
  })

  it('does not keep a room that became very large', () => {
    const rooms: ArrayBufferLike[] = []
    const reader = new AnswerReader(frame => {
      rooms.push(frame.buffer)
      reader.giveBack(frame)
    })
    feed(reader, frameOf(new Uint8Array(17 * 1024 * 1024)), [2 ** 22], [false])
    feed(reader, frameOf(new Uint8Array(1000)), [2 ** 22], [false])
    expect(rooms.map(room => room.byteLength)).toEqual([17 * 1024 * 1024 + 4, 65_536])
  })

  it('ends at a size that no answer has', () => {
    for (const size of [-1, 0, 3, 2 ** 31 - 1]) {
      const frames: Buffer[] = []
      const reader = new AnswerReader(frame => frames.push(frame))
      const head = Buffer.alloc(8)
      head.writeInt32BE(size)
      feed(reader, head, [8], [false])
      expect(reader.fault).toContain('is none')
      feed(reader, frameOf(new Uint8Array(10)), [8], [false])
      expect(frames).toEqual([])
    }
  })
})
