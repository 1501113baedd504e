// Shows that tenants do not know of each other: what one's windows, calls and changes say is the same, byte for byte, with and
// without another tenant that calls its services the same, has them call each other otherwise, and has faults, releases and
// silences of its own at random times. Then what happens at the limits that all share.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { DisruptionOptions } from '../../src/disruptions/options.ts'
import { metaOf } from '../../src/ingest/naming.ts'
import { INTAKE_DEFAULTS } from '../../src/ingest/options.ts'
import { Bench } from './bench.ts'

const START_MS = 1_700_000_000_000
const SERVICES = ['front', 'cart', 'pay', 'bank', 'mail']
const WINDOWS = 110

const METRICS: readonly (readonly [metric: string, unit: string, calm: number, bad: number])[] = [
  ['http_server_request_duration_seconds:p99', 's', 0.05, 0.9],
  ['process_cpu_utilization', 'ratio', 0.3, 0.9],
]
const CALLS: readonly (readonly [metric: string, unit: string, calm: number, bad: number])[] = [
  ['traces_service_graph_request_total:rate', '1/s', 50, 50],
  ['traces_service_graph_request_server_seconds:p99', 's', 0.05, 0.6],
]

const fault = fc.record({
  from: fc.integer({ min: 60, max: 100 }),
  windows: fc.integer({ min: 3, max: 25 }),
  service: fc.constantFrom(...SERVICES),
  spread: fc.subarray(SERVICES),
  isSilent: fc.boolean(),
})
const call = fc.tuple(fc.constantFrom(...SERVICES), fc.constantFrom(...SERVICES))
const tenantArb = fc.record({
  calls: fc.uniqueArray(call, { maxLength: 5, selector: pair => pair.join('>') }),
  faults: fc.array(fault, { minLength: 1, maxLength: 3 }),
  deploys: fc.array(fc.tuple(fc.integer({ min: 50, max: 100 }), fc.constantFrom(...SERVICES)), {
    maxLength: 3,
  }),
  restarts: fc.array(fc.tuple(fc.integer({ min: 50, max: 100 }), fc.constantFrom(...SERVICES)), {
    maxLength: 1,
  }),
})
type World = typeof tenantArb extends fc.Arbitrary<infer T> ? T : never

/** Plays a tenant into a bench, a window at a time. */
class Player {
  readonly tenant: string
  readonly #world: World
  readonly #bench: Bench

  constructor(bench: Bench, tenant: string, world: World) {
    this.#bench = bench
    this.tenant = tenant
    this.#world = world
  }

  /** Its rows of window `w`, after the changes that came before it. */
  values(w: number, nowMs: number): Map<number, number> {
    const { calls, faults, deploys, restarts } = this.#world
    const tell = (kind: string, at: number, entity: string, n: number) => {
      if (at !== w) return
      const change = { id: `chg-${n}`, timeMs: nowMs - 500, entity, kind, ref: `${this.tenant}-${n}` }
      this.#bench.stage.change({ ...change, tenant: this.tenant })
    }
    for (const [n, [at, entity]] of deploys.entries()) tell('deploy', at, entity, n)
    for (const [n, [at, entity]] of restarts.entries()) tell('restart', at, entity, 10 + n)
    const now = faults.filter(one => w >= one.from && w < one.from + one.windows)
    const isBad = (name: string) => now.some(one => one.service === name || one.spread.includes(name))
    const isGone = (name: string) => now.some(one => one.isSilent && one.service === name)
    const out = new Map<number, number>()
    const put = (labels: Record<string, string>, name: string, metrics: typeof METRICS) => {
      for (const [i, [metric, unit, calm, bad]] of metrics.entries()) {
        const row = this.#bench.add(metaOf(this.tenant, metric, labels, unit, INTAKE_DEFAULTS))
        const ripple = 1 + 0.03 * Math.sin(w * 1.7 + i)
        out.set(row, isGone(name) ? Number.NaN : ripple * (isBad(name) ? bad : calm))
      }
    }
    for (const name of SERVICES)
      put({ service: name, namespace: name < 'f' ? 'back' : 'face' }, name, METRICS)
    for (const [client, server] of calls) put({ client, server }, server, CALLS)
    return out
  }
}

interface Seen {
  readonly events: string
  readonly board: string
  readonly suspects: string
  readonly edges: string
  readonly doors: string
}

