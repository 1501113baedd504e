import { ForeshockError } from '../core/errors.ts'
import { invalidPackage } from './model-files.ts'
import type { ModelPackage } from './model-package.ts'
import type { ModelEngine, RuntimeName } from './model-runtime.ts'
import { OnnxModel } from './onnx-model.ts'
import { TfjsModel } from './tfjs-model.ts'

/** Golden outputs must come back this close, absolutely up to 1 and relatively beyond. */
export const PARITY = 1e-5
/** The same where another runtime than the model's own answers, after its own has passed. */
export const PARITY_ACROSS = 1e-4
/** A budget is held when the fastest of several runs takes at most this many times as long: machines differ. */
const SPEED_TOLERANCE = 1.5
/** Rows that the budget speaks of. */
const BUDGET_ROWS = 256
/** Runs that count, after one that warms up; no more of them than fit into this time, ms. */
const SPEED_RUNS = 9
const SPEED_MS_MAX = 2000

/** What an opened model showed. */
export interface Proof {
  readonly runtime: RuntimeName
  /** Largest distance of a golden output. */
  readonly parity: number
  readonly msPer256Rows: number
}

export interface OpenOptions {
  /** Runtimes that may be used; those that fit the model are tried in the order of `fitting`. */
  readonly runtimes?: readonly RuntimeName[]
  /** Whether its own runtime gave the golden outputs already: another may then be a little further off. */
  readonly isProven?: boolean
  /** False when its time was judged before: that this machine is busy just now is no reason to refuse it. */
  readonly isTimed?: boolean
}

/**
 * Runtimes for a package, the best first. A model with loops runs in WebAssembly: a loop that never ends can be stopped
 * there, in native code nothing stops it.
 */
export function fitting(loaded: ModelPackage, allowed?: readonly RuntimeName[]): RuntimeName[] {
  const all: RuntimeName[] = loaded.tfjs
    ? ['tfjs']
    : loaded.hasLoop
      ? ['onnxruntime-web']
      : ['onnxruntime-node', 'onnxruntime-web']
  return allowed ? all.filter(name => allowed.includes(name)) : all
}

/**
 * Opens a package in the first runtime that can be had, compares its golden outputs and times it. Throws
 * FS_MODEL_INVALID with the file and the reason, FS_MODEL_RUNTIME when no runtime here can run it.
 */
export async function openModel(
  loaded: ModelPackage,
  options: OpenOptions = {},
): Promise<{ engine: ModelEngine; proof: Proof }> {
  const { folder, card } = loaded
  const names = fitting(loaded, options.runtimes)
  const own = fitting(loaded)[0]
  let missing: unknown = new ForeshockError(
    'FS_MODEL_RUNTIME',
    `${folder}: none of the runtimes allowed here runs ${card.format} models`,
  )
  for (const name of names) {
    let engine: ModelEngine
    try {
      engine = name === 'tfjs' ? await TfjsModel.open(loaded) : await OnnxModel.open(loaded, name)
    } catch (error) {
      if (!(error instanceof ForeshockError) || error.code !== 'FS_MODEL_RUNTIME') throw error
      missing = error
      continue
    }
    try {
      const tolerance = options.isProven && name !== own ? PARITY_ACROSS : PARITY
      const parity = await goldenParity(loaded, engine, tolerance)
      const msPer256Rows = await speed(loaded, engine)
      if (options.isTimed !== false) checkSpeed(loaded, name, msPer256Rows)
      return { engine, proof: { runtime: name, parity, msPer256Rows } }
    } catch (error) {
      await engine.close()
      throw error
    }
  }
  throw missing
}

/** Largest distance of a golden output, in units of 1 or of the output when that is larger. */
async function goldenParity(loaded: ModelPackage, engine: ModelEngine, tolerance: number): Promise<number> {
  const { golden, folder } = loaded
  const found = await asked(loaded, engine, golden.inputs, golden.rows)
  let largest = 0
  for (let i = 0; i < found.length; i++) {
    const [own, wanted] = [found[i], golden.outputs[i]]
    if (Number.isNaN(own))
      throw invalidPackage(folder, `golden.json: output ${i} is NaN, training saw ${wanted}`)
    const distance = Math.abs(own - wanted) / Math.max(1, Math.abs(wanted))
    if (!(distance <= tolerance))
      throw invalidPackage(
        folder,
        `golden.json: output ${i} is ${own} in ${engine.runtime}, training saw ${wanted}: more than ${tolerance} apart`,
      )
    if (distance > largest) largest = distance
  }
  return largest
}

/** Fastest of several runs of golden rows, ms for 256: what else the machine does only ever adds. */
async function speed(loaded: ModelPackage, engine: ModelEngine): Promise<number> {
  const { card, golden } = loaded
  const { width } = card.input
  const input = new Float32Array(BUDGET_ROWS * width)
  for (let i = 0; i < input.length; i++) input[i] = golden.inputs[i % golden.inputs.length]
  await asked(loaded, engine, input, BUDGET_ROWS)
  let best = Infinity
  const until = performance.now() + SPEED_MS_MAX
  for (let run = 0; run < SPEED_RUNS && (run === 0 || performance.now() < until); run++) {
    const from = performance.now()
    await asked(loaded, engine, input, BUDGET_ROWS)
    best = Math.min(best, performance.now() - from)
  }
  return best
}

function checkSpeed({ card, folder }: ModelPackage, name: RuntimeName, found: number): void {
  const { msPer256Rows } = card.budget
  if (found > msPer256Rows * SPEED_TOLERANCE)
    throw invalidPackage(
      folder,
      `card.json: budget.msPer256Rows is ${msPer256Rows}, ${name} takes ${found.toFixed(2)}: ` +
        `more than ${SPEED_TOLERANCE} times as long`,
    )
}

async function asked(
  loaded: ModelPackage,
  engine: ModelEngine,
  input: Float32Array,
  rows: number,
): Promise<Float32Array> {
  try {
    return await engine.run(input, rows)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw invalidPackage(loaded.folder, `it fails in ${engine.runtime}: ${reason}`, error)
  }
}
