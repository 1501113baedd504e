// Shows that series may come and go for ever: a pipeline in which a tenth of the series is replaced again and again holds
// no more bytes after twenty-five generations than after a dozen, in any of its parts, and gives the series that stayed the very
// same windows, scores and anomalies as a pipeline in which nobody else ever came or went.
import { describe, expect, it } from 'vitest'
import { assemble } from '../src/assembly.ts'
import { parseConfig } from '../src/config.ts'
import type { Envelope } from '../src/core/envelope.ts'
import { historyColumns } from '../src/core/history.ts'
import { Rejects } from '../src/core/rejects.ts'
import { Telemetry } from '../src/core/telemetry.ts'
import { Pipeline } from '../src/pipeline.ts'

const STEP_MS = 60_000
const T0 = 1_700_006_400_000
const STAYING = 40
const MOVING = 200
/** Windows that a generation of moving series lives. */
const LIFE = 4
const COHORTS = 10
const GENERATIONS = 26
const CONFIG = parseConfig({
  ingest: { entityLabels: ['service'] },
  features: { step: '1m', lateness: '1ms', retention: '3m', historyWindows: 20 },
})

class World {
  readonly parts = assemble(CONFIG, new Rejects())
  readonly told: string[] = []
  readonly #pipeline = new Pipeline(
    this.parts,
    async (_, { anomalies }) => {
      for (const { event, anomaly } of anomalies)
        if (anomaly.key.includes('stays'))
          this.told.push(`${event} ${anomaly.key} ${anomaly.startMs} ${anomaly.surprise}`)
    },
    new Telemetry(),
  )
  #position = 0

  async window(t: number, moving: readonly string[]): Promise<void> {
    const time = T0 + t * STEP_MS
    const lines: string[] = []
    const put = (metric: string, labels: object, value: number, type: string) =>
      lines.push(JSON.stringify({ metric, labels, value, type, time }))
    for (let s = 0; s < STAYING; s++) {
      const wave = Math.sin(t / 5 + s) + ((t * 7919 + s * 104_729) % 97) / 300
      const bad = s === 3 && t > 60 && t < 70 ? 5 : 0
      put('stays_seconds', { service: `s${s % 5}`, pod: `p${s}` }, 0.2 + 0.02 * wave + bad, 'gauge')
    }
    for (const [i, pod] of moving.entries()) {
      put('moves_bytes', { service: `s${i % 5}`, pod }, 1000 + ((t * 31 + i) % 7), 'gauge')
      put('moves_total', { service: `s${i % 5}`, pod }, 100 * t + i, 'counter')
    }
    const bytes = new TextEncoder().encode(lines.join('\n'))
    const envelope: Envelope = {
      kind: 'json-lines',
      encoding: 'identity',
      arrivalMs: time,
      tenant: 'default',
      bytes,
    }
    const receipt = await this.#pipeline.process(++this.#position, envelope)
    expect(receipt.rejected).toBe(0)
  }

  bytes(): Record<string, number> {
    const { series, intake, windows, scoring, disruptions, history } = this.parts
    const parts = { series, intake, windows, scoring, disruptions, history }
    return Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, part.bytes()]))
  }

  /** What is known of the series that stayed. */
  past(): unknown[] {
    const { series, history } = this.parts
    return [...series.metas()]
      .filter(([, meta]) => meta.metric === 'stays_seconds')
      .sort((a, b) => (a[1].key < b[1].key ? -1 : 1))
      .map(([row, meta]) => {
        const columns = historyColumns(20)
        history.read(row, columns)
        return [meta, structuredClone(columns)]
      })
  }
}

describe('series that come and go', () => {
  it('leave nothing behind, and those that stay do not notice', async () => {
    const [churned, quiet] = [new World(), new World()]
    const held: Record<string, number>[] = []
    const capacities: number[] = []
    const names = Array.from({ length: MOVING }, (_, i) => `pod-0-${i}`)
    for (let t = 0; t < GENERATIONS * LIFE; t++) {
      if (t % LIFE === 0 && t > 0) {
        const generation = t / LIFE
        for (let i = generation % COHORTS; i < MOVING; i += COHORTS)
          names[i] = `pod-${generation}-${(i * 2_654_435_761).toString(36)}`
        held.push(churned.bytes())
        capacities.push(churned.parts.series.capacity)
      }
      await churned.window(t, names)
      await quiet.window(t, [])
    }
    const [early, late] = [held[12], held[held.length - 1]]
    for (const part of Object.keys(late))
      expect([part, late[part] / early[part]]).toEqual([part, expect.closeTo(1, 1)])
    expect(capacities.at(-1)).toBe(capacities[12])
    expect(churned.parts.series.size).toBeLessThan(STAYING + 2 * MOVING * 1.5)

    expect(quiet.told.length).toBeGreaterThan(1)
    expect(churned.told).toEqual(quiet.told)
    expect(churned.past()).toEqual(quiet.past())
  }, 60_000)
})
