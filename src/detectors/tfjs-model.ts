import { createRequire } from 'node:module'
import { dirname, sep } from 'node:path'
import type { GraphModel } from '@tensorflow/tfjs-converter'
import type { io, Tensor } from '@tensorflow/tfjs-core'
import type { LayersModel } from '@tensorflow/tfjs-layers'
import { ForeshockError } from '../core/errors.ts'
import { invalidPackage } from './model-files.ts'
import type { ModelPackage } from './model-package.ts'
import type { ModelEngine } from './model-runtime.ts'

/** The WebAssembly backend slows down beyond it. */
const BATCH_ROWS = 256
/** What computes: the user's own TensorFlow where it is installed, else WebAssembly, else (for rare operators) JavaScript. */
const BACKENDS = ['tensorflow', 'wasm', 'cpu'] as const
type Backend = (typeof BACKENDS)[number]

type Core = typeof import('@tensorflow/tfjs-core')
type Model = LayersModel | GraphModel

function unavailable(error: unknown): ForeshockError {
  const reason = error instanceof Error ? error.message : String(error)
  return new ForeshockError('FS_MODEL_RUNTIME', `TensorFlow.js cannot be loaded here: ${reason}`, {
    cause: error,
  })
}

async function load(): Promise<{ tf: Core; backends: Backend[] }> {
  try {
    const [tf, wasm] = await Promise.all([
      import('@tensorflow/tfjs-core'),
      import('@tensorflow/tfjs-backend-wasm'),
      import('@tensorflow/tfjs-backend-cpu'),
    ])
    // It greets its users on the terminal otherwise.
    tf.enableProdMode()
    // One thread, as with ONNX; and the files of the package itself, never of a network.
    tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false)
    const beside = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm')
    wasm.setWasmPaths(dirname(beside) + sep)
    const backends = (await isNativeInstalled()) ? BACKENDS : BACKENDS.slice(1)
    return { tf, backends: [...backends] }
  } catch (error) {
    throw unavailable(error)
  }
}

/** Registers the backend of `@tensorflow/tfjs-node` when the user has installed it; it is no dependency of ours. */
async function isNativeInstalled(): Promise<boolean> {
  const name: string = '@tensorflow/tfjs-node'
  try {
    await import(name)
    return true
  } catch {
    return false
  }
}

/**
 * A TF.js layers or graph model from disk. TF.js keeps one backend for its whole thread: two models with different
 * needs must not share one.
 */
export class TfjsModel implements ModelEngine {
  readonly runtime = 'tfjs' as const
  readonly #tf: Core
  readonly #model: Model
  readonly #card: ModelPackage['card']

  private constructor(tf: Core, model: Model, loaded: ModelPackage) {
    this.#tf = tf
    this.#model = model
    this.#card = loaded.card
  }

  /** Throws FS_MODEL_RUNTIME when TF.js is not here, FS_MODEL_INVALID when the model is not what it says. */
  static async open(loaded: ModelPackage): Promise<TfjsModel> {
    const { tf, backends } = await load()
    const { folder } = loaded
    for (const [at, backend] of backends.entries()) {
      if (!(await tf.setBackend(backend))) continue
      const model = await read(loaded)
      try {
        checkShapes(loaded, model)
        const own = new TfjsModel(tf, model, loaded)
        // Operators are looked up when they first run.
        await own.run(loaded.golden.inputs, 1)
        return own
      } catch (error) {
        model.dispose()
        if (error instanceof ForeshockError) throw error
        const reason = error instanceof Error ? error.message : String(error)
        if (at + 1 < backends.length && /kernel .*not registered|backend '.*' (not|has not)/i.test(reason))
          continue
        throw invalidPackage(folder, `model.json: the runtime refuses it: ${reason}`, error)
      }
    }
    throw unavailable(`none of ${backends.join(', ')} starts`)
  }

  async run(input: Float32Array, rows: number): Promise<Float32Array> {
    const { input: wanted, output, id } = this.#card
    const out = new Float32Array(rows * output.width)
    for (let from = 0; from < rows; from += BATCH_ROWS) {
      const count = Math.min(BATCH_ROWS, rows - from)
      const part = input.slice(from * wanted.width, (from + count) * wanted.width)
      // What a model leaves behind on its way is freed with the result.
      const values = this.#tf.tidy(() => {
        const found = this.#model.predict(this.#tf.tensor2d(part, [count, wanted.width]))
        return firstOf(found).dataSync()
      })
      if (!(values instanceof Float32Array) || values.length !== count * output.width)
        throw new ForeshockError('FS_MODEL_INVALID', `${id}: ${values.length} numbers for ${count} rows`)
      out.set(values, from * output.width)
    }
    return out
  }

  async close(): Promise<void> {
    this.#model.dispose()
  }
}

type Found = ReturnType<Model['predict']>

function firstOf(found: Found): Tensor {
  if (Array.isArray(found)) return found[0]
  return 'dataSync' in found ? (found as Tensor) : Object.values(found)[0]
}

async function read(loaded: ModelPackage): Promise<Model> {
  const { folder, card, tfjs } = loaded
  if (!tfjs) throw invalidPackage(folder, 'model.json is missing')
  const artifacts = {
    ...tfjs.needs.model,
    weightSpecs: tfjs.needs.weights,
    weightData: tfjs.weights.slice().buffer,
  } as unknown as io.ModelArtifacts
  const source: io.IOHandler = { load: async () => artifacts }
  const graph = await import('@tensorflow/tfjs-converter').catch(error => {
    throw unavailable(error)
  })
  const layers = await import('@tensorflow/tfjs-layers').catch(error => {
    throw unavailable(error)
  })
  try {
    return card.format === 'tfjs-graph'
      ? await graph.loadGraphModel(source)
      : await layers.loadLayersModel(source)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw invalidPackage(folder, `model.json: the runtime refuses it: ${reason}`, error)
  }
}

/** Names are labels here: TF.js makes up its own. What counts is one input and one output of the right widths. */
function checkShapes({ folder, card }: ModelPackage, model: Model): void {
  for (const [side, known, width] of [
    ['input', model.inputs, card.input.width],
    ['output', model.outputs, card.output.width],
  ] as const) {
    if (known.length !== 1)
      throw invalidPackage(folder, `model.json: one ${side} is wanted, it has ${known.length}`)
    const [one] = known
    const shape: readonly (number | null)[] | undefined = one.shape
    // Graph models need not say how long their rows are; then the golden outputs show it.
    if (!shape) continue
    const isBatched = shape.length === 2 && (shape[0] === null || shape[0] === -1)
    const isWide = shape[1] === width || (card.format === 'tfjs-graph' && (shape[1] ?? -1) === -1)
    if (!isBatched || !isWide)
      throw invalidPackage(
        folder,
        `model.json: ${side} is [${shape.map(n => n ?? 'batch').join(', ')}], not [batch, ${width}]`,
      )
    if (one.dtype !== 'float32')
      throw invalidPackage(folder, `model.json: ${side} is ${one.dtype}, not float32`)
  }
}
