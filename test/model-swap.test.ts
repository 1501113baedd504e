// Shows that models are swapped on a running pipeline without losing a window: under 100,000 samples a second, with the
// real host and ONNX models in threads, more than twenty champions follow each other; every window is scored once, by
// one champion, none late by a step; a replay of the journal, whole or from a checkpoint in the middle, repeats every
// opinion and every id.
import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MemoryJournal } from '../src/bus/memory-journal.ts'
import type { ModelOrder } from '../src/core/model.ts'
import { mulberry32 } from './detectors/contract.ts'
import { temporaryFolder } from './e2e/service.ts'
import { ModelWorld, writeShare } from './model-world.ts'

const SERIES = 1000
const STEP_MS = 1000
const SAMPLES_A_WINDOW = 20
/** 20,000 samples each 200 ms: 100,000 a second. */
const PACE_MS = 200
const FLIPS = 22
const WINDOWS_MAX = 150
const START_MS = Date.UTC(2026, 0, 5)
const SHARES = [0.2, 0.5, 0.8]
const CONFIG = {
  features: { step: `${STEP_MS}ms`, lateness: '1ms' },
  ingest: { entityLabels: ['service'] },
  detection: { models: { size: 500, timeout: '5s' } },
}

/** A window of every series, as columnar JSON lines; from the 30th on one of them is in trouble. */
function body(window: number, random: () => number): Uint8Array {
  const times = Array.from({ length: SAMPLES_A_WINDOW }, (_, i) => START_MS + window * STEP_MS + i * 50)
  const lines: string[] = []
  for (let s = 0; s < SERIES; s++) {
    const level = 10 + (s % 7) + (s === 3 && window > 30 ? 40 : 0)
    const values = times.map(() => Math.round(1000 * (level + random())) / 1000)
    lines.push(
      JSON.stringify({
        metric: s % 2 === 0 ? 'memory_bytes' : 'latency_seconds',
        labels: { service: `s${s >> 1}` },
        times,
        values,
      }),
    )
  }
  return new TextEncoder().encode(lines.join('\n'))
}

describe('swapping champions under load', () => {
  const folder = temporaryFolder()
  const journal = new MemoryJournal()
  const digests = SHARES.map((share, i) => writeShare(folder, 'probe', i + 1, share))
  let world: ModelWorld
  const promote = (version: number): ModelOrder => ({
    op: 'promote',
    model: 'probe',
    version,
    digest: digests[version - 1],
    by: 'test',
  })
  /** When the body that ends each window had been offered. */
  const offered = new Map<number, number>()
  let flips = 0
  let middle: Awaited<ReturnType<ModelWorld['checkpoint']>> | undefined

  beforeAll(async () => {
    world = await ModelWorld.open(folder, CONFIG, journal)
    const random = mulberry32(3)
    const bodies = Array.from({ length: 8 }, (_, w) => body(w, random))
    for (const [w, bytes] of bodies.entries()) await world.samples(bytes, START_MS + (w + 1) * STEP_MS)
    expect((await world.order(promote(1), START_MS)).reasons).toEqual([])
    let stop = false
    const flipping = (async () => {
      for (let next = 2; flips < FLIPS && !stop; next = (next % SHARES.length) + 1) {
        const receipt = await world.order(promote(next), START_MS)
        expect(receipt.reasons).toEqual([])
        flips++
      }
    })()
    const taken: Promise<unknown>[] = []
    let dueMs = performance.now()
    for (let w = 8; w < WINDOWS_MAX && (flips < FLIPS || w < 40); w++) {
      const bytes = body(w, random)
      dueMs = Math.max(dueMs + PACE_MS, performance.now())
      await new Promise(done => setTimeout(done, dueMs - performance.now()))
      offered.set(START_MS + w * STEP_MS, performance.now())
      taken.push(world.samples(bytes, START_MS + (w + 1) * STEP_MS))
      if (w === 24) middle = await world.checkpoint()
    }
    stop = true
    await Promise.all([flipping, ...taken])
  }, 120_000)

  afterAll(async () => {
    await world.close()
    rmSync(folder, { recursive: true, force: true })
  })

  it('scores every window once, by one champion, with all its rows', () => {
    expect(flips).toBeGreaterThanOrEqual(FLIPS)
    const ends = world.seen.map(({ endMs }) => endMs)
    expect(ends).toEqual(ends.map((_, i) => START_MS + (i + 1) * STEP_MS))
    expect(world.seen.every(({ rows }) => rows === SERIES)).toBe(true)
    // The first seven were over before anyone was champion.
    const after = world.seen.slice(7)
    const versions = new Set(after.map(({ champion }) => champion?.version))
    expect([...versions].sort()).toEqual([1, 2, 3])
    for (const [i, { champion }] of after.entries()) {
      expect(champion?.failed).toBe(0)
      const before = after[i - 1]?.champion
      // A version that comes anew counts from nothing.
      const goesOn = before?.version === champion?.version && (before?.rows ?? 0) < (champion?.rows ?? 0)
      expect((champion?.rows ?? 0) - (goesOn ? (before?.rows ?? 0) : 0)).toBe(500)
    }
  })

  it('is never late by a step', () => {
    const late = world.seen.flatMap(({ endMs, atMs }) => {
      const from = offered.get(endMs)
      return from === undefined ? [] : [atMs - from]
    })
    expect(late.length).toBeGreaterThan(30)
    expect(Math.max(...late)).toBeLessThan(STEP_MS)
  })

  it('finds the trouble, and its evidence names the version that ran, with its digest', () => {
    const found = world.told.flatMap(({ anomalies }) => anomalies.map(({ anomaly }) => anomaly))
    const named = found
      .flatMap(({ detectors }) => detectors.map(({ id }) => id))
      .filter(id => id.includes(':'))
    expect(named.length).toBeGreaterThan(0)
    for (const id of named) expect(id).toMatch(/^onnx:probe@[123]$/)
    const events = world.told.flatMap(told => told.events)
    for (const { disruption } of events) {
      const models = disruption.replay.models as Record<string, string>
      const ids = disruption.evidence
        .flatMap(one => one.detectors.map(({ id }) => id))
        .filter(id => id.includes(':'))
      for (const id of ids) expect(models[id]).toBe(digests[Number(id.at(-1)) - 1])
    }
    expect(events.length).toBeGreaterThan(0)
  })

  it('is repeated by a replay, whole or from the middle', async () => {
    const digestsOf = (one: ModelWorld) => one.seen.map(({ digest }) => digest)
    const whole = await ModelWorld.open(folder, CONFIG, new MemoryJournal())
    await whole.replay(journal)
    expect(digestsOf(whole)).toEqual(digestsOf(world))
    expect(whole.ids()).toEqual(world.ids())
    await whole.close()
    expect(middle).toBeDefined()
    const rest = await ModelWorld.open(folder, CONFIG, new MemoryJournal())
    await rest.replay(journal, middle)
    expect(rest.parts.scoring.models()[0].problem).toBeUndefined()
    expect(digestsOf(rest)).toEqual(digestsOf(world).slice(-rest.seen.length))
    expect(rest.seen.length).toBeGreaterThan(10)
    await rest.close()
  }, 60_000)
})
