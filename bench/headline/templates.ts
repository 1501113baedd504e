// Remote-write 1.0 bodies that are made once: snappy blocks in which the labels of a series are copies of those of the
// series before it (as a compressor finds them too) and values, times and pod names lie as literals, to be changed in place.
import { mulberry32 } from '../../src/math/mulberry32.ts'
import {
  type FleetShape,
  METRICS,
  podAddress,
  podLabels,
  podSuffix,
  SUFFIX_LENGTH,
  serviceName,
  serviceOf,
} from './fleet.ts'
import { SnappyWriter } from './snappy-writer.ts'

const SERIES_BYTES_MAX = 512
/** Unix ms of these decades take six bytes as a varint. */
const TIME_BYTES = 6
/** Of an address what changes, and what stands behind it. */
const ADDRESS_DIGITS = 11
const ADDRESS_END = ':9090'.length
const encoder = new TextEncoder()

/** One body and where what changes lies in it. */
export interface Template {
  readonly block: Uint8Array
  readonly view: DataView
  readonly firstPod: number
  readonly pods: number
  /** Place of each series' value, float64 little-endian; pod by pod, in order of METRICS. */
  readonly valueAt: Uint32Array
  /** Places of each pod's drawn name and of its address. */
  readonly suffixAt: Uint32Array
  readonly addressAt: Uint32Array
  /** Place of the one time that all series copy. */
  readonly timeAt: number
}

function labelBytes(name: string, value: string): Uint8Array {
  const [n, v] = [encoder.encode(name), encoder.encode(value)]
  const bytes = new Uint8Array(6 + n.length + v.length)
  bytes.set([0x0a, 4 + n.length + v.length, 0x0a, n.length])
  bytes.set(n, 4)
  bytes.set([0x12, v.length], 4 + n.length)
  bytes.set(v, 6 + n.length)
  return bytes
}

/** Labels that all series of a pod share, in order. */
const SHARED = ['cluster', 'instance', 'job', 'namespace', 'pod', 'service'] as const
const [INSTANCE, POD] = [SHARED.indexOf('instance'), SHARED.indexOf('pod')]

/** A metric's labels in the order that the protocol asks for: bytes of its own, or which of the shared ones. */
const LAYOUT: readonly (readonly (Uint8Array | number)[])[] = METRICS.map(({ name, labels }) => {
  const own: Record<string, string> = { __name__: name, ...labels }
  return [...Object.keys(own), ...SHARED]
    .sort()
    .map(key => (key in own ? labelBytes(key, own[key]) : SHARED.indexOf(key as (typeof SHARED)[number])))
})
const OWN_LENGTH = LAYOUT.map(parts =>
  parts.reduce<number>((sum, part) => sum + (typeof part === 'number' ? 0 : part.length), 0),
)
/** Of a sample: field and length, value, time. */
const SAMPLE_BYTES = 2 + 9 + 1 + TIME_BYTES

function sharedOf(pod: number, service: number): Uint8Array[] {
  const name = serviceName(service)
  const values: Record<string, string> = {
    ...podLabels(service),
    instance: podAddress(pod, 0),
    pod: `${name}-7d9f8b6c5-${podSuffix(pod, 0)}`,
  }
  return SHARED.map(key => labelBytes(key, values[key]))
}

/** Copies from either place (−1: not there), rather from the one that goes on with the copy before. */
function copyOf(writer: SnappyWriter, one: number, other: number, length: number): void {
  writer.copy(other >= 0 && (one < 0 || writer.continues(other)) ? other : one, length)
}

/** Writes the series of one body after each other. */
class BodyBuilder {
  readonly writer: SnappyWriter
  readonly valueAt: Uint32Array
  readonly suffixAt: Uint32Array
  readonly addressAt: Uint32Array
  timeAt = 0
  /** Where each series of the pod before began, and how long it was. */
  readonly #starts = new Float64Array(METRICS.length)
  readonly #lengths = new Float64Array(METRICS.length)
  /** Where the labels that all series of the pod share were last written; -1 in its first series. */
  readonly #places = new Int32Array(SHARED.length)
  #timePlain = -1
  #serviceBefore = -1

  constructor(pods: number) {
    const count = pods * METRICS.length
    this.writer = new SnappyWriter(count * SERIES_BYTES_MAX)
    this.valueAt = new Uint32Array(count)
    this.suffixAt = new Uint32Array(pods)
    this.addressAt = new Uint32Array(pods)
  }

  pod(index: number, pod: number, service: number): void {
    const shared = sharedOf(pod, service)
    const sharedLength = shared.reduce((sum, { length }) => sum + length, 0)
    this.#places.fill(-1)
    for (let m = 0; m < METRICS.length; m++) {
      const { writer } = this
      const inner = OWN_LENGTH[m] + sharedLength + SAMPLE_BYTES
      const start = writer.length
      /** The same series of the pod before lies so far back, byte for byte but for what tells pods apart. */
      const back = index > 0 && this.#lengths[m] === inner ? start - this.#starts[m] : 0
      if (back > 0) writer.copy(start - back, 3)
      else writer.literal(Uint8Array.of(0x0a, (inner & 127) | 128, inner >> 7))
      for (const part of LAYOUT[m]) {
        if (typeof part === 'number') this.#shared(index, part, shared[part], service, back)
        else if (back > 0) writer.copy(writer.length - back, part.length)
        else writer.literal(part)
      }
      this.#sample(index * METRICS.length + m, back)
      this.#starts[m] = start
      this.#lengths[m] = inner
    }
    this.#serviceBefore = service
  }

