// Learned models: a batch through a session in its thread against the same runtime called plainly in this thread, on an
// autoencoder of 64-32-8-32-64, and the shipped combiner; both called one by one (`alone`: the caller waits for each)
// and with several on their way (`under load`). Against Python's onnxruntime when one is there (--python COMMAND).
// node --import tsx bench/measures/inference.ts [--quick] [--python python3]
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import * as native from 'onnxruntime-node'
import { COMBINER_FOLDER } from '../../src/detectors/combiner.ts'
import { openHost } from '../../src/detectors/model-host.ts'
import { writePackage } from '../../test/detectors/model-packages.ts'
import { denseModel } from '../../test/detectors/onnx-builder.ts'
import { cpuNs, type Measured, median, QUICK, say } from '../measure.ts'

const { values: args } = parseArgs({
  options: { quick: { type: 'boolean' }, python: { type: 'string', default: 'python3' } },
})
const BATCHES = [1, 64, 256, 1024]
/** The goal of issue 5: at most this many times the time of the runtime alone. */
const RATIO_MAX = 1.15
/** Calls on their way under load. */
const AHEAD = 4
const REPETITIONS = QUICK ? 2 : 11
/** Rows of one repetition, about: long against the clock, short against what else the machine does. */
const ROWS = QUICK ? 2000 : 100_000

const ort = (native as unknown as { default?: typeof native }).default ?? native
const base = mkdtempSync(join(tmpdir(), 'foreshock-inference-'))

/** Weights of no meaning, the same each time. */
const weights = (count: number) => Array.from({ length: count }, (_, i) => Math.sin(i * 12.9898) / 8)
const SIZES = [64, 32, 8, 32, 64]
const autoencoder = denseModel(SIZES, weights)

