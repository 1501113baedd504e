// A pipeline as shipped with learned models that run for real: packages on disk, opened by the host in threads of their
// own, orders and samples through one inbox, and everything that was said kept as one digest a window.
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { assemble, statefulParts } from '../src/assembly.ts'
import { Inbox } from '../src/bus/inbox.ts'
import { capture, restore, type Stateful } from '../src/checkpoint.ts'
import { parseConfig } from '../src/config.ts'
import type { Receipt } from '../src/core/envelope.ts'
import type { ModelOrder, ModelState, PairedScores } from '../src/core/model.ts'
import { encodeModelOrder } from '../src/core/model-order.ts'
import type { Checkpoint, Journal, Position } from '../src/core/ports.ts'
import { Rejects } from '../src/core/rejects.ts'
import { Telemetry } from '../src/core/telemetry.ts'
import type { ModelHost } from '../src/detectors/model-runtime.ts'
import { ModelShelf } from '../src/detectors/model-shelf.ts'
import { type Outcome, Pipeline } from '../src/pipeline.ts'
import { digestOf, writePackage } from './detectors/model-packages.ts'
import { linearModel } from './detectors/onnx-builder.ts'

/** What was found of one window. */
export interface SeenWindow {
  readonly endMs: number
  readonly rows: number
  /** Of every opinion of every row. */
  readonly digest: string
  readonly champion: ModelState['champion']
  /** When it had been scored, ms of this process. */
  readonly atMs: number
}

/** A reconstruction of the last eight windows as `share` of each value: writes the package, returns its digest. */
export function writeShare(folder: string, model: string, version: number, share: number): string {
  const width = 8
  const weights = Array.from({ length: width * width }, (_, i) => (i % (width + 1) === 0 ? share : 0))
  const inputs = [Array.from({ length: width }, (_, i) => i - 4)]
  const files = { 'model.onnx': linearModel(width, width, weights) }
  writePackage(join(folder, model, String(version)), {
    files,
    inputs,
    outputs: inputs.map(row => row.map(value => Math.fround(value * Math.fround(share)))),
    card: {
      id: model,
      version,
      task: 'reconstruction',
      // How fast it is on a busy machine is not what is shown here.
      budget: { msPer256Rows: 10_000, megabytes: 64 },
      input: {
        name: 'x',
        width,
        window: { of: 'series', length: width },
        normalisation: { by: 'running', days: 1 },
      },
    },
  })
  return digestOf(files)
}

/** The host as users run it: `npm test` builds first. From source its threads would each compile what they load. */
async function builtHost(): Promise<ModelHost> {
  const built = resolve(import.meta.dirname, '../dist/detectors/model-host.js')
  const source = resolve(import.meta.dirname, '../src/detectors/model-host.ts')
  const { href } = pathToFileURL(existsSync(built) ? built : source)
  const { openHost } = (await import(href)) as { openHost: () => ModelHost }
  return openHost()
}

export class ModelWorld {
  readonly seen: SeenWindow[] = []
  readonly told: Outcome[] = []
  readonly pairs: PairedScores[] = []
  readonly shelf: ModelShelf
  readonly parts
  readonly inbox: Inbox
  readonly #host: ModelHost
  readonly #pipeline: Pipeline

  static async open(folder: string, config: object, journal: Journal): Promise<ModelWorld> {
    return new ModelWorld(folder, config, journal, await builtHost())
  }

  private constructor(folder: string, config: object, journal: Journal, host: ModelHost) {
    this.#host = host
    this.shelf = new ModelShelf(this.#host, (model, version) => join(folder, model, String(version)))
    this.parts = assemble(parseConfig(config), new Rejects(), undefined, {
      openModel: (model, version, digest) => this.shelf.take(model, version, digest),
      observe: pair => void this.pairs.push({ ...pair }),
    })
    this.#watch()
    const effect = async (_: Position, outcome: Outcome) => void this.told.push(outcome)
    this.#pipeline = new Pipeline(this.parts, effect, new Telemetry())
    const process = (position: Position, envelope: Parameters<Pipeline['process']>[1]) =>
      this.#pipeline.process(position, envelope)
    this.inbox = new Inbox(journal, process, { maxQueuedBytes: 1e9 })
  }

  #watch(): void {
    const { scoring } = this.parts
    const judge = scoring.judge.bind(scoring)
    scoring.judge = (batch, opinions) => {
      const hash = createHash('sha256')
      for (const column of [opinions.surprise, opinions.point, opinions.incident, opinions.strongest])
        hash.update(new Uint8Array(column.slice(0, batch.length).buffer))
      this.seen.push({
        endMs: batch.windowEndMs[0],
        rows: batch.length,
        digest: hash.digest('hex'),
        champion: scoring.models()[0]?.champion ?? null,
        atMs: performance.now(),
      })
      return judge(batch, opinions)
    }
  }

  samples(bytes: Uint8Array, arrivalMs: number): Promise<Receipt> {
    return this.inbox.submit({
      kind: 'json-lines',
      encoding: 'identity',
      tenant: 'default',
      bytes,
      arrivalMs,
    })
  }

  /** As the registry orders: made ready first, journaled then. */
  async order(order: ModelOrder, arrivalMs: number): Promise<Receipt> {
    if ('version' in order) await this.shelf.prepare(order.model, order.version, order.digest)
    const bytes = encodeModelOrder(order)
    return this.inbox.submit({ kind: 'model', encoding: 'identity', tenant: 'default', bytes, arrivalMs })
  }

  /** A copy of all learned state between two envelopes. */
  checkpoint(): Promise<Checkpoint> {
    return this.inbox.between(async position => capture(position, 0, this.parts.series, this.#stateful()))
  }

  /** Puts a checkpoint back, and processes what the journal holds after it. */
  async replay(journal: Journal, from?: Checkpoint): Promise<void> {
    if (from) restore(from, this.parts.series, this.#stateful())
    for await (const { position, envelope } of journal.read(from?.position ?? 0))
      await this.#pipeline.process(position, envelope)
  }

  #stateful(): Stateful[] {
    return statefulParts(this.parts)
  }

  /** Everything that has an id, in the order told. */
  ids(): string[] {
    return this.told.flatMap(({ anomalies, events }) => [
      ...anomalies.map(({ event, anomaly }) => `${event} ${anomaly.id}`),
      ...events.map(event => `${event.type} ${event.id}`),
    ])
  }

  async close(): Promise<void> {
    await this.inbox.close()
    await this.shelf.close()
    await this.#host.close()
  }
}
