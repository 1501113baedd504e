import { ForeshockError } from '../../src/core/errors.ts'
import { cardSchema, type ModelCard } from '../../src/detectors/model-card.ts'
import type { ModelSession } from '../../src/detectors/model-runtime.ts'

/** A card as a package would hold it; what matters to a test is given. */
export function cardOf(given: {
  readonly id?: string
  readonly version?: number
  readonly task: 'score' | 'reconstruction' | 'forecast'
  readonly window: ModelCard['input']['window']
  readonly normalisation?: unknown
  readonly outputWidth?: number
  readonly quantiles?: readonly number[]
  readonly scope?: ModelCard['scope']
}): ModelCard {
  const { window, task } = given
  const metrics = window.of === 'entity' ? window.metrics.length : 1
  const width = window.of === 'views' ? 1 : metrics * window.length
  const version = given.version ?? 1
  const outputs = { score: 1, reconstruction: width, forecast: metrics * (given.quantiles?.length ?? 2) }
  return cardSchema.parse({
    id: given.id ?? 'probe',
    version,
    title: 'made in a test',
    task,
    input: { name: 'x', width, window, normalisation: given.normalisation ?? { by: 'window' } },
    output: {
      name: 'y',
      width: given.outputWidth ?? outputs[task],
      meaning: 'as the task says',
      ...(task === 'forecast' ? { quantiles: given.quantiles ?? [0.1, 0.9] } : {}),
    },
    ...(given.scope ? { scope: given.scope } : {}),
    opsets: { 'ai.onnx': 13 },
    digest: digestOf(version),
    training: { data: ['none'], script: 'none', command: 'none', seed: 1, cost: 'none', repeatable: 'yes' },
    metrics: {},
    licence: 'Apache-2.0',
    budget: { msPer256Rows: 100, megabytes: 10 },
  })
}

export function digestOf(version: number): string {
  return `sha256:${version.toString(16).padStart(64, '0')}`
}

/** What a model makes of one row of its input. */
export type Forward = (row: Float32Array) => readonly number[]

/** A session whose model is a function: the interface for real, without a runtime behind it. */
export class FunctionSession implements ModelSession {
  readonly card: ModelCard
  readonly runtime = 'onnxruntime-node'
  readonly #forward: Forward
  calls = 0
  closed = false
  /** Set, it fails instead of answering. */
  failure: ForeshockError | undefined

  constructor(card: ModelCard, forward: Forward) {
    this.card = card
    this.#forward = forward
  }

  async run(input: Float32Array, rows: number): Promise<Float32Array> {
    this.calls++
    if (this.failure) throw this.failure
    if (this.closed) throw new ForeshockError('FS_MODEL_RUNTIME', 'closed')
    const { width } = this.card.input
    const out = new Float32Array(rows * this.card.output.width)
    for (let r = 0; r < rows; r++)
      out.set(this.#forward(input.subarray(r * width, (r + 1) * width)), r * this.card.output.width)
    return out
  }

  async close(): Promise<void> {
    this.closed = true
  }
}

/** Packages by `model@version`, as a registry folder would hold them. */
export class Shelf {
  readonly packages = new Map<string, readonly [ModelCard, Forward]>()
  readonly opened: FunctionSession[] = []

  put(card: ModelCard, forward: Forward): void {
    this.packages.set(`${card.id}@${card.version}`, [card, forward])
  }

  open = async (model: string, version: number): Promise<ModelSession> => {
    const found = this.packages.get(`${model}@${version}`)
    if (!found) throw new ForeshockError('FS_MODEL_INVALID', `${model}@${version}: card.json is missing`)
    const session = new FunctionSession(...found)
    this.opened.push(session)
    return session
  }
}

/** The mean of a row in place of each value: a bad autoencoder, but a real one. */
export const meanOfRow: Forward = row => {
  let sum = 0
  for (const value of row) sum += value
  return Array.from(row, () => sum / row.length)
}
