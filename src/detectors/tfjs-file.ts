import { z } from 'zod'
import { invalidPackage } from './model-files.ts'

/**
 * What a TF.js model.json asks of whoever runs it: its weight files and what lies in them, read without a runtime.
 * Source: the layers and graph formats that tfjs-converter 4 writes.
 */
const count = z.number().int().min(0)
const weightSchema = z.object({
  name: z.string().min(1).max(1000),
  shape: z.array(count).max(8),
  dtype: z.enum(['float32', 'int32', 'bool', 'string', 'complex64']),
  quantization: z
    .object({
      scale: z.number().optional(),
      min: z.number().optional(),
      dtype: z.enum(['uint8', 'uint16', 'float16']),
    })
    .optional(),
})
const modelSchema = z.object({
  modelTopology: z.record(z.string(), z.unknown()),
  format: z.string().optional(),
  generatedBy: z.string().nullish(),
  convertedBy: z.string().nullish(),
  signature: z.record(z.string(), z.unknown()).optional(),
  userDefinedMetadata: z.record(z.string(), z.unknown()).optional(),
  modelInitializer: z.record(z.string(), z.unknown()).optional(),
  weightsManifest: z
    .array(
      z.object({
        paths: z.array(z.string().min(1).max(255)).max(1000),
        weights: z.array(weightSchema).max(10_000),
      }),
    )
    .min(1)
    .max(1000),
})

export interface TfjsNeeds {
  readonly model: z.output<typeof modelSchema>
  /** Plain names of files beside model.json, in the order it names them. */
  readonly files: readonly string[]
  readonly weights: readonly z.output<typeof weightSchema>[]
  /** Bytes that the weights make together. */
  readonly bytes: number
}

const FORMATS = { 'tfjs-layers': 'layers-model', 'tfjs-graph': 'graph-model' } as const
const BYTES = { float32: 4, int32: 4, bool: 1, complex64: 8, uint8: 1, uint16: 2, float16: 2 } as const
/** Loops may never end; TF.js runs them only in calls of another kind. */
const LOOPS = ['While', 'StatelessWhile', 'LoopCond', 'Enter', 'NextIteration']

/** Throws FS_MODEL_INVALID. `json` is what model.json holds. */
export function tfjsNeeds(folder: string, json: unknown, format: keyof typeof FORMATS): TfjsNeeds {
  const parsed = modelSchema.safeParse(json)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw invalidPackage(folder, `model.json: ${issue.path.join('.')}: ${issue.message}`)
  }
  const { modelTopology, weightsManifest, format: says } = parsed.data
  if (says !== undefined && says !== FORMATS[format])
    throw invalidPackage(folder, `model.json is a ${says}, the card says ${format}`)
  const nodes = operatorsOf(modelTopology)
  if (format === 'tfjs-graph' && nodes.length === 0) throw invalidPackage(folder, 'model.json holds no graph')
  const loop = nodes.find(operator => LOOPS.includes(operator))
  if (loop !== undefined) throw invalidPackage(folder, `model.json has loops: ${loop}`)
  const files = weightsManifest.flatMap(group => group.paths)
  // Names with folders in them lead out of the package sooner or later; those that need none do without.
  const odd = files.find(file => !/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(file))
  if (odd !== undefined)
    throw invalidPackage(folder, `model.json: weight file '${odd}' is no plain name beside it`)
  if (new Set(files).size !== files.length)
    throw invalidPackage(folder, 'model.json names a weight file twice')
  const weights = weightsManifest.flatMap(group => group.weights)
  let bytes = 0
  for (const { name, shape, dtype, quantization } of weights) {
    const kind = quantization?.dtype ?? dtype
    if (kind === 'string')
      throw invalidPackage(folder, `model.json: weight '${name}' is text, only numbers are taken`)
    bytes += shape.reduce((size, n) => size * n, 1) * BYTES[kind]
  }
  return { model: parsed.data, files, weights, bytes }
}

/** Operators of a graph model, those of its functions with them; none of a layers model. */
function operatorsOf(topology: Record<string, unknown>): string[] {
  const node = z.array(z.object({ op: z.string() }))
  const functions = z.object({ function: z.array(z.object({ nodeDef: node.optional() })).optional() })
  const own = node.safeParse(topology.node)
  const inner = functions.safeParse(topology.library)
  return [
    ...(own.success ? own.data : []),
    ...((inner.success ? inner.data.function : undefined) ?? []).flatMap(one => one.nodeDef ?? []),
  ].map(one => one.op)
}
