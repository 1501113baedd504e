// Shows that scoring in threads finds what scoring in the pipeline's own thread finds: with one worker every event, every
// anomaly and every byte of what is learned, tiers, pools and budgets included; with several the same faults. Whatever the
// threads' timing the same comes out, and however finely their work here is sliced, when series are evicted and rows used again too: property over seeds and pauses. State
// goes from no worker to one, from one to several and back again or is learned anew with a word, and a worker that dies is
// told of at once.
import { isDeepStrictEqual } from 'node:util'
import type { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { cutAt } from '../../src/checkpoint.ts'
import type { Checkpoint } from '../../src/core/ports.ts'
import type { SliceOptions } from '../../src/slices.ts'
import { CheckpointEncoder, decodeCheckpoint } from '../../src/store/checkpoint-format.ts'
import { encoded } from '../store/encoded.ts'
import { fleetEnvelopes, ShardWorld, settings } from './shard-world.ts'

const TIERED = settings('1d', 12)
const RICH = settings('1d', 1_000_000)
const CHURNING = settings('6m', 12)
const MANY = { ...TIERED, ingest: { ...TIERED.ingest, maxSeries: 10_000 } }
/** As finely as can be. */
const FINE: SliceOptions = { above: 0, ms: 0 }

const open: ShardWorld[] = []
function world(config: typeof TIERED, workers: number, slices?: SliceOptions): ShardWorld {
  const made = new ShardWorld(config, workers, slices && { slices })
  open.push(made)
  return made
}
afterEach(async () => {
  await Promise.all(open.splice(0).map(one => one.close()))
})

/** Learned state, in a form that compares NaN and −0 as bytes. */
function bytesOf({ parts }: Checkpoint) {
  return parts.map(({ id, version, rows, keys, columns, meta }) => ({
    id,
    version,
    rows: rows instanceof Uint32Array ? [...rows] : rows,
    keys,
    meta,
    columns: Object.entries(columns).map(([name, { buffer, byteOffset, byteLength }]) => [
      name,
      Buffer.from(buffer, byteOffset, byteLength).toString('latin1'),
    ]),
  }))
}

function decoded(bytes: Buffer): Promise<Checkpoint> {
  let at = 0
  return decodeCheckpoint(async into => {
    into.set(bytes.subarray(at, at + into.length))
    at += into.length
  })
}

/** What a person is told: which entities were disrupted when, and when that was over. */
function faultsOf({ told }: ShardWorld): string[] {
  return told.flatMap(line =>
    (JSON.parse(line)[2] as { type: string; timeMs: number; disruption: { entity: string } }[])
      .filter(({ type }) => type !== 'updated')
      .map(({ type, timeMs, disruption }) => `${disruption.entity} ${type} ${timeMs}`),
  )
}

/** What is told of the budget that series of all workers share. */
function sharedOf({ parts }: ShardWorld) {
  return parts.scoring.alerting?.()?.budgets.find(({ name }) => name === 'shared')
}

/** How many series each profile holds. */
function heldBy({ parts }: ShardWorld) {
  return parts.scoring.profileUse?.()?.profiles.map(({ profile, series }) => [profile, series])
}

/** Compared so that a difference does not print all of it. */
function expectSame(a: unknown, b: unknown): void {
  expect(isDeepStrictEqual(a, b)).toBe(true)
}

describe('one worker', () => {
  for (const [name, config] of [
    ['with tiers', TIERED],
    ['where all are rich', RICH],
  ] as const)
    it(`says and learns what none would, to the byte, ${name}`, async () => {
      const envelopes = fleetEnvelopes({}, 0, 110)
      const [inline, beside] = [world(config, 0), world(config, 1)]
      await inline.take(envelopes)
      await beside.take(envelopes, i => (i % 40 === 0 ? 3 : 0))
      await inline.pipeline.finish(++inline.position)
      await beside.pipeline.finish(++beside.position)
      expectSame(beside.told, inline.told)
      expect(faultsOf(inline).length).toBeGreaterThan(0)
      expectSame(bytesOf(await beside.cut()), bytesOf(await inline.cut()))
      expect(beside.parts.scoring.anomalies().map(({ id }) => id)).toEqual(
        inline.parts.scoring.anomalies().map(({ id }) => id),
      )
      expect(beside.parts.scoring.detectors).toEqual(inline.parts.scoring.detectors)
      expect(beside.parts.scoring.profileUse()).toEqual(inline.parts.scoring.profileUse())
      expect(beside.parts.scoring.pool()).toEqual(inline.parts.scoring.pool())
      expect(beside.parts.scoring.alerting?.()).toEqual(inline.parts.scoring.alerting?.())
    })
})

describe('several workers', () => {
  it('find the faults that one thread finds', async () => {
    const envelopes = fleetEnvelopes({ services: 12, strange: [2, 7] }, 0, 110)
    const [inline, beside] = [world(RICH, 0), world(RICH, 2)]
    await inline.take(envelopes)
    await beside.take(envelopes)
    await inline.pipeline.finish(++inline.position)
    await beside.pipeline.finish(++beside.position)
    expect(faultsOf(inline).length).toBeGreaterThan(1)
    expect(faultsOf(beside)).toEqual(faultsOf(inline))
    const { scoring } = beside.parts
    const workers = 'workers' in scoring ? scoring.workers() : []
    expect(workers.every(({ series, rows }) => series > 0 && rows > 0)).toBe(true)
    expect(workers.reduce((sum, { series }) => sum + series, 0)).toBe(beside.parts.series.size)
    // What is promised of a budget that series of both share is what one thread promises, at one threshold: its own.
    for (const one of [beside, inline]) await one.cut()
    const [apart, alone] = [sharedOf(beside), sharedOf(inline)]
    expect(alone?.achievedPerWeek).toBeGreaterThan(0)
    expect(apart).toEqual(alone)
    expect(apart?.openSurpriseLeast).toBe(apart?.openSurpriseMost)
  })
})

describe('timing', () => {
  it('changes nothing: pauses, series that are evicted and rows used again', async () => {
    const pauses = fc.array(fc.nat(4), { minLength: 5, maxLength: 20 })
    await fc.assert(
      fc.asyncProperty(fc.nat(1000), pauses, async (seed, pauses) => {
        const envelopes = fleetEnvelopes({ churn: true, seed }, 0, 60)
        const workers = 1 + (seed % 2)
        const [quick, slow] = [world(CHURNING, workers), world(CHURNING, workers, FINE)]
        await quick.take(envelopes)
        await slow.take(envelopes, i => (i % 3 === 0 ? (pauses[i % pauses.length] ?? 0) : 0))
        expectSame(slow.told, quick.told)
        expectSame(bytesOf(await slow.cut()), bytesOf(await quick.cut()))
        expect(quick.parts.series.freeRows().length + quick.parts.series.size).toBeGreaterThan(40)
        expect(quick.lost).toEqual([])
      }),
      { numRuns: 2, seed: 5 },
    )
  })
})

describe('slices', () => {
  for (const workers of [1, 2])
    it(`of what this thread does with a window change nothing, however fine, beside ${workers}`, async () => {
      const envelopes = fleetEnvelopes({ services: 450 }, 0, 6)
      // With one worker what comes out is what comes out of none.
      const [whole, sliced] = [world(MANY, workers === 1 ? 0 : workers), world(MANY, workers, FINE)]
      await whole.take(envelopes)
      await sliced.take(envelopes, i => (i % 900 === 0 ? 2 : 0))
      await whole.pipeline.finish(++whole.position)
      await sliced.pipeline.finish(++sliced.position)
      expect(whole.parts.series.size).toBeGreaterThan(2200)
      expectSame(sliced.told, whole.told)
      expectSame(bytesOf(await sliced.cut()), bytesOf(await whole.cut()))
    })

  it('have their turns while bodies come one after the other', async () => {
    const sliced = world(MANY, 1, FINE)
    await sliced.take(fleetEnvelopes({ services: 450 }, 0, 3))
    let windows = 0
    sliced.pipeline.afterWindow = () => windows++
    // Nobody waits for a turn of the event loop, and no further window is complete.
    await sliced.take(fleetEnvelopes({ services: 450 }, 3, 4))
    expect(windows).toBeGreaterThan(0)
  })
})

describe('state', () => {
  const first = fleetEnvelopes({}, 0, 80)
  const second = fleetEnvelopes({}, 80, 110)

  it('goes from no worker to one and back, as from none to none, to the byte', async () => {
    const start = world(TIERED, 0)
    await start.take(first)
    const saved = await start.cut()
    const chain = async (workers: number) => {
      const middle = world(TIERED, workers).restore(saved)
      const open = middle.parts.scoring.anomalies()
      await middle.take(second.slice(0, 100))
      const end = world(TIERED, 0).restore(await middle.cut())
      await end.take(second.slice(100))
      return { open, told: [...middle.told, ...end.told], state: bytesOf(await end.cut()) }
    }
    const [none, one] = [await chain(0), await chain(1)]
    expectSame(one.open, none.open)
    expectSame(one.told, none.told)
    expect(one.told.length).toBeGreaterThan(0)
    expectSame(one.state, none.state)
  })

  it('is written a piece at a time while windows are scored, and is that of the moment of the cut', async () => {
    const beside = world(TIERED, 1)
    await beside.take(first)
    await beside.pipeline.settle()
    const cutNow = () => cutAt(beside.position, 0, beside.parts.series, beside.stateful)
    const whole = await decoded(encoded(cutNow()))
    const encoder = new CheckpointEncoder(cutNow())
    const blocks: Buffer[] = []
    const write = () => {
      const block = Buffer.alloc(4096)
      const length = encoder.read(block)
      if (length > 0) blocks.push(block.subarray(0, length))
      return length
    }
    for (const one of second) {
      await beside.take([one])
      write()
    }
    while (write() > 0);
    expectSame(bytesOf(await decoded(Buffer.concat(blocks))), bytesOf(whole))
    // One that is given up half-way hinders nobody.
    await beside.pipeline.settle()
    const { cut } = cutNow()
    cut?.next(64)
    cut?.close()
    expectSame(bytesOf(await beside.cut()), bytesOf(await beside.cut()))
  })

  it('is divided among several, goes on with as many, and is learned anew with a word by another number', async () => {
    const inline = world(RICH, 0)
    await inline.take(first)
    const saved = await inline.cut()
    const spent = sharedOf(inline)?.achievedPerWeek
    expect(spent).toBeGreaterThan(0)
    const { admitted } = inline.parts.scoring.pool()
    expect(admitted).toBeGreaterThan(0)
    await inline.take(second)
    const two = world(RICH, 2).restore(saved)
    // What was spent and counted before is not by each of them.
    expect(sharedOf(two)?.achievedPerWeek).toBe(spent)
    expect(two.parts.scoring.pool().admitted).toBe(admitted)
    await two.take(second.slice(0, 100))
    const again = world(RICH, 2).restore(await two.cut())
    expect(sharedOf(again)?.achievedPerWeek).toBe(sharedOf(two)?.achievedPerWeek)
    await again.take(second.slice(100))
    await two.take(second.slice(100))
    expect(again.told).toEqual(two.told.slice(two.told.length - again.told.length))
    expect(faultsOf(two).length).toBeGreaterThan(0)
    expect(faultsOf(two)).toEqual(faultsOf(inline).slice(-faultsOf(two).length))
    expect([...two.warnings, ...again.warnings]).toEqual([])
    const three = world(RICH, 3).restore(await two.cut())
    expect(three.warnings).toEqual([
      expect.stringContaining('2 workers had learned cannot be divided among 3'),
    ])
    await three.take(fleetEnvelopes({}, 110, 112))
  })

  it('of several comes back under its own series, with tiers, while rows are used again', async () => {
    const fleet = { services: 12, strange: [2, 7], churn: true }
    const [before, after] = [fleetEnvelopes(fleet, 0, 80), fleetEnvelopes(fleet, 80, 120)]
    const two = world(CHURNING, 2)
    await two.take(before)
    const saved = await two.cut()
    const told = two.told.length
    const again = world(CHURNING, 2).restore(saved)
    for (const one of [two, again]) {
      await one.take(after)
      await one.pipeline.finish(++one.position)
    }
    expectSame(again.told, two.told.slice(told))
    expect(again.told.length).toBeGreaterThan(5)
    expect(again.warnings).toEqual([])
    expect(heldBy(again)).toEqual(heldBy(two))
  })
})

describe('a worker that dies', () => {
  it('is told of at once, and nothing is scored without it', async () => {
    const beside = new ShardWorld(TIERED, 1, { heapMegabytes: 4 })
    open.push(beside)
    await expect(beside.take(fleetEnvelopes({}, 0, 40))).rejects.toThrow(/worker 0 has ended: .*memory/)
    expect(beside.lost.map(({ message }) => message)).toEqual([expect.stringContaining('worker 0 has ended')])
    await expect(beside.take(fleetEnvelopes({}, 40, 42))).rejects.toThrow(/worker 0 has ended/)
  })

  it('keeps nobody waiting who stands still for its answer, though it could not say that it ended', async () => {
    let thread: Worker | undefined
    process.once('worker', started => {
      thread = started
    })
    const beside = world(TIERED, 1)
    await beside.take(fleetEnvelopes({}, 0, 4))
    await beside.pipeline.settle()
    void thread?.terminate()
    // It is gone for long when it is first waited for.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500)
    expect(() => beside.parts.scoring.snapshot()).toThrow(/worker 0 has ended: its thread ended/)
    expect(beside.lost).toHaveLength(1)
  })
})
