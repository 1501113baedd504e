import { setImmediate } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { expect } from 'vitest'
import { type Assembled, assemble, type BatchOptions, windowsOf } from '../src/assembly.ts'
import { capture, type Stateful } from '../src/checkpoint.ts'
import type { Envelope } from '../src/core/envelope.ts'
import { Rejects } from '../src/core/rejects.ts'
import { Telemetry } from '../src/core/telemetry.ts'
import { Pipeline } from '../src/pipeline.ts'
import type { SliceOptions } from '../src/slices.ts'
import type { settings } from './shards/shard-world.ts'

/** The parts with windows that come in other batches than as shipped. */
export function inBatches<P extends Pick<Assembled, 'series' | 'windows'>>(
  parts: P,
  config: ReturnType<typeof settings>,
  rejects: Rejects,
  batches: BatchOptions | undefined,
): P {
  const context = { series: parts.series, rejects }
  return batches === undefined ? parts : { ...parts, windows: windowsOf(config, context, batches) }
}

/** The pipeline as shipped, in this thread, and everything it told of, as JSON. */
export class World {
  readonly parts
  readonly pipeline: Pipeline
  readonly told: string[] = []
  failure: Error | undefined
  #position = 0

  constructor(config: ReturnType<typeof settings>, slices?: SliceOptions, batches?: BatchOptions) {
    const rejects = new Rejects()
    this.parts = inBatches(assemble(config, rejects), config, rejects, batches)
    this.pipeline = new Pipeline(
      this.parts,
      async (at, { anomalies, events, changes }) => {
        if (this.failure) throw this.failure
        this.told.push(JSON.stringify([at, anomalies, events, changes]))
      },
      new Telemetry(),
      { slices },
    )
  }

  /** `turns`: of the event loop, before each envelope. */
  async take(envelopes: readonly Envelope[], turns: (i: number) => number = () => 0): Promise<void> {
    for (const [i, one] of envelopes.entries()) {
      for (let left = turns(i); left > 0; left--) await setImmediate()
      await this.pipeline.process(++this.#position, one)
    }
  }

  async finish(): Promise<void> {
    await this.pipeline.finish(++this.#position)
  }

  /** All that is learned, in a form that compares NaN and −0 as bytes. */
  async state() {
    await this.pipeline.settle()
    const { series, intake, windows, scoring, disruptions, history } = this.parts
    const past: Stateful = {
      snapshot: () => [history.snapshot()],
      cut: cut => [history.cut(cut)],
      restore: parts => history.restore(parts),
    }
    const { parts } = capture(this.#position, 0, series, [intake, windows, scoring, disruptions, past])
    return parts.map(({ id, version, keys, columns, meta }) => [
      id,
      version,
      [...keys],
      meta,
      Object.entries(columns).map(([name, { buffer, byteOffset, byteLength }]) => [
        name,
        Buffer.from(buffer, byteOffset, byteLength).toString('latin1'),
      ]),
    ])
  }
}

/** Compared so that a difference does not print all of it. */
export function expectSame(a: unknown, b: unknown): void {
  expect(isDeepStrictEqual(a, b)).toBe(true)
}
