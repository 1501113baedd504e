import { createHash } from 'node:crypto'
import { lstat, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { ForeshockError } from '../core/errors.ts'
import { cardSchema, featuresOf, type ModelCard } from './model-card.ts'
import { onnxNeeds } from './onnx-file.ts'

const row = z.array(z.number().nullable())
const goldenSchema = z.strictObject({ inputs: z.array(row).min(1).max(4096), outputs: z.array(row).min(1) })

export interface Golden {
  /** Row-major, NaN where the file says null. */
  readonly inputs: Float32Array
  readonly outputs: Float32Array
  readonly rows: number
}

/**
 * A model as it is handed over: a folder `<id>/<version>/` with `model.onnx`, a card that says what it is, and golden
 * inputs with the outputs that training saw. All is checked before any of it reaches a runtime.
 */
export interface ModelPackage {
  readonly folder: string
  readonly card: ModelCard
  readonly model: Uint8Array
  readonly golden: Golden
}

const CARD_BYTES_MAX = 65_536
const GOLDEN_BYTES_MAX = 4 * 1_048_576
/** What a runtime that sits beside the pipeline may be handed at most. */
const MODEL_BYTES_MAX = 64 * 1_048_576
/** Operator domains that every build of the runtime has; anything else would be code of the model's own. */
const DOMAINS = ['ai.onnx', 'ai.onnx.ml']
/** Newest operator sets that the runtime in use (ONNX Runtime 1.30) is made for. */
const OPSET_MAX: Readonly<Record<string, number>> = { 'ai.onnx': 25, 'ai.onnx.ml': 5 }

/** Reads and checks a package. Throws FS_MODEL_INVALID with the file and the reason. */
export async function loadPackage(folder: string): Promise<ModelPackage> {
  const card = parse(cardSchema, await bytesOf(folder, 'card.json', CARD_BYTES_MAX), folder, 'card.json')
  const { input, output } = card
  const features = featuresOf(card)
  if (features.length !== input.width || new Set(features).size !== input.width)
    throw invalid(folder, `card.json: ${input.width} different features wanted, ${features.length} named`)
  const model = await bytesOf(folder, 'model.onnx', MODEL_BYTES_MAX)
  const digest = `sha256:${createHash('sha256').update(model).digest('hex')}`
  if (digest !== card.digest) throw invalid(folder, `model.onnx is ${digest}, the card says ${card.digest}`)
  checkNeeds(folder, model, card)
  const raw = parse(
    goldenSchema,
    await bytesOf(folder, 'golden.json', GOLDEN_BYTES_MAX),
    folder,
    'golden.json',
  )
  if (raw.inputs.length !== raw.outputs.length)
    throw invalid(folder, `golden.json: ${raw.inputs.length} inputs, ${raw.outputs.length} outputs`)
  const golden = {
    rows: raw.inputs.length,
    inputs: flat(raw.inputs, input.width, folder, 'inputs'),
    outputs: flat(raw.outputs, output.width, folder, 'outputs'),
  }
  return { folder, card, model, golden }
}

function checkNeeds(folder: string, model: Uint8Array, card: ModelCard): void {
  const needs = onnxNeeds(model)
  if (needs.hasExternalData) throw invalid(folder, 'model.onnx keeps tensors in another file')
  const foreign = needs.operators.filter(operator => !operator.startsWith('ai.onnx.ml.'))
  if (foreign.length > 0) throw invalid(folder, `model.onnx has operators of its own: ${foreign.join(', ')}`)
  for (const [domain, version] of Object.entries(needs.opsets)) {
    if (!DOMAINS.includes(domain)) throw invalid(folder, `model.onnx wants the operators of '${domain}'`)
    if (version > OPSET_MAX[domain])
      throw invalid(folder, `model.onnx wants ${domain} ${version}, the runtime knows ${OPSET_MAX[domain]}`)
    if (card.opsets[domain] !== version)
      throw invalid(folder, `model.onnx wants ${domain} ${version}, the card says ${card.opsets[domain]}`)
  }
}

async function bytesOf(folder: string, file: string, bytesMax: number): Promise<Uint8Array> {
  const path = join(folder, file)
  const found = await lstat(path).catch(() => undefined)
  if (!found) throw invalid(folder, `${file} is missing`)
  // A link could lead anywhere, and a device or pipe never end.
  if (!found.isFile()) throw invalid(folder, `${file} is no plain file`)
  if (found.size > bytesMax)
    throw invalid(folder, `${file} has ${found.size} bytes, at most ${bytesMax} are read`)
  return readFile(path)
}

function parse<S extends z.ZodType>(schema: S, bytes: Uint8Array, folder: string, file: string): z.output<S> {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    throw invalid(folder, `${file} is no JSON`)
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw invalid(folder, `${file}: ${issue.path.join('.')}: ${issue.message}`)
}

function flat(rows: readonly (readonly (number | null)[])[], width: number, folder: string, what: string) {
  const out = new Float32Array(rows.length * width)
  for (const [r, cells] of rows.entries()) {
    if (cells.length !== width)
      throw invalid(folder, `golden.json: ${what} ${r} has ${cells.length} columns, not ${width}`)
    for (const [c, cell] of cells.entries()) out[r * width + c] = cell ?? NaN
  }
  return out
}

const invalid = (folder: string, reason: string) =>
  new ForeshockError('FS_MODEL_INVALID', `${folder}: ${reason}`)
