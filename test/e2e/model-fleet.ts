// A small fleet under learned models, for end-to-end tests: real ONNX packages that read one series, pushed over HTTP,
// and samples with short bumps whose times are known, for labels.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { writePackage } from '../detectors/model-packages.ts'
import { node, onnxModel, tensor, value } from '../detectors/onnx-builder.ts'
import { PACKAGE_FILES, tarOf } from '../store/model-packages.ts'

export const STEP_MS = 1000
const LENGTH = 8
const MODEL = 'bump-detector'
export const SERVICES = Array.from({ length: 12 }, (_, i) => `svc-${String(i).padStart(2, '0')}`)
/** Windows that a bump lasts, and from one to the next. */
const BUMP = 5
const EVERY = 15

const batch = (name: string, width: number) => value(name, 'float32', ['batch', width])
const newest = Array.from({ length: LENGTH }, (_, i) => (i === LENGTH - 1 ? 1 : 0))
const anyhow = Array.from({ length: LENGTH }, (_, i) => 31 * Math.sin(i + 1))

/** y = f(weights · x), one number a window. */
function scoreModel(weights: readonly number[], operator: string): Uint8Array {
  return onnxModel({
    nodes: [node('MatMul', ['x', 'w'], ['z']), node(operator, ['z'], ['y'])],
    tensors: [tensor('w', 'float32', [LENGTH, 1], weights)],
    inputs: [batch('x', LENGTH)],
    outputs: [batch('y', 1)],
  })
}

const dot = (row: readonly number[], weights: readonly number[]) =>
  row.reduce((sum, x, i) => Math.fround(sum + Math.fround(x * Math.fround(weights[i]))), 0)

/** What a version makes of a window: how far the newest value is out, nothing of use, or no number half of the time. */
export const KINDS = {
  deviation: {
    model: () => scoreModel(newest, 'Abs'),
    of: (x: readonly number[]) => Math.abs(x[LENGTH - 1]),
  },
  noise: { model: () => scoreModel(anyhow, 'Sin'), of: (x: readonly number[]) => Math.sin(dot(x, anyhow)) },
  nan: { model: () => scoreModel(newest, 'Log'), of: (x: readonly number[]) => Math.log(x[LENGTH - 1]) },
} as const

/** Golden windows; their last values are positive, so that nothing but live windows shows what `nan` does. */
const GOLDEN = [0.5, 1, 2.5].map(last =>
  Array.from({ length: LENGTH }, (_, i) => (i === LENGTH - 1 ? last : 0)),
)

/** Writes a package and pushes it to the service. */
export async function push(url: string, version: number, kind: keyof typeof KINDS): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'foreshock-package-'))
  try {
    const { model, of } = KINDS[kind]
    writePackage(folder, {
      files: { 'model.onnx': model() },
      inputs: GOLDEN,
      outputs: GOLDEN.map(row => [of(row)]),
      card: {
        id: MODEL,
        version,
        input: {
          name: 'x',
          width: LENGTH,
          window: { of: 'series', length: LENGTH },
          normalisation: { by: 'window' },
        },
      },
    })
    const answer = await fetch(`${url}/api/models/${MODEL}/versions/${version}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/x-tar' },
      body: await tarOf(folder, PACKAGE_FILES),
    })
    if (!answer.ok) throw new Error(`push ${version}: ${answer.status} ${await answer.text()}`)
    await answer.body?.cancel()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export interface Bump {
  readonly entity: string
  readonly from: number
  readonly to: number
}

/** Seeded life of the fleet in the past, told as fast as the service takes it. */
export class ModelFleet {
  readonly model = MODEL
  readonly #random: () => number
  #timeMs: number
  #step = 0

  constructor(seed: number, steps: number) {
    this.#random = mulberry32(seed)
    this.#timeMs = Math.floor(Date.now() / STEP_MS) * STEP_MS - steps * STEP_MS
  }

  /** Tells the next steps; with `bumps` some service is out for five windows in every fifteen. Returns the bumps. */
  async tell(url: string, steps: number, bumps = false): Promise<Bump[]> {
    const found: Bump[] = []
    for (let told = 0; told < steps; ) {
      const lines: string[] = []
      for (let k = 0; k < 20 && told < steps; k++, told++) {
        const phase = this.#step % EVERY
        const out = bumps && phase < BUMP ? Math.floor(this.#step / EVERY) % SERVICES.length : -1
        if (out >= 0 && phase === 0)
          found.push({ entity: SERVICES[out], from: this.#timeMs, to: this.#timeMs + BUMP * STEP_MS })
        for (const [i, service] of SERVICES.entries()) {
          const noise = this.#random() + this.#random() + this.#random() - 1.5
          const number = 0.2 + 0.02 * noise + (i === out ? 0.15 : 0)
          lines.push(
            JSON.stringify({
              time: this.#timeMs,
              metric: 'latency_p99_seconds',
              labels: { service },
              value: number,
              unit: 's',
            }),
          )
        }
        this.#timeMs += STEP_MS
        this.#step++
      }
      const answer = await fetch(`${url}/api/samples`, {
        method: 'POST',
        body: `${lines.join('\n')}\n`,
        headers: { 'content-type': 'application/x-ndjson' },
      })
      if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`)
      await answer.body?.cancel()
    }
    return found
  }
}

export async function post<T>(url: string, body: unknown): Promise<T> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`)
  return (await answer.json()) as T
}
