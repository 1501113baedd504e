// Writes small TF.js models for tests: model.json and one weight file, as tfjs-converter lays them out.
import { Buffer } from 'node:buffer'

export type TfjsFiles = Readonly<Record<string, Uint8Array | string>>

interface Weight {
  readonly name: string
  readonly shape: readonly number[]
  readonly values: readonly number[]
}

function files(
  modelTopology: unknown,
  format: string,
  weights: readonly Weight[],
  path = 'weights.bin',
): TfjsFiles {
  const model = {
    format,
    generatedBy: 'test',
    convertedBy: null,
    modelTopology,
    weightsManifest: [
      { paths: [path], weights: weights.map(({ name, shape }) => ({ name, shape, dtype: 'float32' })) },
    ],
  }
  const bytes = Buffer.from(Float32Array.from(weights.flatMap(one => [...one.values])).buffer)
  return { 'model.json': JSON.stringify(model), [path]: Uint8Array.from(bytes) }
}

/** One dense layer without bias: y = x · weights. */
export function denseLayers(
  width: number,
  units: number,
  values: readonly number[],
  className = 'Dense',
): TfjsFiles {
  const config = {
    name: 'dense',
    trainable: true,
    dtype: 'float32',
    units,
    activation: 'linear',
    use_bias: false,
    batch_input_shape: [null, width],
  }
  const topology = {
    class_name: 'Sequential',
    config: { name: 'sequential', layers: [{ class_name: className, config }] },
    keras_version: '4.22.0',
    backend: 'tensorflow',
  }
  return files(topology, 'layers-model', [{ name: 'dense/kernel', shape: [width, units], values }])
}

interface Node {
  readonly name: string
  readonly op: string
  readonly input?: readonly string[]
  readonly attr?: Readonly<Record<string, unknown>>
}

const FLOAT = { type: 'DT_FLOAT' }
const dims = (shape: readonly number[]) => ({ dim: shape.map(size => ({ size: String(size) })) })

/** A graph from the placeholder `x` [batch, width] over `nodes`, with the weight `w`. */
export function graphModel(
  width: number,
  nodes: readonly Node[],
  weight: Omit<Weight, 'name'>,
  path?: string,
): TfjsFiles {
  const node = [
    { name: 'x', op: 'Placeholder', attr: { dtype: FLOAT, shape: { shape: dims([-1, width]) } } },
    {
      name: 'w',
      op: 'Const',
      attr: { dtype: FLOAT, value: { tensor: { dtype: 'DT_FLOAT', tensorShape: dims(weight.shape) } } },
    },
    ...nodes,
  ]
  return files(
    { node, library: {}, versions: { producer: 1 } },
    'graph-model',
    [{ name: 'w', ...weight }],
    path,
  )
}

export const matMul: Node = { name: 'y', op: 'MatMul', input: ['x', 'w'], attr: { T: FLOAT } }
/** The same by an operator that the WebAssembly backend lacks. */
export const einsum: Node = {
  name: 'y',
  op: 'Einsum',
  input: ['x', 'w'],
  attr: { T: FLOAT, N: { i: '2' }, equation: { s: Buffer.from('bi,ij->bj').toString('base64') } },
}