async function plainSession(file: Uint8Array | string, input: string, output: string, width: number) {
  const options = { intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential' } as const
  const bytes = typeof file === 'string' ? readFileSync(file) : file
  const session = await ort.InferenceSession.create(bytes, options)
  return async (rows: number, values: Float32Array) => {
    const found = await session.run({ [input]: new ort.Tensor('float32', values, [rows, width]) })
    return found[output].data as Float32Array
  }
}

type Run = (rows: number, values: Float32Array) => Promise<Float32Array>

/** Time of one call, µs: wall, and CPU of all threads. */
async function timed(run: Run, rows: number, values: Float32Array, ahead: number): Promise<[number, number]> {
  const calls = Math.max(ahead, Math.ceil(ROWS / (rows + 20)))
  const [cpu, from] = [cpuNs(), performance.now()]
  let left = calls
  const lane = async () => {
    while (left-- > 0) await run(rows, values)
  }
  await Promise.all(Array.from({ length: ahead }, lane))
  return [((performance.now() - from) / calls) * 1e3, (cpuNs() - cpu) / calls / 1e3]
}

/** Repetitions of the two take turns, so that both meet the same machine. */
async function compare(
  name: string,
  what: string,
  width: number,
  ours: Run,
  plain: Run,
): Promise<Measured[]> {
  const measured: Measured[] = []
  /** CPU of both threads a row, by batch. */
  const perRow = new Map<number, number[]>()
  for (const rows of BATCHES) {
    const values = Float32Array.from({ length: rows * width }, (_, i) => Math.cos(i * 0.7))
    await timed(ours, rows, values, 1)
    await timed(plain, rows, values, 1)
    const found = { plain: [] as number[], alone: [] as number[], load: [] as number[], cpu: [] as number[] }
    for (let r = 0; r < REPETITIONS; r++) {
      const [plainUs, plainCpu] = await timed(plain, rows, values, 1)
      const [aloneUs] = await timed(ours, rows, values, 1)
      const [loadUs, loadCpu] = await timed(ours, rows, values, AHEAD)
      found.plain.push(plainUs)
      found.alone.push(aloneUs / plainUs)
      found.load.push(loadUs / plainUs)
      found.cpu.push(loadCpu / plainCpu)
      perRow.set(rows, [...(perRow.get(rows) ?? []), loadCpu / rows])
    }
    const id = `inference.${name}.${rows}`
    measured.push(
      {
        id: `${id}.plain`,
        what: `${what}, batch ${rows}: ONNX Runtime alone`,
        unit: 'µs/batch',
        values: found.plain,
      },
      {
        id: `${id}.alone`,
        what: '· ours, one by one',
        unit: '× its wall time',
        atMost: RATIO_MAX,
        values: found.alone,
      },
      {
        id: `${id}.load`,
        what: `· ours, ${AHEAD} on their way`,
        unit: '× its wall time',
        atMost: RATIO_MAX,
        values: found.load,
      },
      { id: `${id}.cpu`, what: '· · CPU, both threads', unit: '× its CPU time', values: found.cpu },
    )
  }
  const [single, many] = [perRow.get(1) ?? [], perRow.get(256) ?? []]
  measured.push({
    id: `inference.${name}.batch`,
    what: `${what}: CPU a row, batch 256 against batch 1`,
    unit: '×',
    values: many.map((cpu, i) => cpu / single[i]),
  })
  return measured
}

const PYTHON = `
import json, sys, time
import numpy as np, onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(sys.argv[1], options, providers=['CPUExecutionProvider'])
width, total, repetitions = int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
name = session.get_inputs()[0].name
out = {}
for rows in (1, 64, 256, 1024):
    x = np.cos(np.arange(rows * width) * 0.7).astype(np.float32).reshape(rows, width)
    calls = -(-total // (rows + 20))
    times = []
    for _ in range(repetitions + 1):
        start = time.perf_counter()
        for _ in range(calls):
            session.run(None, {name: x})
        times.append((time.perf_counter() - start) / calls * 1e6)
    out[rows] = times[1:]
print(json.dumps(out))
`

/** Nothing when there is no such Python, or no onnxruntime in it. */
function python(): Measured[] {
  const file = join(base, 'autoencoder.onnx')
  writeFileSync(file, autoencoder)
  try {
    const words = ['-c', PYTHON, file, String(SIZES[0]), String(ROWS), String(REPETITIONS)]
    const said = execFileSync(args.python, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    const found = JSON.parse(said) as Record<string, number[]>
    return BATCHES.map(rows => ({
      id: `inference.autoencoder.${rows}.python`,
      what: `autoencoder, batch ${rows}: ONNX Runtime in Python`,
      unit: 'µs/batch',
      values: found[rows],
    }))
  } catch {
    process.stderr.write(`${args.python} has no onnxruntime: not compared with it\n`)
    return []
  }
}

const host = openHost()
try {
  const zero = [Array.from({ length: 64 }, () => 0)]
  const folder = writePackage(join(base, 'autoencoder'), {
    files: { 'model.onnx': autoencoder },
    inputs: zero,
    outputs: zero,
  })
  const [learned, shipped] = [await host.open(folder), await host.open(COMBINER_FOLDER)]
  const oursOf =
    (session: typeof learned): Run =>
    (rows, values) =>
      session.run(values, rows, 60_000)
  const plain = await plainSession(autoencoder, 'x', 'y', 64)
  const plainShipped = await plainSession(join(COMBINER_FOLDER, 'model.onnx'), 'views', 'log_factor', 29)
  const measured = [
    ...(await compare('autoencoder', 'autoencoder 64-32-8-32-64', 64, oursOf(learned), plain)),
    ...(await compare('combiner', 'shipped combiner', 29, oursOf(shipped), plainShipped)),
    ...python(),
  ]
  const last = measured.find(one => one.id === 'inference.autoencoder.1024.plain')
  if (last) process.stderr.write(`${(1024 / median(last.values)).toFixed(1)} M rows/s in one thread\n`)
  say(measured)
} finally {
  await host.close()
  rmSync(base, { recursive: true })
}