  #shared(index: number, label: number, bytes: Uint8Array, service: number, back: number): void {
    const { writer } = this
    const at = writer.length
    const changes = label === INSTANCE || label === POD
    const behind = back > 0 && !changes && service === this.#serviceBefore ? at - back : -1
    const known = this.#places[label]
    this.#places[label] = at
    if (behind >= 0 || known >= 0) copyOf(writer, behind, known, bytes.length)
    else if (!changes) writer.literal(bytes)
    else {
      const changed = label === POD ? this.suffixAt : this.addressAt
      const from = bytes.length - (label === POD ? SUFFIX_LENGTH : ADDRESS_DIGITS + ADDRESS_END)
      writer.literal(bytes.subarray(0, from))
      writer.mark(place => {
        changed[index] = place
      })
      writer.literal(bytes.subarray(from))
    }
  }

  #sample(index: number, back: number): void {
    const { writer } = this
    if (back > 0) writer.copy(writer.length - back, 3)
    else writer.literal(Uint8Array.of(0x12, 9 + 1 + TIME_BYTES, 0x09))
    writer.mark(place => {
      this.valueAt[index] = place
    })
    writer.literal(new Uint8Array(8))
    if (this.#timePlain >= 0)
      copyOf(writer, back > 0 ? writer.length - back : -1, this.#timePlain, 1 + TIME_BYTES)
    else {
      writer.literal(Uint8Array.of(0x10))
      writer.mark(place => {
        this.timeAt = place
      })
      writer.literal(new Uint8Array(TIME_BYTES))
    }
    this.#timePlain = writer.length - 1 - TIME_BYTES
  }
}

/** The body of `pods` pods from `firstPod` on. */
export function templateOf(firstPod: number, pods: number, fleet: FleetShape): Template {
  const builder = new BodyBuilder(pods)
  for (let p = 0; p < pods; p++) builder.pod(p, firstPod + p, serviceOf(firstPod + p, fleet))
  const block = builder.writer.finish()
  const view = new DataView(block.buffer)
  const { valueAt, suffixAt, addressAt, timeAt } = builder
  return { block, view, firstPod, pods, valueAt, suffixAt, addressAt, timeAt }
}

/** Noise of standard deviation 1, drawn once: drawing must not be what a sender spends its time on. */
const NOISE_SEED = 7
let NOISE = noiseTable(1 << 16, NOISE_SEED)
/** Another world of the same fleet: values are drawn anew from here on. */
export function seedNoise(seed: number): void {
  NOISE = noiseTable(1 << 16, seed)
}

function noiseTable(size: number, seed: number): Float64Array {
  const random = mulberry32(seed)
  const table = new Float64Array(size)
  for (let i = 0; i < size; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - random()))
    const angle = 2 * Math.PI * random()
    table[i] = radius * Math.cos(angle)
    table[i + 1] = radius * Math.sin(angle)
  }
  return table
}

/** Factors by metric, for a pod that is well, slow or down; one that is silent would be well. */
export const FACTORS = {
  well: new Float64Array(METRICS.length).fill(1),
  slow: Float64Array.from(METRICS, ({ slow }) => slow),
  down: Float64Array.from(METRICS, ({ down }) => down),
  silent: new Float64Array(METRICS.length).fill(1),
} as const
const LEVEL = Float64Array.from(METRICS, ({ level }) => level)
const SPREAD = Float64Array.from(METRICS, ({ spread }) => spread)
const IS_COUNTER = Uint8Array.from(METRICS, ({ counter }) => (counter ? 1 : 0))

/** Values of one pod at step `t`: gauges are drawn, counters go on from what the block holds. */
export function patchPod(
  { view, valueAt, firstPod }: Template,
  p: number,
  t: number,
  stepS: number,
  factors: Float64Array,
): void {
  const metrics = LEVEL.length
  const pod = firstPod + p
  // Pods of one service differ by up to two.
  const size = 0.7 + (0.7 * (Math.imul(pod + 1, 0x9e3779b1) >>> 16)) / 65_536
  const first = p * metrics
  const draw = Math.imul(pod * metrics, 40_503) + Math.imul(t, 7919)
  for (let m = 0; m < metrics; m++) {
    const noise = NOISE[(draw + m * 40_503) & 65_535]
    // The exponential of a small number, nearly.
    const x = SPREAD[m] * noise
    const factor = 1 + x + 0.5 * x * x
    const value = LEVEL[m] * size * factor * factors[m]
    const at = valueAt[first + m]
    view.setFloat64(at, IS_COUNTER[m] === 1 ? view.getFloat64(at, true) + value * stepS : value, true)
  }
}

/** All samples of the body are of this moment, Unix ms. */
export function patchTime({ block, timeAt }: Template, ms: number): void {
  let left = ms
  for (let i = 0; i < TIME_BYTES; i++, left = Math.floor(left / 128))
    block[timeAt + i] = i < TIME_BYTES - 1 ? (left % 128) | 128 : left
}

/** A pod is replaced: another name and address, and its counters begin again. */
export function replacePod(template: Template, p: number, generation: number): void {
  const { block, view, firstPod, suffixAt, addressAt, valueAt } = template
  encoder.encodeInto(podSuffix(firstPod + p, generation), block.subarray(suffixAt[p]))
  const address = podAddress(firstPod + p, generation).slice(3, 3 + ADDRESS_DIGITS)
  encoder.encodeInto(address, block.subarray(addressAt[p]))
  for (let m = 0; m < METRICS.length; m++) view.setFloat64(valueAt[p * METRICS.length + m], 0, true)
}
