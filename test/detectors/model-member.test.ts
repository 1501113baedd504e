// Shows learned models as a member of the ensemble: the detector contract holds for a model of single series and for one
// of entities, orders change who speaks between two windows and nothing else, versions keep their own calibration, what
// comes cold speaks at once, what fails is passed over, counted and switched off, pairs are told once, and the budget
// of series is kept, golden signals first. Models are plain functions behind the session's interface.
import { describe, expect, it } from 'vitest'
import { type FeatureBatch, featureBatch, type ScoreBatch, scoreBatch } from '../../src/core/batch.ts'
import type { DetectorContext } from '../../src/core/detector.ts'
import { ForeshockError } from '../../src/core/errors.ts'
import type { MetricKind } from '../../src/core/metric-kind.ts'
import type { ModelOrder, ModelUse, PairedScores } from '../../src/core/model.ts'
import { SeriesTable } from '../../src/core/series.ts'
import type { Snapshot } from '../../src/core/snapshot.ts'
import type { ModelCard } from '../../src/detectors/model-card.ts'
import { ModelMember } from '../../src/detectors/model-member.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { decodeCheckpoint } from '../../src/store/checkpoint-format.ts'
import { encoded } from '../store/encoded.ts'
import { detectorContract, gaussian, testSeries } from './contract.ts'
import { cardOf, digestOf, type Forward, meanOfRow, Shelf } from './model-world.ts'

const STEP_MS = 60_000
const SERIES_CARD = cardOf({ task: 'reconstruction', window: { of: 'series', length: 8 } })
const ENTITY_CARD = cardOf({
  task: 'reconstruction',
  window: { of: 'entity', length: 4, metrics: ['noisy', 'any:1', 'daily', 'kind:other:2'] },
  normalisation: { by: 'running', days: 2 },
})

const by = 'test'
const promote = (version = 1, model = 'probe'): ModelOrder => ({
  op: 'promote',
  model,
  version,
  digest: digestOf(version),
  by,
})
const shadow = (version: number): ModelOrder =>
  ({ ...(promote(version) as object), op: 'shadow' }) as ModelOrder
const canary = (version: number, share: number): ModelOrder =>
  ({ ...(promote(version) as object), op: 'canary', share }) as ModelOrder

/** State of a member that was ordered to use a model and has seen nothing. */
async function promoted(card: ModelCard, stepMs: number): Promise<[Shelf, Snapshot]> {
  const shelf = new Shelf()
  shelf.put(card, meanOfRow)
  const context = { series: new SeriesTable(8), stepMs }
  const member = new ModelMember(context, { size: 64, timeoutMs: 100, openModel: shelf.open })
  expect(await member.order(promote())).toBeUndefined()
  return [shelf, member.snapshot()]
}

const CONTRACT_STEP_MS = 1_800_000
for (const [what, card, together] of [
  ['series', SERIES_CARD, false],
  ['entities', ENTITY_CARD, true],
] as const) {
  const [shelf, start] = await promoted(card, CONTRACT_STEP_MS)
  detectorContract(
    `models@1 over ${what}`,
    (context: DetectorContext) => {
      const member = new ModelMember(context, { size: 64, timeoutMs: 100, openModel: shelf.open })
      member.restore(start)
      return member
    },
    { together, stepMs: CONTRACT_STEP_MS },
  )
}

class World {
  readonly series = new SeriesTable(1000)
  readonly shelf = new Shelf()
  readonly pairs: PairedScores[] = []
  readonly out: ScoreBatch = scoreBatch(256)
  member: ModelMember
  t = 0
  readonly #random = mulberry32(5)
  readonly #size: number

  constructor(size = 100) {
    this.#size = size
    this.member = this.make()
  }

