// Writes small ONNX models as protobuf bytes, for tests: no Python, no runtime. Field numbers are those of onnx.proto3.

/** A field with a length: text, a message or raw bytes. */
function part(field: number, content: string | Iterable<number>): number[] {
  const bytes = typeof content === 'string' ? [...new TextEncoder().encode(content)] : [...content]
  return [...varint(field * 8 + 2), ...varint(bytes.length), ...bytes]
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))]
}

const whole = (field: number, value: number) => [...varint(field * 8), ...varint(value)]

const TYPES = { float32: 1, int64: 7, bool: 9 } as const
type Type = keyof typeof TYPES

function raw(type: Type, values: readonly number[]): Uint8Array {
  if (type === 'float32') return new Uint8Array(Float32Array.from(values).buffer)
  if (type === 'int64') return new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer)
  return Uint8Array.from(values)
}

/** A tensor with its values; without dimensions a scalar. */
export function tensor(
  name: string,
  type: Type,
  dims: readonly number[],
  values: readonly number[],
): number[] {
  return [
    ...dims.flatMap(n => whole(1, n)),
    ...whole(2, TYPES[type]),
    ...part(8, name),
    ...part(9, raw(type, values)),
  ]
}

/** An input or output; a dimension is a number or a name. */
export function value(name: string, type: Type, dims: readonly (number | string)[]): number[] {
  const shape = dims.flatMap(n => part(1, typeof n === 'number' ? whole(1, n) : part(2, n)))
  return [...part(1, name), ...part(2, part(1, [...whole(1, TYPES[type]), ...part(2, shape)]))]
}

export function graphAttribute(name: string, graph: readonly number[]): number[] {
  return [...part(1, name), ...part(6, graph), ...whole(20, 5)]
}

export function node(
  operator: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: readonly (readonly number[])[] = [],
): number[] {
  return [
    ...inputs.flatMap(name => part(1, name)),
    ...outputs.flatMap(name => part(2, name)),
    ...part(4, operator),
    ...attributes.flatMap(attribute => part(5, attribute)),
  ]
}

export interface Graph {
  readonly nodes: readonly (readonly number[])[]
  readonly tensors?: readonly (readonly number[])[]
  readonly inputs: readonly (readonly number[])[]
  readonly outputs: readonly (readonly number[])[]
}

export function graph({ nodes, tensors = [], inputs, outputs }: Graph): number[] {
  return [
    ...nodes.flatMap(one => part(1, one)),
    ...part(2, 'g'),
    ...tensors.flatMap(one => part(5, one)),
    ...inputs.flatMap(one => part(11, one)),
    ...outputs.flatMap(one => part(12, one)),
  ]
}

export const OPSET = 17

/** A whole model of operator set 17. */
export function onnxModel(of: Graph): Uint8Array {
  return Uint8Array.from([
    ...whole(1, 8),
    ...part(7, graph(of)),
    ...part(8, [...part(1, ''), ...whole(2, OPSET)]),
  ])
}

const row = (name: string, width: number | string) => value(name, 'float32', ['batch', width])

/** y = x · weights, weights row-major of `width` × `out`. */
export function linearModel(width: number, out: number, weights: readonly number[]): Uint8Array {
  return onnxModel({
    nodes: [node('MatMul', ['x', 'w'], ['y'])],
    tensors: [tensor('w', 'float32', [width, out], weights)],
    inputs: [row('x', width)],
    outputs: [row('y', out)],
  })
}

/** y = f(x), cell by cell. */
export function cellModel(operator: string, width: number): Uint8Array {
  return onnxModel({
    nodes: [node(operator, ['x'], ['y'])],
    inputs: [row('x', width)],
    outputs: [row('y', width)],
  })
}

/** y = x + the largest of `count` numbers that are made when it runs. */
export function hugeModel(width: number, count: number): Uint8Array {
  return onnxModel({
    nodes: [
      node('ConstantOfShape', ['shape'], ['many']),
      node('ReduceMax', ['many'], ['one']),
      node('Add', ['x', 'one'], ['y']),
    ],
    tensors: [tensor('shape', 'int64', [1], [count])],
    inputs: [row('x', width)],
    outputs: [row('y', width)],
  })
}

/** A loop over its rows whose only condition is the sign of the first cell: it never ends when that is positive. */
export function loopModel(width: number): Uint8Array {
  const body = graph({
    nodes: [node('Identity', ['on'], ['goOn']), node('Identity', ['state'], ['next'])],
    inputs: [value('i', 'int64', []), value('on', 'bool', []), row('state', width)],
    outputs: [value('goOn', 'bool', []), row('next', width)],
  })
  return onnxModel({
    nodes: [
      node('ReduceMax', ['x'], ['largest']),
      node('Squeeze', ['largest'], ['scalar']),
      node('Greater', ['scalar', 'zero'], ['isPositive']),
      node('Loop', ['', 'isPositive', 'x'], ['y'], [graphAttribute('body', body)]),
    ],
    tensors: [tensor('zero', 'float32', [], [0])],
    inputs: [row('x', width)],
    outputs: [row('y', width)],
  })
}

/** Dense layers of these sizes with ReLU between them, without biases; `weights` gives so many numbers. */
export function denseModel(
  sizes: readonly number[],
  weights: (count: number) => readonly number[],
): Uint8Array {
  const layers = sizes.slice(1)
  const last = layers.length - 1
  return onnxModel({
    nodes: layers.flatMap((_, k) => [
      node('MatMul', [k === 0 ? 'x' : `r${k - 1}`, `w${k}`], [k === last ? 'y' : `h${k}`]),
      ...(k === last ? [] : [node('Relu', [`h${k}`], [`r${k}`])]),
    ]),
    tensors: layers.map((out, k) => tensor(`w${k}`, 'float32', [sizes[k], out], weights(sizes[k] * out))),
    inputs: [row('x', sizes[0])],
    outputs: [row('y', sizes[sizes.length - 1])],
  })
}
