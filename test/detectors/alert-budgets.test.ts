// Shows that ledgers which tell each other between two windows what became of a shared budget have the threshold that one
// ledger for all series has: property over who joins, who leaves, who alerts, and restarts from what was saved. A budget that is
// each entity's own is nobody else's business.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AlertBudgets } from '../../src/detectors/alert-budgets.ts'
import { SharedBudgets } from '../../src/shards/shared-budgets.ts'

const MINUTE_MS = 60_000
const START_MS = Date.UTC(2026, 2, 2)
const ALL = { name: 'all', alertsPerWeek: 5, isShared: true }
const EACH = { name: 'entity', alertsPerWeek: 2, isShared: false }
const LEDGERS = 3

/** Some ledgers that hear of each other as workers do, and one that has all series. */
class World {
  readonly one = new AlertBudgets(MINUTE_MS, 3)
  parts = Array.from({ length: LEDGERS }, () => new AlertBudgets(MINUTE_MS, 3))
  shared = new SharedBudgets(LEDGERS)
  readonly #joined: { ledger: number; place: number; onePlace: number }[] = []
  #window = 0

  join(ledger: number): void {
    const place = this.parts[ledger].join(ALL, `e${ledger}`)
    this.#joined.push({ ledger, place, onePlace: this.one.join(ALL, `e${ledger}`) })
  }

  /** The last one stays: a budget without series and alerts begins anew where one ledger has all. */
  leave(at: number): void {
    if (this.#joined.length === 1) return
    const [gone] = this.#joined.splice(at % this.#joined.length, 1)
    this.parts[gone.ledger].leave(gone.place)
    this.one.leave(gone.onePlace)
  }

  /** A window in which these series have alerts; returns thresholds after it, of those that have one, and of the one ledger. */
  window(alerts: readonly number[]): { parts: number[]; one: number[] } {
    const endMs = START_MS + ++this.#window * MINUTE_MS
    this.one.pass(endMs)
    for (const ledger of this.parts) ledger.pass(endMs)
    for (const { ledger, place, onePlace } of this.#joined) {
      this.parts[ledger].begin(place, endMs - MINUTE_MS)
      this.one.begin(onePlace, endMs - MINUTE_MS)
    }
    for (const alert of alerts) {
      const of = this.#joined[alert % this.#joined.length]
      this.parts[of.ledger].spend(of.place, endMs)
      this.one.spend(of.onePlace, endMs)
    }
    this.exchange()
    return {
      parts: this.#joined.map(({ ledger, place }) => this.parts[ledger].threshold(place)),
      one: this.#joined.map(({ onePlace }) => this.one.threshold(onePlace)),
    }
  }

  exchange(): void {
    for (const [l, ledger] of this.parts.entries()) this.shared.heard(l, ledger.words() ?? [])
    for (const [l, words] of this.shared.told().entries()) this.parts[l].hear(words)
  }

  restart(): void {
    const saved = this.parts.map(ledger => ledger.saved())
    this.shared = new SharedBudgets(LEDGERS)
    this.parts = saved.map(pools => {
      const ledger = new AlertBudgets(MINUTE_MS, 3)
      ledger.restore(pools)
      return ledger
    })
    for (const joined of this.#joined) joined.place = this.parts[joined.ledger].join(ALL, `e${joined.ledger}`)
    this.exchange()
  }
}

describe('a shared budget', () => {
  it('has one threshold in ledgers that tell each other, that of one ledger for all', () => {
    const step = fc.record({
      joins: fc.array(fc.nat(LEDGERS - 1), { maxLength: 3 }),
      leaves: fc.array(fc.nat(20), { maxLength: 2 }),
      alerts: fc.array(fc.nat(20), { maxLength: 4 }),
      restart: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 30 }), steps => {
        const world = new World()
        // Every ledger is on the clock from the first window.
        for (let l = 0; l < LEDGERS; l++) world.join(l)
        world.window([])
        for (const { joins, leaves, alerts, restart } of steps) {
          for (const ledger of joins) world.join(ledger)
          for (const at of leaves) world.leave(at)
          const { parts, one } = world.window(alerts)
          for (const [i, threshold] of parts.entries()) expect(threshold).toBeCloseTo(one[i], 9)
          if (restart) world.restart()
        }
      }),
      { numRuns: 200, seed: 7 },
    )
  })

  it('is a lower bar where nobody tells of the others: what the words are for', () => {
    const world = new World()
    for (let i = 0; i < 30; i++) world.join(i % LEDGERS)
    const alone = new AlertBudgets(MINUTE_MS, 3)
    let place = 0
    for (let i = 0; i < 10; i++) place = alone.join(ALL, 'e')
    const { parts } = world.window([])
    expect(parts[0] - alone.threshold(place)).toBeCloseTo(Math.log10(LEDGERS), 9)
  })
})

it('says nothing where nothing became of it, and nothing of budgets that are an entity’s own', () => {
  const ledger = new AlertBudgets(MINUTE_MS, 3)
  const own = ledger.join(EACH, 'a')
  ledger.spend(own, START_MS)
  expect(ledger.words()).toBeUndefined()
  const shared = ledger.join(ALL, 'a')
  expect(ledger.words()).toEqual([{ budget: ALL, series: 1, alerts: 0 }])
  expect(ledger.words()).toBeUndefined()
  ledger.leave(shared)
  expect(ledger.words()).toEqual([{ budget: ALL, series: 0, alerts: 0 }])
})

it('is as low after a restart as without one, though its series come back only later', () => {
  const make = () => new AlertBudgets(MINUTE_MS, 3)
  const whole = make()
  whole.pass(START_MS)
  const place = whole.join(EACH, 'a')
  whole.begin(place, START_MS)
  for (let alert = 0; alert < 5; alert++) whole.spend(place, START_MS)
  whole.leave(place)
  const restarted = make()
  restarted.restore(whole.saved())
  let twice = restarted
  for (let hour = 1; hour <= 120; hour++) {
    for (const ledger of [whole, restarted, twice]) ledger.pass(START_MS + 60 * hour * MINUTE_MS)
    if (hour !== 60) continue
    twice = make()
    twice.restore(restarted.saved())
  }
  const threshold = whole.threshold(whole.join(EACH, 'a'))
  expect(restarted.threshold(restarted.join(EACH, 'a'))).toBeCloseTo(threshold, 9)
  expect(twice.threshold(twice.join(EACH, 'a'))).toBeCloseTo(threshold, 9)
})

it('tells of as many entities as there are', () => {
  const ledger = new AlertBudgets(MINUTE_MS, 3)
  const entities = 130_000
  for (let e = 0; e < entities; e++) ledger.join(EACH, `e${e}`)
  ledger.join(EACH, 'e0')
  const [{ pools, openSurpriseLeast, openSurpriseMost }] = ledger.report(START_MS)
  expect(pools).toBe(entities)
  expect(Number(openSurpriseMost) - Number(openSurpriseLeast)).toBeCloseTo(Math.log10(2), 12)
})
