import type { InferenceSession, Tensor } from 'onnxruntime-node'
import { ForeshockError } from '../core/errors.ts'
import { invalidPackage } from './model-files.ts'
import type { ModelPackage } from './model-package.ts'
import { BATCH_ROWS, type ModelEngine } from './model-runtime.ts'

/**
 * One thread: rows are few, and threads that spin between calls would take a core from the pipeline. Memory is not
 * planned ahead for a size of batch, which changes from window to window.
 */
const OPTIONS: InferenceSession.SessionOptions = {
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  // What goes wrong comes as an error; the runtime's own lines would stand between those of the log.
  logSeverityLevel: 4,
}

type OnnxRuntimeName = 'onnxruntime-node' | 'onnxruntime-web'
/** Both runtimes have the same interface. */
type Runtime = typeof import('onnxruntime-node')

/** The runtime is loaded when a model is: a service without models must not depend on it. */
async function load(name: OnnxRuntimeName): Promise<Runtime> {
  try {
    const loaded = name === 'onnxruntime-node' ? await import('onnxruntime-node') : await web()
    return (loaded as unknown as { default?: Runtime }).default ?? loaded
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ForeshockError('FS_MODEL_RUNTIME', `${name} cannot be loaded here: ${reason}`, {
      cause: error,
    })
  }
}

/** In Node it finds its WebAssembly beside itself, in its own folder. */
async function web(): Promise<Runtime> {
  const loaded = (await import('onnxruntime-web')) as unknown as Runtime
  loaded.env.wasm.numThreads = 1
  return loaded
}

/** An ONNX model in one of its runtimes, its inputs and outputs checked against its card. */
export class OnnxModel implements ModelEngine {
  readonly runtime: OnnxRuntimeName
  readonly #card: ModelPackage['card']
  readonly #runtime: Runtime
  readonly #session: InferenceSession

  private constructor(loaded: ModelPackage, name: OnnxRuntimeName, ort: Runtime, session: InferenceSession) {
    this.runtime = name
    this.#card = loaded.card
    this.#runtime = ort
    this.#session = session
  }

  /** Throws FS_MODEL_RUNTIME when there is no such runtime here, FS_MODEL_INVALID when the model is not what it says. */
  static async open(loaded: ModelPackage, name: OnnxRuntimeName): Promise<OnnxModel> {
    const ort = await load(name)
    const { folder, card } = loaded
    let session: InferenceSession
    try {
      const executionProviders = [name === 'onnxruntime-node' ? 'cpu' : 'wasm']
      session = await ort.InferenceSession.create(loaded.model, { ...OPTIONS, executionProviders })
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw invalidPackage(folder, `model.onnx: the runtime refuses it: ${reason}`, error)
    }
    try {
      checkShape(folder, 'input', session.inputMetadata, card.input)
      checkShape(folder, 'output', session.outputMetadata, card.output)
    } catch (error) {
      await session.release()
      throw error
    }
    return new OnnxModel(loaded, name, ort, session)
  }

  async run(input: Float32Array, rows: number): Promise<Float32Array> {
    const { input: wanted, output } = this.#card
    if (rows <= BATCH_ROWS) return this.#batch(input.subarray(0, rows * wanted.width), rows)
    const out = new Float32Array(rows * output.width)
    for (let from = 0; from < rows; from += BATCH_ROWS) {
      const count = Math.min(BATCH_ROWS, rows - from)
      const part = input.subarray(from * wanted.width, (from + count) * wanted.width)
      out.set(await this.#batch(part, count), from * output.width)
    }
    return out
  }

  async #batch(part: Float32Array, rows: number): Promise<Float32Array> {
    const { input, output, id } = this.#card
    const tensor: Tensor = new this.#runtime.Tensor('float32', part, [rows, input.width])
    const found = await this.#session.run({ [input.name]: tensor }, [output.name])
    const values = found[output.name].data
    if (!(values instanceof Float32Array) || values.length !== rows * output.width)
      throw new ForeshockError('FS_MODEL_INVALID', `${id}: ${values.length} numbers for ${rows} rows`)
    return values
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
  const wrong = (reason: string) => invalidPackage(folder, `model.onnx: ${reason}`)
  if (!known) throw wrong(`no ${side} '${card.name}' among ${says}`)
  if (side === 'input' && found.length > 1) throw wrong(`one input is fed, it wants ${says}`)
  if (!known.isTensor || known.type !== 'float32') throw wrong(`${side} '${card.name}' is no float32 tensor`)
  const [batch, width, ...rest] = known.shape
  if (typeof batch === 'number' || width !== card.width || rest.length > 0)
    throw wrong(`${side} '${card.name}' is [${known.shape.join(', ')}], not [batch, ${card.width}]`)
}
