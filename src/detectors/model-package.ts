import { createHash } from 'node:crypto'
import { z } from 'zod'
import { cardSchema, featuresOf, type ModelCard } from './model-card.ts'
import { invalidPackage, packageFile } from './model-files.ts'
import { onnxNeeds } from './onnx-file.ts'
import { type TfjsNeeds, tfjsNeeds } from './tfjs-file.ts'

const input = z.array(z.array(z.number().nullable()))
/** What a model answered in training are numbers: one that answers NaN to its own examples is of no use. */
const output = z.array(z.array(z.number()))
const goldenSchema = z.strictObject({ inputs: input.min(1).max(4096), outputs: output.min(1).max(4096) })

export interface Golden {
  /** Row-major, NaN where the file says null. */
  readonly inputs: Float32Array
  readonly outputs: Float32Array
  readonly rows: number
}

/**
 * A model as it is handed over: a folder `<id>/<version>/` with the model (`model.onnx`, or `model.json` and its weight
 * files), a card that says what it is, and golden inputs with the outputs that training saw. All is checked before any
 * of it reaches a runtime.
 */
export interface ModelPackage {
  readonly folder: string
  readonly card: ModelCard
  /** Bytes of model.onnx or model.json. */
  readonly model: Uint8Array
  /** Whether it has loops, which may never end: such a model must run where it can be stopped. */
  readonly hasLoop: boolean
  /** A TF.js model's topology and weights; left out for ONNX. */
  readonly tfjs?: { readonly needs: TfjsNeeds; readonly weights: Uint8Array }
  readonly golden: Golden
}

export const CARD_BYTES_MAX = 65_536
export const GOLDEN_BYTES_MAX = 4 * 1_048_576
/** What a runtime that sits beside the pipeline may be handed at most, weights and all. */
const MODEL_BYTES_MAX = 64 * 1_048_576
/** Topology of a TF.js model. */
const TOPOLOGY_BYTES_MAX = 4 * 1_048_576
/** Operator domains that every build of the runtime has; anything else would be code of the model's own. */
const DOMAINS = ['ai.onnx', 'ai.onnx.ml']
/** Newest operator sets that the runtime in use (ONNX Runtime 1.30) is made for. */
const OPSET_MAX: Readonly<Record<string, number>> = { 'ai.onnx': 25, 'ai.onnx.ml': 5 }

/** Reads and checks a package. Throws FS_MODEL_INVALID with the file and the reason. */
export async function loadPackage(folder: string): Promise<ModelPackage> {
  const card = parse(cardSchema, await json(folder, 'card.json', CARD_BYTES_MAX), folder, 'card.json')
  const features = featuresOf(card)
  const { width } = card.input
  if (features.length !== width || new Set(features).size !== width)
    throw invalidPackage(folder, `card.json: ${width} different features wanted, ${features.length} named`)
  const model = card.format === 'onnx' ? await onnx(folder, card) : await tfjs(folder, card, card.format)
  return { folder, card, ...model, golden: await goldenOf(folder, card) }
}

async function goldenOf(folder: string, card: ModelCard): Promise<Golden> {
  const golden = await json(folder, 'golden.json', GOLDEN_BYTES_MAX)
  const { inputs, outputs } = parse(goldenSchema, golden, folder, 'golden.json')
  if (inputs.length !== outputs.length)
    throw invalidPackage(folder, `golden.json: ${inputs.length} inputs, ${outputs.length} outputs`)
  return {
    rows: inputs.length,
    inputs: flat(inputs, card.input.width, folder, 'inputs'),
    outputs: flat(outputs, card.output.width, folder, 'outputs'),
  }
}

async function onnx(folder: string, card: ModelCard) {
  const model = await packageFile(folder, 'model.onnx', MODEL_BYTES_MAX)
  checkDigest(folder, card, 'model.onnx', [model])
  const needs = onnxNeeds(model)
  if (needs.hasExternalData) throw invalidPackage(folder, 'model.onnx keeps tensors in another file')
  const foreign = needs.operators.filter(operator => !operator.startsWith('ai.onnx.ml.'))
  if (foreign.length > 0)
    throw invalidPackage(folder, `model.onnx has operators of its own: ${foreign.join(', ')}`)
  for (const [domain, version] of Object.entries(needs.opsets)) {
    if (!DOMAINS.includes(domain))
      throw invalidPackage(folder, `model.onnx wants the operators of '${domain}'`)
    if (version > OPSET_MAX[domain])
      throw invalidPackage(
        folder,
        `model.onnx wants ${domain} ${version}, the runtime knows ${OPSET_MAX[domain]}`,
      )
    if (card.opsets[domain] !== version)
      throw invalidPackage(
        folder,
        `model.onnx wants ${domain} ${version}, the card says ${card.opsets[domain]}`,
      )
  }
  return { model, hasLoop: needs.hasLoop }
}

async function tfjs(folder: string, card: ModelCard, format: 'tfjs-layers' | 'tfjs-graph') {
  const model = await packageFile(folder, 'model.json', TOPOLOGY_BYTES_MAX)
  const needs = tfjsNeeds(folder, fromJson(model, folder, 'model.json'), format)
  const files: Uint8Array[] = []
  let left = MODEL_BYTES_MAX
  for (const file of needs.files) {
    const bytes = await packageFile(folder, file, left)
    left -= bytes.length
    files.push(bytes)
  }
  checkDigest(folder, card, 'model.json with its weight files', [model, ...files])
  const weights = new Uint8Array(MODEL_BYTES_MAX - left)
  let at = 0
  for (const bytes of files) {
    weights.set(bytes, at)
    at += bytes.length
  }
  if (weights.length !== needs.bytes)
    throw invalidPackage(
      folder,
      `model.json: its weights make ${needs.bytes} bytes, the files hold ${weights.length}`,
    )
  return { model, hasLoop: false, tfjs: { needs, weights } }
}

function checkDigest(folder: string, card: ModelCard, what: string, parts: readonly Uint8Array[]): void {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  const digest = `sha256:${hash.digest('hex')}`
  if (digest !== card.digest)
    throw invalidPackage(folder, `${what} is ${digest}, the card says ${card.digest}`)
}

async function json(folder: string, file: string, bytesMax: number): Promise<unknown> {
  return fromJson(await packageFile(folder, file, bytesMax), folder, file)
}

function fromJson(bytes: Uint8Array, folder: string, file: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    throw invalidPackage(folder, `${file} is no JSON`)
  }
}

function parse<S extends z.ZodType>(schema: S, value: unknown, folder: string, file: string): z.output<S> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw invalidPackage(folder, `${file}: ${issue.path.join('.')}: ${issue.message}`)
}

function flat(rows: readonly (readonly (number | null)[])[], width: number, folder: string, what: string) {
  const out = new Float32Array(rows.length * width)
  for (const [r, cells] of rows.entries()) {
    if (cells.length !== width)
      throw invalidPackage(folder, `golden.json: ${what} ${r} has ${cells.length} columns, not ${width}`)
    for (const [c, cell] of cells.entries()) out[r * width + c] = cell ?? NaN
  }
  return out
}
