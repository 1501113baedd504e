// Shows that a service that heard nothing for hours or weeks resumes: six services with a daily rhythm are learned for
// four days, then nothing comes, then life goes on as it was. Nobody is alerted when it resumes, what was learned is
// still there in the first windows (no second silent day), and a fault after the gap is found as before it.
import { describe, expect, it } from 'vitest'
import { assemble } from '../src/assembly.ts'
import { parseConfig } from '../src/config.ts'
import { historyColumns } from '../src/core/history.ts'
import { Rejects } from '../src/core/rejects.ts'
import { Telemetry } from '../src/core/telemetry.ts'
import { mulberry32 } from '../src/math/mulberry32.ts'
import { type Outcome, Pipeline } from '../src/pipeline.ts'

const STEP_MS = 300_000
const DAY = 288
const START_MS = Date.UTC(2024, 2, 4)
const SERVICES = ['edge', 'cart', 'search', 'stock', 'pay', 'mail']
const KEY = 'latency_seconds{service="cart"}'

class World {
  readonly parts = assemble(
    parseConfig({ features: { step: '5m', retention: '30d' }, ingest: { entityLabels: ['service'] } }),
    new Rejects(),
  )
  told: Outcome[] = []
  readonly #pipeline = new Pipeline(
    this.parts,
    async (_, outcome) => void this.told.push(outcome),
    new Telemetry(),
  )
  readonly #random = mulberry32(3)

  /** Ordinary life from one step to another; `slow` is how much slower cart is. */
  async live(from: number, to: number, slow = 1): Promise<void> {
    for (let t = from; t < to; t++) {
      const timeMs = START_MS + t * STEP_MS
      const lines = SERVICES.flatMap((service, i) => {
        const day = Math.sin((2 * Math.PI * (t + 7 * i)) / DAY)
        const latency = (0.3 + 0.1 * day + 0.01 * this.#random()) * (service === 'cart' ? slow : 1)
        return [
          { time: timeMs, metric: 'latency_seconds', labels: { service }, value: latency, type: 'gauge' },
          {
            time: timeMs,
            metric: 'requests_per_second',
            labels: { service },
            value: 80 + 30 * day + 2 * this.#random(),
            type: 'gauge',
          },
        ]
      })
      const bytes = new TextEncoder().encode(lines.map(line => JSON.stringify(line)).join('\n'))
      const envelope = { kind: 'json-lines', encoding: 'identity', tenant: 'default', bytes } as const
      await this.#pipeline.process(t, { ...envelope, arrivalMs: timeMs + 1000 })
    }
  }

  /** Wall time passes while nothing comes, as the live service's ticks tell it. */
  async silence(from: number, to: number): Promise<void> {
    const bytes = new Uint8Array(0)
    for (let t = from; t < to; t++) {
      const arrivalMs = START_MS + t * STEP_MS
      await this.#pipeline.process(t, {
        kind: 'tick',
        encoding: 'identity',
        tenant: 'default',
        arrivalMs,
        bytes,
      })
    }
  }

  expected(windows: number): number[] {
    const out = historyColumns(windows)
    expect(this.parts.history.read(this.parts.series.row(KEY), out)).toBe(windows)
    return [...out.expected]
  }

  opened(): string[] {
    return [
      ...this.told.flatMap(({ anomalies }) =>
        anomalies.filter(({ event }) => event === 'opened').map(({ anomaly }) => anomaly.why[0]),
      ),
      ...this.told.flatMap(({ events }) =>
        events.filter(({ type }) => type === 'opened').map(({ disruption }) => disruption.title),
      ),
    ]
  }
}

const HOUR = 12
const GAPS = [
  ['three hours', 3 * HOUR],
  ['three days', 3 * DAY],
  ['three weeks', 21 * DAY],
] as const

describe('after a gap', () => {
  it.each(GAPS)('of %s while the service was down it resumes', async (_, gap) => {
    const world = new World()
    await world.live(0, 4 * DAY)
    world.told = []
    const back = 4 * DAY + gap
    await world.live(back, back + 2 * HOUR)
    expect(world.opened()).toEqual([])
    // The last two windows are still open.
    const expected = world.expected(2 * HOUR - 2)
    for (const [i, value] of expected.entries()) {
      const truth = 0.305 + 0.1 * Math.sin((2 * Math.PI * (back + i + 7)) / DAY)
      expect(Math.abs(value - truth), `window ${i}`).toBeLessThan(0.02)
    }
    await world.live(back + 2 * HOUR, back + 3 * HOUR, 3)
    expect(world.opened().some(text => text.includes('cart'))).toBe(true)
  })

  it.each(GAPS)('of %s in which only nothing was sent, nothing opens at its end', async (_, gap) => {
    const world = new World()
    await world.live(0, 4 * DAY)
    world.told = []
    const back = 4 * DAY + gap
    await world.silence(4 * DAY, back)
    // That everything fell silent is told, once, as what it is.
    const during = world.told.flatMap(({ events }) => events.filter(({ type }) => type === 'opened'))
    expect(during.map(({ disruption }) => disruption.entity)).toEqual(['telemetry'])
    world.told = []
    await world.live(back, back + DAY)
    expect(world.opened()).toEqual([])
    expect(world.parts.scoring.anomalies()).toEqual([])
    expect(world.parts.disruptions.board().filter(one => one.status === 'open')).toEqual([])
  })
})
