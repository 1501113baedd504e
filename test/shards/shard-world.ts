import { setTimeout as wait } from 'node:timers/promises'
import {
  type Assembled,
  assemble,
  assembleSharded,
  type BatchOptions,
  statefulParts,
} from '../../src/assembly.ts'
import { capture, cutAt, restore, type Stateful } from '../../src/checkpoint.ts'
import { parseConfig } from '../../src/config.ts'
import { settled } from '../../src/core/cut.ts'
import type { Envelope } from '../../src/core/envelope.ts'
import type { Checkpoint, CheckpointCut } from '../../src/core/ports.ts'
import { Rejects } from '../../src/core/rejects.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { Pipeline } from '../../src/pipeline.ts'
import type { SliceOptions } from '../../src/slices.ts'
import { inBatches } from '../window-world.ts'

export const MINUTE_MS = 60_000
export const T0 = 1_700_006_400_000

/** Everything that learns is switched on; there is room for some rich series, the others are plain. */
export function settings(retention: string, richSeries: number) {
  return parseConfig({
    ingest: { entityLabels: ['service'], maxSeries: 1000 },
    features: {
      step: '1m',
      lateness: '1ms',
      retention,
      historyWindows: 30,
      expressions: [
        { metric: 'error_share', expression: 'rate(errors_total) / rate(requests_total)', unit: 'ratio' },
      ],
    },
    detection: {
      richSeries,
      pool: { size: 4, detectors: ['rcf', 'shapes'] },
      multivariate: { profile: 'auto', warmUp: 60 },
      profiles: [{ metric: 'latency_seconds', profile: 'compact' }],
      budget: 3,
      budgets: [{ name: 'shared', alertsPerWeek: 5, metric: 'latency_seconds' }],
      rules: [{ metric: 'cpu_usage', openSurprise: 2 }],
    },
  })
}

/** The pipeline as shipped with so many workers, and everything it told of, as JSON. */
export class ShardWorld {
  readonly parts: Assembled
  readonly pipeline: Pipeline
  readonly told: string[] = []
  readonly warnings: string[] = []
  readonly lost: Error[] = []
  position = 0

  constructor(
    config: ReturnType<typeof parseConfig>,
    workers: number,
    {
      heapMegabytes,
      batches,
      slices,
    }: {
      readonly heapMegabytes?: number
      readonly batches?: BatchOptions
      readonly slices?: SliceOptions
    } = {},
  ) {
    const rejects = new Rejects()
    const parts: Assembled =
      workers === 0
        ? assemble(config, rejects)
        : assembleSharded(config, rejects, {
            workers,
            ...(heapMegabytes === undefined ? {} : { heapMegabytes }),
            onWarning: text => this.warnings.push(text),
            onLost: error => this.lost.push(error),
          })
    this.parts = inBatches(parts, config, rejects, batches)
    this.pipeline = new Pipeline(
      this.parts,
      async (at, { anomalies, events, changes }) => {
        this.told.push(JSON.stringify([at, anomalies, events, changes]))
      },
      new Telemetry(),
      { slices },
    )
  }

  get stateful(): Stateful[] {
    return statefulParts(this.parts)
  }

  /** `pauseMs`: how long to wait before each envelope. */
  async take(envelopes: readonly Envelope[], pauseMs: (i: number) => number = () => 0): Promise<void> {
    for (const [i, one] of envelopes.entries()) {
      const ms = pauseMs(i)
      if (ms > 0) await wait(ms)
      await this.pipeline.process(++this.position, one)
    }
  }

  async checkpoint(): Promise<Checkpoint> {
    await this.pipeline.settle()
    return capture(this.position, 0, this.parts.series, this.stateful)
  }

  /** As the service cuts it, with everything copied. */
  async cut(): Promise<Checkpoint> {
    await this.pipeline.settle()
    const { cut, parts, ...rest }: CheckpointCut = cutAt(this.position, 0, this.parts.series, this.stateful)
    return { ...rest, parts: settled(parts, cut) }
  }

  restore(from: Checkpoint): this {
    restore(from, this.parts.series, this.stateful)
    this.position = from.position
    return this
  }

  async close(): Promise<void> {
    await this.parts.scoring.close?.()
  }
}

function envelope(kind: Envelope['kind'], arrivalMs: number, text: string): Envelope {
  return { kind, encoding: 'identity', tenant: 'default', arrivalMs, bytes: new TextEncoder().encode(text) }
}

/** What one service sends in a step, a minute when left out. */
function body(t: number, s: number, bad: boolean, seed: number, stepMs: number): Envelope {
  const time = T0 + t * stepMs
  const labels = { service: `s${s}` }
  const wave = Math.sin(t / 7 + s) + ((t * 7919 + s * 104_729 + seed) % 97) / 400
  const lines = [
    { metric: 'latency_seconds', labels, value: 0.2 + 0.02 * wave + (bad ? 3 : 0), type: 'gauge' },
    { metric: 'availability_ratio', labels, value: bad ? 0.6 : 1, type: 'gauge' },
    { metric: 'cpu_usage', labels, value: 0.5 + 0.1 * wave, type: 'gauge' },
    { metric: 'requests_total', labels, value: 1000 * t + 10 * Math.round(wave * 5), type: 'counter' },
    { metric: 'errors_total', labels, value: bad ? 400 * t : t, type: 'counter' },
  ]
  const text = lines.map(line => JSON.stringify({ time, ...line })).join('\n')
  return envelope('json-lines', time + 1000, text)
}

/**
 * Steps of a fleet, minutes when left out, a body a service: from time to time `strange` services are in trouble, one is silent, and with
 * `churn` others come for a while. Deployments and maintenance windows stand between.
 */
export function fleetEnvelopes(
  { services = 8, strange = [2], churn = false, seed = 1, stepMs = MINUTE_MS },
  from: number,
  to: number,
): Envelope[] {
  const all: Envelope[] = []
  for (let t = from; t < to; t++) {
    const isBad = t % 24 >= 18
    for (let s = 0; s < services; s++) {
      if (t % 30 > 24 && s === services - 1) continue
      all.push(body(t, s, isBad && strange.includes(s), seed, stepMs))
    }
    if (churn) all.push(body(t, 100 + Math.floor(t / 7), false, seed, stepMs))
    const time = T0 + t * stepMs
    if (t % 9 === 4)
      all.push(
        envelope(
          'change',
          time + 2000,
          JSON.stringify({ time, entity: `s${t % 3}`, kind: 'deploy', ref: `v${t}` }),
        ),
      )
    if (t % 17 === 3) all.push(envelope('maintenance', time + 2000, 'not an order'))
  }
  return all
}
