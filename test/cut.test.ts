// A checkpoint that is cut while the pipeline goes on is, byte for byte, the one that a copy of everything at the same
// position is, whenever its pieces are written: over the assembled pipeline with everything that learns switched on,
// random samples with outages, spikes, newcomers, series that are evicted and rows used again, changes and maintenance.
// Restored, it goes on as a plain snapshot of the same moment does, and tells what one that never stopped tells.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assemble, statefulParts } from '../src/assembly.ts'
import { capture, cutAt, restore, type Stateful } from '../src/checkpoint.ts'
import { parseConfig } from '../src/config.ts'
import { Cut } from '../src/core/cut.ts'
import type { Envelope } from '../src/core/envelope.ts'
import type { Checkpoint } from '../src/core/ports.ts'
import { Rejects } from '../src/core/rejects.ts'
import { Telemetry } from '../src/core/telemetry.ts'
import { type Outcome, Pipeline } from '../src/pipeline.ts'
import { CheckpointEncoder, decodeCheckpoint } from '../src/store/checkpoint-format.ts'
import { encoded } from './store/encoded.ts'

const MINUTE_MS = 60_000
const T0 = 1_700_006_400_000
const SETTINGS = {
  ingest: { entityLabels: ['service'] },
  features: {
    step: '1m',
    lateness: '1ms',
    retention: '6m',
    historyWindows: 10,
    expressions: [
      { metric: 'error_share', expression: 'rate(errors_total) / rate(requests_total)', unit: 'ratio' },
    ],
  },
  detection: {
    pool: { size: 3, detectors: ['rcf', 'shapes'] },
    multivariate: { profile: 'auto', warmUp: 60 },
    profiles: [
      { metric: 'latency_seconds', profile: 'compact' },
      { metric: 'availability_ratio', profile: 'full' },
    ],
    budget: 3,
    rules: [{ metric: 'cpu_usage', openSurprise: 2 }],
  },
}
const CONFIG = parseConfig(SETTINGS)
/** There is room for ten rich series; the others are plain. */
const TIERED = parseConfig({ ...SETTINGS, detection: { ...SETTINGS.detection, richSeries: 10 } })

class World {
  readonly parts: ReturnType<typeof assemble>
  readonly #pipeline: Pipeline
  /** What became of anomalies. */
  readonly told: string[] = []
  position = 0

  constructor({ isTiered }: Pick<Scene, 'isTiered'>) {
    this.parts = assemble(isTiered ? TIERED : CONFIG, new Rejects())
    const tell = async (_: number, { anomalies }: Outcome) => {
      for (const { event, anomaly } of anomalies) this.told.push(`${event} ${anomaly.id} ${anomaly.surprise}`)
    }
    this.#pipeline = new Pipeline(this.parts, tell, new Telemetry())
  }

  get stateful(): Stateful[] {
    return statefulParts(this.parts)
  }

  async take(envelope: Envelope): Promise<void> {
    await this.#pipeline.process(++this.position, envelope)
  }

  letGo(): void {
    const { intake, windows, scoring, disruptions } = this.parts
    for (const part of [intake, windows, scoring, disruptions]) part.letGo()
  }
}

/** A minute of a fleet of which the services `live` send; those `strange` are in trouble. */
function minute(t: number, live: readonly number[], strange: readonly number[], noise: number): Envelope {
  const time = T0 + t * MINUTE_MS
  const lines = live.flatMap(s => {
    const labels = { service: `s${s}` }
    const wave = Math.sin(t / 7 + s) + ((t * 7919 + s * 104_729 + noise) % 97) / 400
    const bad = strange.includes(s)
    return [
      { metric: 'latency_seconds', labels, value: 0.2 + 0.02 * wave + (bad ? 3 : 0), type: 'gauge' },
      { metric: 'availability_ratio', labels, value: bad ? 0.6 : 1, type: 'gauge' },
      { metric: 'cpu_usage', labels, value: 0.5 + 0.1 * wave, type: 'gauge' },
      { metric: 'requests_total', labels, value: 1000 * t + 10 * Math.round(wave * 5), type: 'counter' },
      { metric: 'errors_total', labels, value: bad ? 400 * t : t, type: 'counter' },
    ].map(line => JSON.stringify({ time, ...line }))
  })
  return envelope('json-lines', time + 1000, lines.join('\n'))
}

function envelope(kind: Envelope['kind'], arrivalMs: number, text: string): Envelope {
  return { kind, encoding: 'identity', tenant: 'default', arrivalMs, bytes: new TextEncoder().encode(text) }
}

interface Scene {
  /** Of so many services, which are silent in which third of the minutes. */
  readonly services: number
  readonly silent: readonly number[]
  readonly strange: readonly number[]
  readonly before: number
  readonly after: number
  readonly noise: number
  readonly isTiered: boolean
}