/** What is told of a tenant. `others` take part before it or after it in every window, and may be restarted with it. */
function play(
  own: World,
  others: readonly (readonly [string, World])[],
  { isFirst, restartAt, ...options }: Partial<DisruptionOptions> & { isFirst: boolean; restartAt: number },
): Seen {
  const bench = new Bench(options)
  bench.stage.addEdges([{ source: 'front', target: 'cart' }], 0)
  const acme = new Player(bench, 'acme', own)
  const rest = others.map(([tenant, world]) => new Player(bench, tenant, world))
  const players = isFirst ? [acme, ...rest] : [...rest, acme]
  let nowMs = START_MS
  for (let w = 0; w < WINDOWS; w++) {
    nowMs += bench.options.stepMs
    bench.window(nowMs, new Map(players.flatMap(player => [...player.values(w, nowMs)])))
    if (w !== restartAt) continue
    const saved = structuredClone(bench.stage.snapshot())
    bench.stage = bench.fresh()
    bench.stage.restore(saved)
  }
  const isOwn = (one: { readonly tenant: string }) => one.tenant === 'acme'
  return {
    events: JSON.stringify(bench.events.filter(({ disruption }) => isOwn(disruption))),
    board: JSON.stringify(bench.stage.board().filter(isOwn)),
    suspects: JSON.stringify(bench.stage.explain(START_MS + 90_000, 0, undefined, 'acme')),
    edges: JSON.stringify(bench.stage.edges('acme')),
    doors: JSON.stringify(bench.stage.frontDoors().filter(isOwn)),
  }
}

describe('a tenant beside others', () => {
  it('is told the same as if it were alone, byte for byte', { timeout: 120_000 }, () => {
    let told = 0
    fc.assert(
      fc.property(
        tenantArb,
        tenantArb,
        tenantArb,
        fc.boolean(),
        fc.integer({ min: 0, max: 2 * WINDOWS }),
        (own, one, other, isFirst, restartAt) => {
          const how = { isFirst, restartAt, baselineWindows: 60 }
          const alone = play(own, [], how)
          const others = [['globex', one] as const, ['zebra', other] as const]
          expect(play(own, others, how)).toEqual(alone)
          // Even when all go through the same.
          expect(play(own, [['aaa', own]], how)).toEqual(alone)
          if (alone.events !== '[]') told++
        },
      ),
      { numRuns: 25 },
    )
    expect(told).toBeGreaterThan(15)
  })

  it('keeps its own changes, disruptions and what they resemble when another fills the limits', () => {
    const quiet = { calls: [], deploys: [[95, 'bank'] as [number, string]], restarts: [] }
    const faultOf = (from: number) => ({ from, windows: 6, service: 'bank', spread: [], isSilent: false })
    const own: World = { ...quiet, faults: [faultOf(62), faultOf(96)] }
    const deploys = Array.from({ length: 40 }, (_, i) => [50 + i, 'bank'] as [number, string])
    const loud: World = { ...own, deploys, faults: Array.from({ length: 4 }, (_, i) => faultOf(60 + 12 * i)) }
    const limits = { maxChanges: 2, maxOpen: 1, maxResolved: 2, refractoryWindows: 0 }
    const how = { isFirst: false, restartAt: -1, baselineWindows: 60, ...limits }
    const alone = play(own, [], how)
    expect(alone.events).toContain('acme-0')
    expect(alone.events).toContain('not new: one of the disruptions before it')
    expect(play(own, [['loud', loud]], how)).toEqual(alone)
  })

  it('has a place of its own for entities beyond the limit', () => {
    const bench = new Bench({ maxEntities: 6 })
    const own = new Player(bench, 'acme', { calls: [], faults: [], deploys: [], restarts: [] })
    const other = new Player(bench, 'globex', {
      calls: [],
      faults: [{ from: 60, windows: 20, service: 'pay', spread: SERVICES, isSilent: false }],
      deploys: [],
      restarts: [],
    })
    for (let w = 0; w < 80; w++) {
      const nowMs = START_MS + (w + 1) * bench.options.stepMs
      bench.window(nowMs, new Map([own, other].flatMap(player => [...player.values(w, nowMs)])))
    }
    expect(bench.stage.dropped().entities).toBeGreaterThan(0)
    const told = bench.events.map(({ disruption }) => [disruption.tenant, disruption.entities.join()])
    expect([...new Set(told.map(String))]).toEqual(['globex,(more)'])
  })
})