  make(): ModelMember {
    const observe = (pair: PairedScores) =>
      void this.pairs.push({
        ...pair,
        series: pair.series.slice(),
        championSurprise: pair.championSurprise.slice(),
        challengerSurprise: pair.challengerSurprise.slice(),
      })
    const { series, shelf } = this
    return new ModelMember(
      { series, stepMs: STEP_MS },
      { size: this.#size, timeoutMs: 100, openModel: shelf.open, observe, clock: () => 0 },
    )
  }

  add(metric: string, kind: MetricKind = 'latency', entity = 'shop'): number {
    const bad = kind === 'latency' ? 'up' : 'both'
    return this.series.intern({ ...testSeries(`${entity}/${metric}`, kind), metric, entity, bad })
  }

  batch(values: ReadonlyMap<number, number>): FeatureBatch {
    const batch = featureBatch(values.size, 0)
    for (const [row, value] of [...values].sort((a, b) => a[0] - b[0])) {
      const at = batch.length++
      batch.series[at] = row
      batch.observed[at] = value
      batch.windowEndMs[at] = (this.t + 1) * STEP_MS
      batch.coverage[at] = 1
    }
    return batch
  }

  /** One window of noise around 10; `odd` replaces some values. What was said of each row. */
  async window(odd: Readonly<Record<number, number>> = {}): Promise<Map<number, number>> {
    const values = new Map<number, number>()
    for (const [row] of this.series.metas()) values.set(row, 10 + gaussian(this.#random))
    for (const [row, value] of Object.entries(odd)) values.set(Number(row), value)
    const batch = this.batch(values)
    await this.member.score(batch, this.out)
    this.member.learn(batch, new Float32Array(batch.length).fill(1))
    this.t++
    return new Map(Array.from(batch.series, (row, i) => [row, this.out.point[i]]))
  }

  async windows(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.window()
  }
}

function world(versions: readonly (readonly [number, Forward])[], size = 100): World {
  const w = new World(size)
  for (const [version, forward] of versions)
    w.shelf.put(cardOf({ version, task: 'reconstruction', window: { of: 'series', length: 8 } }), forward)
  return w
}

/** The newest value is always taken for the middle: a fair detector of spikes. */
const zeros: Forward = row => Array.from(row, () => 0)

describe('a champion', () => {
  it('costs nothing while nobody is ordered to score', async () => {
    const w = world([])
    w.add('p99')
    expect(w.member.silent).toBe(true)
    await w.windows(3)
    expect(w.out.point[0]).toBeNaN()
    expect(w.member.models()).toEqual([])
  })

  it('finds a spike, says what it expected, and names itself', async () => {
    const w = world([[1, zeros]])
    const row = w.add('p99')
    expect(await w.member.order(promote())).toBeUndefined()
    await w.windows(200)
    const quiet = (await w.window()).get(row)
    const loud = (await w.window({ [row]: 40 })).get(row) as number
    expect(loud).toBeGreaterThan(3.3)
    expect(quiet).toBeLessThan(3)
    expect(w.out.expected[0]).toBeCloseTo(10, 0)
    expect(w.member.spokeAs(row)).toBe('onnx:probe@1')
    expect(w.member.digests([])).toEqual({ 'onnx:probe@1': digestOf(1) })
  })

  it('thinks less of a move in the good direction', async () => {
    const w = world([[1, zeros]])
    const [latency, other] = [w.add('p99', 'latency'), w.add('queue', 'other')]
    await w.member.order(promote())
    await w.windows(200)
    const said = await w.window({ [latency]: 2, [other]: 2 })
    expect(said.get(latency)).toBeLessThan((said.get(other) as number) - 1)
  })

  it('speaks as soon as it was promoted, when others looked at the series before', async () => {
    const w = world([
      [1, meanOfRow],
      [2, zeros],
    ])
    const row = w.add('p99')
    await w.member.order(promote(1))
    await w.windows(60)
    await w.member.order(promote(2))
    expect((await w.window({ [row]: 40 })).get(row)).toBeGreaterThan(2)
    expect(w.member.spokeAs(row)).toBe('onnx:probe@2')
    expect(w.member.models()[0]).toMatchObject({ champion: { version: 2 }, previous: { version: 1 } })
  })

  it('is left as it was by an order that cannot be carried out', async () => {
    const w = world([[1, zeros]])
    w.shelf.put(
      cardOf({ version: 2, task: 'score', window: { of: 'entity', length: 2, metrics: ['p99'] } }),
      () => [0],
    )
    const row = w.add('p99')
    await w.member.order(promote(1))
    await w.windows(30)
    expect(await w.member.order(promote(7))).toContain('probe@7: card.json is missing')
    expect(await w.member.order(promote(2))).toContain('give it another id')
    expect(await w.member.order({ op: 'withdraw', model: 'probe', by })).toContain('no challenger')
    expect(await w.member.order({ op: 'retire', model: 'nobody', by })).toContain('does not score')
    const wrong = { ...promote(1), digest: digestOf(9) } as ModelOrder
    expect(await w.member.order(wrong)).toContain('runs as')
    expect((await w.window()).get(row)).not.toBeNaN()
    expect(w.shelf.opened.filter(session => !session.closed)).toHaveLength(1)
  })

  it('gives way to the one before it, or to silence', async () => {
    const w = world([
      [1, zeros],
      [2, meanOfRow],
    ])
    const row = w.add('p99')
    await w.member.order(promote(1))
    await w.windows(40)
    await w.member.order(promote(2))
    await w.windows(2)
    expect(await w.member.order({ op: 'rollback', model: 'probe', by })).toBeUndefined()
    expect((await w.window()).get(row)).not.toBeNaN()
    expect(w.member.spokeAs(row)).toBe('onnx:probe@1')
    expect(await w.member.order({ op: 'rollback', model: 'probe', by })).toBeUndefined()
    expect(w.member.silent).toBe(true)
    expect((await w.window()).get(row)).toBeNaN()
    expect(w.shelf.opened.every(session => session.closed)).toBe(true)
  })
})

describe('a challenger', () => {
  it('in the shadow changes nothing that is said, and pairs are told once a window', async () => {
    const alone = world([[1, zeros]])
    const both = world([
      [1, zeros],
      [2, meanOfRow],
    ])
    for (const w of [alone, both]) {
      w.add('p99')
      w.add('rate', 'traffic')
      await w.member.order(promote(1))
      await w.windows(30)
    }
    await both.member.order(shadow(2))
    for (let i = 0; i < 40; i++) expect(await both.window()).toEqual(await alone.window())
    expect(both.pairs).toHaveLength(40)
    expect(both.pairs.map(pair => pair.windowEndMs)).toEqual(
      [...both.pairs.keys()].map(i => (31 + i) * STEP_MS),
    )
    const last = both.pairs[39]
    expect(last).toMatchObject({ model: 'probe', champion: 1, challenger: 2, length: 2 })
    expect([...last.series]).toEqual([0, 1])
    expect([...last.challengerSurprise].every(Number.isFinite)).toBe(true)
  })

  it('as a canary speaks for its share of the series, always the same ones', async () => {
    const w = world([
      [1, zeros],
      [2, meanOfRow],
    ])
    const rows = Array.from({ length: 80 }, (_, i) => w.add(`m${i}`))
    await w.member.order(promote(1))
    await w.windows(30)
    await w.member.order(canary(2, 0.25))
    await w.windows(1)
    const speaks = () => rows.filter(row => w.member.spokeAs(row) === 'onnx:probe@2')
    const first = speaks()
    expect(first.length).toBeGreaterThan(8)
    expect(first.length).toBeLessThan(36)
    await w.windows(3)
    expect(speaks()).toEqual(first)
    await w.member.order({ op: 'withdraw', model: 'probe', by })
    await w.windows(1)
    expect(speaks()).toEqual([])
  })

  it('keeps its own calibration when it is promoted', async () => {
    const direct = world([
      [1, meanOfRow],
      [2, zeros],
    ])
    const row = direct.add('p99')
    await direct.member.order(promote(1))
    await direct.windows(30)
    await direct.member.order(shadow(2))
    await direct.windows(100)
    await direct.member.order(promote(2))
    await direct.windows(1)
    const state = direct.member.models()[0]
    expect(state).toMatchObject({ champion: { version: 2 }, challenger: null, previous: { version: 1 } })
    expect(state.champion?.rows).toBeGreaterThan(100)
    expect((await direct.window({ [row]: 40 })).get(row)).toBeGreaterThan(3)
  })
})

describe('a model that fails', () => {
  it('is passed over, counted, and switched off after three windows in a row', async () => {
    const w = world([[1, zeros]])
    const row = w.add('p99')
    await w.member.order(promote(1))
    await w.windows(40)
    const [session] = w.shelf.opened
    session.failure = new ForeshockError('FS_MODEL_RUNTIME', 'stuck')
    expect((await w.window()).get(row)).toBeNaN()
    session.failure = undefined
    expect((await w.window()).get(row)).not.toBeNaN()
    expect(w.member.problem).toBeUndefined()
    session.failure = new ForeshockError('FS_MODEL_RUNTIME', 'stuck')
    await w.windows(3)
    expect(w.member.problem).toContain('switched off: stuck')
    expect(w.member.silent).toBe(true)
    expect(w.member.models()[0].champion).toMatchObject({ failed: 4 })
    const { calls } = session
    await w.windows(2)
    expect(session.calls).toBe(calls)
    expect(await w.member.order(promote(1))).toBeUndefined()
    expect((await w.window()).get(row)).not.toBeNaN()
  })

  it('is counted once for each row, scored or without an answer', async () => {
    let isBroken = false
    const w = world([[1, row => (isBroken ? Array.from(row, () => Number.NaN) : zeros(row))]])
    w.add('p99')
    await w.member.order(promote(1))
    await w.windows(40)
    const { rows } = w.member.models()[0].champion as ModelUse
    isBroken = true
    await w.windows(2)
    expect(w.member.models()[0].champion).toMatchObject({ rows, failed: 2 })
  })

  it('that could not be opened after a restart is tried again beside the windows', async () => {
    const w = world([[1, zeros]])
    const row = w.add('p99')
    await w.member.order(promote(1))
    await w.windows(40)
    const saved = w.member.snapshot()
    w.member = w.make()
    w.member.restore(saved)
    const kept = w.shelf.packages.get('probe@1')
    w.shelf.packages.delete('probe@1')
    await w.windows(4)
    expect(w.member.problem).toContain('cannot be opened')
    expect((await w.window()).get(row)).toBeNaN()
    if (kept) w.shelf.packages.set('probe@1', kept)
    await w.windows(16)
    expect(w.member.problem).toBeUndefined()
    expect((await w.window()).get(row)).not.toBeNaN()
  })

  it('that is opened beside the windows while it is ordered again is open once', async () => {
    const w = world([[1, zeros]])
    const row = w.add('p99')
    await w.member.order(promote(1))
    await w.windows(40)
    const saved = w.member.snapshot()
    await w.member.close()
    w.member = w.make()
    w.member.restore(saved)
    const kept = w.shelf.packages.get('probe@1')
    w.shelf.packages.delete('probe@1')
    await w.window()
    expect(w.member.problem).toContain('cannot be opened')
    if (kept) w.shelf.packages.set('probe@1', kept)
    w.member.reopen()
    expect(await w.member.order(promote(1))).toBeUndefined()
    expect((await w.window()).get(row)).not.toBeNaN()
    expect(w.shelf.opened.filter(session => !session.closed)).toHaveLength(1)
  })

  it('where the log decides, takes its part also when it cannot be opened, and scores from when it can', async () => {
    const w = world([[1, zeros]])
    const row = w.add('p99')
    await w.member.order(promote(1))
    await w.windows(40)
    const card = cardOf({ version: 2, task: 'reconstruction', window: { of: 'series', length: 8 } })
    const strict = await w.member.order(promote(2))
    expect(strict).toContain('FS_MODEL_INVALID')
    const saved = w.member.snapshot()
    w.member = new ModelMember(
      { series: w.series, stepMs: STEP_MS },
      {
        size: 100,
        timeoutMs: 100,
        openModel: w.shelf.open,
        cardOf: (_, version) => (version === 2 ? card : undefined),
      },
    )
    w.member.restore(saved)
    expect(await w.member.order(promote(2))).toBeUndefined()
    const [state] = w.member.models()
    expect([state.champion?.version, state.previous?.version]).toEqual([2, 1])
    expect(state.problem).toContain('cannot be opened')
    expect((await w.window()).get(row)).toBeNaN()
    // Back, and forth again: neither needs it to be there.
    expect(await w.member.order({ op: 'rollback', model: 'probe', by })).toBeUndefined()
    expect((await w.window()).get(row)).not.toBeNaN()
    expect(await w.member.order(promote(2))).toBeUndefined()
    w.shelf.put(card, zeros)
    w.member.reopen()
    await new Promise(done => setImmediate(done))
    expect(w.member.problem).toBeUndefined()
    await w.windows(30)
    expect((await w.window()).get(row)).not.toBeNaN()
  })

  it('has no opinion of the rows on which it answers NaN', async () => {
    const w = world([[1, row => Array.from(row, (_, i) => (row[7] > 2 && i === 0 ? NaN : 0))]])
    const [a, b] = [w.add('p99'), w.add('rate', 'traffic')]
    await w.member.order(promote(1))
    await w.windows(60)
    const said = await w.window({ [a]: 90, [b]: 10 })
    expect(said.get(a)).toBeNaN()
    expect(said.get(b)).not.toBeNaN()
  })
})

describe('what is covered', () => {
  it('is golden signals first, within the budget, and the rest is counted', async () => {
    const w = world([[1, zeros]], 3)
    const others = ['a', 'b', 'c', 'd'].map(name => w.add(name, 'cpu'))
    await w.member.order(promote(1))
    await w.windows(30)
    expect(w.member.models()[0]).toMatchObject({ covered: 3, refused: 1 })
    const golden = w.add('p99', 'latency')
    await w.windows(40)
    const said = await w.window()
    expect(said.get(golden)).not.toBeNaN()
    expect(others.filter(row => !Number.isNaN(said.get(row)))).toEqual(others.slice(0, 2))
    expect(w.member.models()[0]).toMatchObject({ covered: 3, refused: 2 })
    w.member.forget(others[0])
    w.series.evict(others[0])
    await w.windows(40)
    expect(w.member.models()[0]).toMatchObject({ covered: 3, refused: 1 })
  })

  it('is what the scope of the card names', async () => {
    const w = new World()
    const card = cardOf({ task: 'reconstruction', window: { of: 'series', length: 4 }, scope: ['latency'] })
    w.shelf.put(card, zeros)
    w.add('p99', 'latency')
    w.add('cpu', 'cpu')
    await w.member.order(promote(1))
    await w.windows(5)
    expect(w.member.models()[0]).toMatchObject({ covered: 1, refused: 0 })
  })
})

describe('an entity model', () => {
  it('tells which metric is strange, and the entity by the loudest', async () => {
    const w = new World()
    const card = cardOf({
      task: 'reconstruction',
      window: { of: 'entity', length: 4, metrics: ['kind:latency', 'kind:traffic', 'cpu'] },
      normalisation: { by: 'running', days: 1 },
    })
    w.shelf.put(card, zeros)
    const [p99, rate, cpu] = [w.add('p99'), w.add('rate', 'traffic'), w.add('cpu', 'cpu')]
    const p50 = w.add('p50')
    await w.member.order(promote(1))
    await w.windows(300)
    const said = await w.window({ [p99]: 30, [p50]: 10 })
    expect(said.get(p99)).toBeGreaterThan(3)
    expect(said.get(rate)).toBeLessThan(3)
    expect(said.get(cpu)).toBeLessThan(3)
    // Of two latencies the model is shown the stranger.
    expect(said.get(p50)).toBeNaN()
    const incident = (row: number) => w.out.incident[row]
    expect(incident(p99)).toBeGreaterThan(incident(rate))
  })

  it('shares one number for the entity among its metrics by how far they are from usual', async () => {
    const w = new World()
    const card = cardOf({
      task: 'score',
      window: { of: 'entity', length: 2, metrics: ['p99', 'rate'] },
      normalisation: { by: 'running', days: 1 },
    })
    w.shelf.put(card, row => [row[1] * row[1] + row[3] * row[3]])
    const [p99, rate] = [w.add('p99'), w.add('rate', 'traffic')]
    await w.member.order(promote(1))
    await w.windows(300)
    const said = await w.window({ [p99]: 30 })
    expect(said.get(p99)).toBeGreaterThan(3)
    expect(said.get(rate)).toBeLessThan(1)
  })
})

it('goes on after a stop as if it had not stopped, champion, challenger and the one before', async () => {
  const versions = [
    [1, zeros],
    [2, meanOfRow],
    [3, (row: Float32Array) => Array.from(row, value => value / 2)],
  ] as const
  const straight = world(versions)
  const stopped = world(versions)
  for (const w of [straight, stopped]) {
    for (const name of ['a', 'b', 'c']) w.add(name)
    await w.member.order(promote(1))
    await w.windows(25)
    await w.member.order(promote(2))
    await w.member.order(canary(3, 0.5))
    await w.windows(25)
  }
  const part = stopped.member.snapshot()
  const bytes = encoded({ position: 1, savedMs: 0, parts: [part] })
  let at = 0
  const { parts } = await decodeCheckpoint(async into => {
    bytes.copy(into, 0, at, at + into.length)
    at += into.length
  })
  stopped.member = stopped.make()
  stopped.member.restore(parts[0])
  for (let i = 0; i < 30; i++) expect(await stopped.window()).toEqual(await straight.window())
  for (const w of [straight, stopped]) await w.member.order({ op: 'rollback', model: 'probe', by })
  for (let i = 0; i < 5; i++) expect(await stopped.window()).toEqual(await straight.window())
  expect(stopped.member.models()).toEqual(straight.member.models())
})
