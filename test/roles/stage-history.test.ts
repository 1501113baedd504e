// Shows that the history of a disruption stage is the same after a restart as if there had been none, though a checkpoint
// does not hold it: random windows of three scorers, with series that come and go, slots that are used again, scorers that
// lose their state, partitions that are sealed away, repeats, and a budget that is too small; restarted anywhere.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { WindowWriter } from '../../src/bus/window-report-writer.ts'
import { capture, restore } from '../../src/checkpoint.ts'
import { parseConfig } from '../../src/config.ts'
import { featureBatch, opinionBatch } from '../../src/core/batch.ts'
import type { Checkpoint } from '../../src/core/ports.ts'
import { type SeriesMeta, SeriesTable, seriesKey } from '../../src/core/series.ts'
import { CONTENT, HEADERS, type StoredMessage, TOPICS } from '../../src/core/stream.ts'
import { sealMessage } from '../../src/roles/stage-orders.ts'
import { noEffects, StageWork } from '../../src/roles/stage-work.ts'

const SCORERS = 3
const STEP_MS = 10_000
const DEPTH = 12
const SERIES = 9
const T0 = 1_700_000_000_000

/** Room for twenty series of the twenty-seven that there may be. */
const configOf = (slots = 20, depth = DEPTH) =>
  parseConfig({
    features: { step: '10s', historyWindows: depth, historyBudget: slots * (depth * 20 + 8) },
    detection: { combiner: false },
  })

function metaOf(scorer: number, n: number): SeriesMeta {
  const labels = { service: `s${scorer}-${n % 3}`, instance: `i${n}` }
  const key = seriesKey('latency_seconds', labels)
  const common = { tenant: 'default', metric: 'latency_seconds', unit: 's' } as const
  return { ...common, key, labels, entity: labels.service, kind: 'latency', bad: 'up' }
}

/** One scorer: a table of series, and a writer that is given up with it. */
class Teller {
  readonly #p: number
  #epoch = 0
  #series = new SeriesTable()
  #writer: WindowWriter

  constructor(p: number) {
    this.#p = p
    this.#writer = this.#writerOf()
  }

