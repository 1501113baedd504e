// Shows that a thread which loops for ever is noticed (a real one): who waits for its answer is told, standing still or not, and so
// is whoever waits for nothing; then it is ended. That what goes on is never taken for hung, however long it takes in all, and that time
// in which this process stood still counts for little (property over looks).
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config.ts'
import { Patience } from '../../src/shards/patience.ts'
import { Shard } from '../../src/shards/shard.ts'

const PATIENCE_MS = 300

function looping(): { readonly shard: Shard; readonly lost: Promise<string> } {
  const bell = new SharedArrayBuffer(4)
  const data = { config: parseConfig({}), shard: 3, shards: 4, modelFolders: undefined }
  const limits = { rows: 64, heapMegabytes: 64, patienceMs: PATIENCE_MS }
  let told: (reason: string) => void = () => {}
  const lost = new Promise<string>(done => {
    told = done
  })
  const events = { aside: () => {}, said: () => {}, lost: (reason: string) => told(reason) }
  const module = new URL('looping-worker.js', import.meta.url)
  return { shard: new Shard(data, limits, bell, events, module), lost }
}

describe('a thread that loops for ever', () => {
  const word = new RegExp(`worker 3 has ended: it hangs: nothing .* within ${PATIENCE_MS} ms`)

  it('is told of to who waits for its answer, standing still or not, and then ends', async () => {
    const { shard, lost } = looping()
    const turn = shard.ask({ op: 'snapshot' })
    const waits = shard.answered(turn)
    await expect(waits).rejects.toThrow(word)
    expect(() => shard.answer(turn)).toThrow(word)
    expect(() => shard.give(1, undefined)).toThrow(word)
    expect(await lost).toContain('it hangs')
    await shard.close()
  })

  it('is told of to who stands still', async () => {
    const { shard } = looping()
    const turn = shard.ask({ op: 'snapshot' })
    expect(() => shard.answer(turn)).toThrow(word)
    await shard.close()
  })

  it('is told of though nobody waits', async () => {
    const { shard, lost } = looping()
    shard.tell({ op: 'let-go' })
    shard.hold(true)
    expect(await lost).toContain('it hangs')
    await shard.close()
  })
})

describe('patience', () => {
  const look = fc.record({
    passedMs: fc.integer({ min: 0, max: 10_000 }),
    isWaiting: fc.boolean(),
    moves: fc.boolean(),
  })

  it('is over when what is waited for stood still for as long, looks being no more than two seconds apart', () => {
    fc.assert(
      fc.property(fc.array(look, { maxLength: 40 }), fc.integer({ min: 1, max: 20_000 }), (looks, mostMs) => {
        const patience = new Patience(mostMs)
        let [nowMs, progress, stoodMs, wasWaiting] = [0, 0, 0, true]
        expect(patience.isOver(true, progress, nowMs)).toBe(false)
        for (const { passedMs, isWaiting, moves } of looks) {
          nowMs += passedMs
          if (moves) progress++
          stoodMs = wasWaiting && isWaiting && !moves ? stoodMs + Math.min(passedMs, 2000) : 0
          expect(patience.isOver(isWaiting, progress, nowMs)).toBe(stoodMs >= mostMs)
          wasWaiting = isWaiting
        }
      }),
    )
  })
})
