import type { InferenceSession, Tensor } from 'onnxruntime-node'
import { ForeshockError } from '../core/errors.ts'
import type { ModelPackage } from './model-package.ts'

/** Rows handed to the runtime at once: it holds the thread while it works. */
export const BATCH_ROWS = 1024
/** Golden outputs must come back this close. */
const PARITY = 1e-5

/**
 * The runtime is loaded when a model is: it is native, and a service without models must not depend on it. It counts
 * on one thread: rows are few, and threads that spin between calls would take a core from the pipeline.
 */
const OPTIONS: InferenceSession.SessionOptions = {
  executionProviders: ['cpu'],
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  logSeverityLevel: 3,
}

type Runtime = typeof import('onnxruntime-node')

async function runtime(): Promise<Runtime> {
  try {
    const loaded = await import('onnxruntime-node')
    return (loaded as unknown as { default?: Runtime }).default ?? loaded
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ForeshockError('FS_MODEL_RUNTIME', `onnxruntime-node cannot be loaded here: ${reason}`, {
      cause: error,
    })
  }
}

/** A model in the runtime, checked against its card and its golden outputs. */
export class OnnxModel {
  readonly package: ModelPackage
  readonly #runtime: Runtime
  readonly #session: InferenceSession

  private constructor(loaded: ModelPackage, ort: Runtime, session: InferenceSession) {
    this.package = loaded
    this.#runtime = ort
    this.#session = session
  }

  /** Throws FS_MODEL_RUNTIME when there is no runtime here, FS_MODEL_INVALID when the model is not what it says. */
  static async open(loaded: ModelPackage): Promise<OnnxModel> {
    const ort = await runtime()
    const { folder, card } = loaded
    let session: InferenceSession
    try {
      session = await ort.InferenceSession.create(loaded.model, OPTIONS)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new ForeshockError('FS_MODEL_INVALID', `${folder}: the runtime refuses it: ${reason}`, {
        cause: error,
      })
    }
    const model = new OnnxModel(loaded, ort, session)
    try {
      checkShape(folder, 'input', session.inputMetadata, card.input)
      checkShape(folder, 'output', session.outputMetadata, card.output)
      await model.#checkGolden()
    } catch (error) {
      await session.release()
      throw error
    }
    return model
  }

  /** Output of `rows` rows of the input's width, row-major; new each time. */
  async run(input: Float32Array, rows: number): Promise<Float32Array> {
    const { card } = this.package
    const out = new Float32Array(rows * card.output.width)
    for (let from = 0; from < rows; from += BATCH_ROWS) {
      const count = Math.min(BATCH_ROWS, rows - from)
      const part = input.subarray(from * card.input.width, (from + count) * card.input.width)
      const tensor: Tensor = new this.#runtime.Tensor('float32', part, [count, card.input.width])
      const found = await this.#session.run({ [card.input.name]: tensor })
      const values = found[card.output.name].data
      if (!(values instanceof Float32Array) || values.length !== count * card.output.width)
        throw new ForeshockError('FS_MODEL_INVALID', `${card.id}: ${values.length} numbers for ${count} rows`)
      out.set(values, from * card.output.width)
    }
    return out
  }

  async #checkGolden(): Promise<void> {
    const { golden, folder } = this.package
    const found = await this.run(golden.inputs, golden.rows)
    for (let i = 0; i < found.length; i++) {
      const [own, wanted] = [found[i], golden.outputs[i]]
      if (Number.isNaN(own) ? Number.isNaN(wanted) : Math.abs(own - wanted) <= PARITY) continue
      throw new ForeshockError(
        'FS_MODEL_INVALID',
        `${folder}: golden.json: output ${i} is ${own}, training saw ${wanted}`,
      )
    }
  }

  async close(): Promise<void> {
    await this.#session.release()
  }
}

function checkShape(
  folder: string,
  side: 'input' | 'output',
  found: readonly InferenceSession.ValueMetadata[],
  card: { readonly name: string; readonly width: number },
): void {
  const known = found.find(value => value.name === card.name)
  const says = found.map(value => value.name).join(', ')
  if (!known)
    throw new ForeshockError('FS_MODEL_INVALID', `${folder}: no ${side} '${card.name}' among ${says}`)
  if (side === 'input' && found.length > 1)
    throw new ForeshockError('FS_MODEL_INVALID', `${folder}: one input is fed, it wants ${says}`)
  if (!known.isTensor || known.type !== 'float32')
    throw new ForeshockError('FS_MODEL_INVALID', `${folder}: ${side} '${card.name}' is no float32 tensor`)
  const [batch, width, ...rest] = known.shape
  if (typeof batch === 'number' || width !== card.width || rest.length > 0)
    throw new ForeshockError(
      'FS_MODEL_INVALID',
      `${folder}: ${side} '${card.name}' is [${known.shape.join(', ')}], not [batch, ${card.width}]`,
    )
}