function envelopes(scene: Scene, from: number, to: number): Envelope[] {
  const all: Envelope[] = []
  for (let t = from; t < to; t++) {
    const live = Array.from({ length: scene.services }, (_, s) => s).filter(
      s => !scene.silent.includes((s + 3 * Math.floor(t / 12)) % scene.services),
    )
    // Newcomers take the rows of those that were silent for long.
    if (t % 5 === 0) live.push(100 + Math.floor(t / 15))
    all.push(minute(t, live, t % 16 >= 12 ? scene.strange : [], scene.noise))
    if (t % 9 === 4)
      all.push(
        envelope(
          'change',
          T0 + t * MINUTE_MS + 2000,
          JSON.stringify({ time: T0 + t * MINUTE_MS, entity: `s${t % 3}`, kind: 'deploy', ref: `v${t}` }),
        ),
      )
  }
  return all
}

async function decoded(bytes: Buffer): Promise<Checkpoint> {
  let at = 0
  return decodeCheckpoint(async into => {
    if (at + into.length > bytes.length) throw new Error('it ends too early')
    into.set(bytes.subarray(at, at + into.length))
    at += into.length
  })
}

function cutOf(world: World, cut = new Cut()) {
  return cutAt(world.position, 0, world.parts.series, world.stateful, cut)
}

/** What is in a checkpoint, in a form that compares NaN and −0 as bytes. */
function bytesOf({ parts, position }: Checkpoint): unknown {
  return {
    position,
    parts: parts.map(({ id, version, rows, keys, columns, meta }) => ({
      id,
      version,
      rows: rows instanceof Uint32Array ? [...rows] : rows,
      keys,
      meta,
      columns: Object.entries(columns).map(([name, column]) => [
        name,
        column.constructor.name,
        column.length,
        Buffer.from(column.buffer, column.byteOffset, column.byteLength).toString('latin1'),
      ]),
    })),
  }
}

const scenes = fc.record({
  services: fc.integer({ min: 4, max: 8 }),
  silent: fc.uniqueArray(fc.nat(7), { maxLength: 3 }),
  strange: fc.uniqueArray(fc.nat(7), { minLength: 1, maxLength: 2 }),
  before: fc.integer({ min: 1, max: 75 }),
  after: fc.integer({ min: 1, max: 25 }),
  noise: fc.nat(1000),
  isTiered: fc.boolean(),
})

/** A rich series is evicted while an anomaly of it is open. */
const GONE: Scene = {
  services: 8,
  silent: [6, 0, 2],
  strange: [6, 3],
  before: 48,
  after: 3,
  noise: 859,
  isTiered: true,
}

describe('a cut', () => {
  it('is what a copy of everything at that moment is, however its writing falls', async () => {
    const pauses = fc.array(fc.record({ blocks: fc.nat(3), bytes: fc.integer({ min: 4096, max: 60_000 }) }), {
      minLength: 1,
      maxLength: 12,
    })
    let copied = 0
    await fc.assert(
      fc.asyncProperty(scenes, pauses, fc.boolean(), async (scene, pauses, letsGo) => {
        const world = new World(scene)
        for (const one of envelopes(scene, 0, scene.before)) await world.take(one)
        const whole = await decoded(encoded(cutOf(world)))
        const cut = new Cut()
        const encoder = new CheckpointEncoder(cutOf(world, cut))
        const blocks: Buffer[] = []
        const write = (bytes: number) => {
          const block = Buffer.alloc(bytes)
          const length = encoder.read(block)
          if (length > 0) blocks.push(block.subarray(0, length))
          return length
        }
        // The head is written first: nothing of it may lie in what changes.
        for (const [i, one] of envelopes(scene, scene.before, scene.before + scene.after).entries()) {
          await world.take(one)
          const pause = pauses[i % pauses.length]
          for (let n = 0; n < pause.blocks; n++) write(pause.bytes)
        }
        if (letsGo) world.letGo()
        while (write(65_536) > 0);
        copied += cut.copiedBytes
        expect(bytesOf(await decoded(Buffer.concat(blocks)))).toEqual(bytesOf(whole))
      }),
      { numRuns: 12, seed: 7, examples: [[GONE, [{ blocks: 2, bytes: 50_000 }], true]] },
    )
    expect(copied).toBeGreaterThan(1_000_000)
  })

  it('restored, goes on as a plain snapshot of the same moment', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, async scene => {
        const world = new World(scene)
        for (const one of envelopes(scene, 0, scene.before)) await world.take(one)
        const plain = capture(world.position, 0, world.parts.series, world.stateful)
        const byKey = await decoded(encoded(plain))
        const byRow = await decoded(encoded(cutOf(world)))
        const before = world.told.length
        const rest = envelopes(scene, scene.before, scene.before + scene.after)
        for (const one of rest) await world.take(one)
        const ended = []
        for (const checkpoint of [byKey, byRow]) {
          const next = new World(scene)
          // One goes on with copies of what was saved, the other with the very columns.
          restore(checkpoint, next.parts.series, next.stateful, checkpoint === byRow)
          next.position = world.position - rest.length
          for (const one of rest) await next.take(one)
          expect(next.told).toEqual(world.told.slice(before))
          ended.push(
            bytesOf(await decoded(encoded(capture(next.position, 0, next.parts.series, next.stateful)))),
          )
        }
        expect(ended[1]).toEqual(ended[0])
      }),
      { numRuns: 4, seed: 3 },
    )
  })
})