  #writerOf(): WindowWriter {
    const options = { samplesPartition: this.#p, anomaliesPartitions: 1, stepMs: STEP_MS, epoch: this.#epoch }
    return new WindowWriter(options, this.#series)
  }

  /** Its state is lost: other slots for the same series. */
  restart(): void {
    this.#epoch += 1000
    this.#series = new SeriesTable()
    this.#writer = this.#writerOf()
  }

  forget(n: number): void {
    const row = this.#series.row(metaOf(this.#p, n).key)
    if (row < 0) return
    this.#writer.forget(row)
    this.#series.evict(row)
  }

  tell(windowEndMs: number, present: readonly number[]): Uint8Array[] {
    const rows = present.map(n => [this.#series.intern(metaOf(this.#p, n)), n] as const)
    rows.sort((a, b) => a[0] - b[0])
    const batch = featureBatch(Math.max(1, rows.length), 0)
    const opinions = opinionBatch(Math.max(1, rows.length))
    for (const [i, [row, n]] of rows.entries()) {
      batch.series[i] = row
      batch.windowEndMs[i] = windowEndMs
      batch.observed[i] = ((windowEndMs - T0) / STEP_MS) * 1000 + this.#p * 100 + n
      opinions.expected[i] = n
      opinions.surprise[i] = 0.5
    }
    batch.length = rows.length
    opinions.length = rows.length
    return this.#writer.write(batch, opinions, [], windowEndMs, true).map(one => one.bytes)
  }
}

const happening = fc.record({
  scorer: fc.nat({ max: SCORERS - 1 }),
  present: fc.uniqueArray(fc.nat({ max: SERIES - 1 }), { maxLength: SERIES }),
  forgets: fc.option(fc.nat({ max: SERIES - 1 }), { freq: 3 }),
  what: fc.constantFrom('tell', 'tell', 'tell', 'tell', 'tell', 'tell', 'repeat', 'seal', 'restart'),
})
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never

function logOf(happenings: readonly Happening[]): StoredMessage[] {
  const tellers = Array.from({ length: SCORERS }, (_, p) => new Teller(p))
  const ends = new Array<number>(SCORERS).fill(T0)
  const last: Uint8Array[][] = tellers.map(() => [])
  const log: StoredMessage[] = []
  const put = (value: Uint8Array, content: string) => {
    const headers = { [HEADERS.content]: content }
    const place = { topic: TOPICS.anomalies, partition: 0, offset: log.length, key: null }
    log.push({ ...place, value, headers, timestampMs: Math.max(...ends) })
  }
  for (const { scorer, present, forgets, what } of happenings) {
    if (what === 'repeat') for (const bytes of last[scorer]) put(bytes, CONTENT.window)
    if (what === 'seal') {
      const order = { windowEndMs: Math.max(...ends), partitions: [scorer] }
      put(sealMessage(order, 0, Math.max(...ends)).value, CONTENT.seal)
    }
    if (what === 'restart') {
      tellers[scorer].restart()
      ends[scorer] -= 3 * STEP_MS
    }
    if (what === 'repeat' || what === 'seal') continue
    if (forgets !== null) tellers[scorer].forget(forgets)
    ends[scorer] += STEP_MS
    last[scorer] = tellers[scorer].tell(ends[scorer], present)
    for (const bytes of last[scorer]) put(bytes, CONTENT.window)
  }
  return log
}

const MERGE = { partitions: SCORERS, bytesMax: 1e9, returnMs: 60_000 }

function stageOf(config = configOf()): StageWork {
  return new StageWork(config, 0, MERGE)
}

function saved(work: StageWork): Checkpoint {
  return structuredClone(capture(work.position, 0, work.series, work.stateful))
}

function again(
  checkpoint: Checkpoint,
  log: readonly StoredMessage[],
  first = 0,
  config = configOf(),
): StageWork {
  const work = stageOf(config)
  restore(checkpoint, work.series, work.stateful)
  const { from } = work.begin(checkpoint.position, first)
  const { handledTo } = work.memory
  for (const message of log.slice(from, handledTo)) work.take(message, noEffects())
  expect(work.isRefilling).toBe(false)
  return work
}

/** All windows by series and how far each goes: what does not depend on which place in memory a series has. */
function told({ parts: { history } }: StageWork): unknown {
  const { keys, columns } = history.snapshot()
  const width = columns.rings.length / Math.max(1, keys.length)
  const rings = keys.map(
    (key, i) => [key, columns.newest[i], [...columns.rings.subarray(i * width, (i + 1) * width)]] as const,
  )
  return rings.sort((a, b) => (a[0] < b[0] ? -1 : 1))
}

const bytesOf = ({ parts }: Checkpoint, ids: readonly string[]): number =>
  parts
    .filter(part => ids.includes(part.id))
    .flatMap(part => Object.values(part.columns))
    .reduce((sum, column) => sum + column.byteLength, 0)

/** Every series of every scorer in every window. */
const steady = (windows: number): Happening[] =>
  Array.from({ length: windows * SCORERS }, (_, i) => ({
    scorer: i % SCORERS,
    present: Array.from({ length: SERIES }, (_, n) => n),
    forgets: null,
    what: 'tell' as const,
  }))

describe('the history of a disruption stage', () => {
  it('is what it was, wherever the stage was restarted', { timeout: 60_000 }, () => {
    let refilled = 0
    fc.assert(
      fc.property(
        fc.array(happening, { minLength: 10, maxLength: 150 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 4 }),
        (happenings, shares) => {
          const log = logOf(happenings)
          const whole = stageOf()
          for (const message of log) whole.take(message, noEffects())
          let work = stageOf()
          const stops = shares.map(share => Math.floor(share * log.length)).sort((a, b) => a - b)
          let at = 0
          for (const stop of [...stops, log.length]) {
            for (const message of log.slice(at, stop)) work.take(message, noEffects())
            at = stop
            const before = told(work)
            work = again(saved(work), log)
            expect(told(work)).toEqual(before)
            if ((before as unknown[]).length > 0) refilled++
          }
          expect(told(work)).toEqual(told(whole))
        },
      ),
      { numRuns: 150 },
    )
    expect(refilled).toBeGreaterThan(100)
  })

  it('is not in the checkpoint, and comes from the messages that made it', () => {
    const log = logOf(steady(30))
    const config = configOf(100)
    const work = stageOf(config)
    for (const message of log) work.take(message, noEffects())
    const checkpoint = saved(work)
    expect(bytesOf(checkpoint, ['history'])).toBe(0)
    expect(bytesOf(checkpoint, ['history-outline'])).toBe(SCORERS * SERIES * 16)
    const other = stageOf(config)
    restore(checkpoint, other.series, other.stateful)
    const { from, refill } = other.begin(checkpoint.position, 0)
    expect(refill).toMatchObject({ from: (30 - DEPTH) * SCORERS, windows: DEPTH })
    expect(from).toBe((30 - DEPTH) * SCORERS)
    expect(told(other)).not.toEqual(told(work))
    expect(told(again(checkpoint, log, 0, config))).toEqual(told(work))
  })

  it('starts short where the log no longer reaches back, says so, and forgets about it in time', () => {
    const log = logOf(steady(60))
    const config = configOf(100)
    const work = stageOf(config)
    for (const message of log.slice(0, 30 * SCORERS)) work.take(message, noEffects())
    const late = again(saved(work), log, 25 * SCORERS, config)
    expect(late.missingWindows).toBe(DEPTH - 5)
    const out = new Float64Array(DEPTH)
    const { history, series } = late.parts
    const row = series.row(metaOf(0, 0).key)
    history.observed(row, history.newestEndMs - DEPTH * STEP_MS, history.newestEndMs, out)
    expect([...out].map(Number.isNaN)).toEqual(Array.from({ length: DEPTH }, (_, i) => i < DEPTH - 5))
    // Once more, with what is missing still known to be.
    const later = again(saved(late), log, 25 * SCORERS, config)
    expect(later.missingWindows).toBe(DEPTH - 5)
    for (const message of log.slice(30 * SCORERS, 33 * SCORERS)) later.take(message, noEffects())
    expect(later.missingWindows).toBe(DEPTH - 5 - 3)
    for (const message of log.slice(33 * SCORERS)) later.take(message, noEffects())
    expect(later.missingWindows).toBe(0)
    for (const message of log.slice(30 * SCORERS)) work.take(message, noEffects())
    expect(told(later)).toEqual(told(work))
  })

  it('reads no more than twice its budget again', () => {
    const log = logOf(steady(40))
    const config = configOf(SCORERS * SERIES)
    const work = stageOf(config)
    for (const message of log) work.take(message, noEffects())
    const checkpoint = saved(work)
    // Messages of large fleets are larger than what of them has a place in the history.
    const small = stageOf(configOf(6))
    restore(checkpoint, small.series, small.stateful)
    const { refill } = small.begin(checkpoint.position, 0)
    expect(refill?.bytes).toBeLessThanOrEqual(2 * 6 * (DEPTH * 20 + 8))
    expect(small.missingWindows).toBe(DEPTH - (refill?.windows ?? 0))
    expect(small.missingWindows).toBeGreaterThan(0)
  })

  it('takes over the history of a checkpoint that held it, and keeps it until the log has it', () => {
    const log = logOf(steady(60))
    const config = configOf(100)
    const work = stageOf(config)
    for (const message of log.slice(0, 30 * SCORERS)) work.take(message, noEffects())
    const now = saved(work)
    // As it was written before: rings of all series, and no word of messages.
    const former: Checkpoint = {
      ...now,
      parts: [
        ...now.parts.filter(
          ({ id }) => !['history', 'history-outline', 'stage-history', 'merged-log'].includes(id),
        ),
        structuredClone(work.parts.history.snapshot()),
      ].map(part => {
        const { sinceMs: _, ...columns } = part.columns
        return { ...part, columns }
      }),
    }
    let other = again(former, log, 0, config)
    expect(told(other)).toEqual(told(work))
    for (let at = 30; at < 60; at += 5) {
      const checkpoint = saved(other)
      expect(bytesOf(checkpoint, ['history']) > 0).toBe(at < 30 + DEPTH)
      other = again(checkpoint, log, 0, config)
      for (const one of [work, other])
        for (const message of log.slice(at * SCORERS, (at + 5) * SCORERS)) one.take(message, noEffects())
      expect(told(other)).toEqual(told(work))
    }
  })
})
