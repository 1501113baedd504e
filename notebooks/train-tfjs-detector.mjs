// Trains a small forecaster in TensorFlow.js on exported windows and writes it as a model package:
// `node train-tfjs-detector.mjs --windows windows.parquet --out packages/next-window/1 [--small] [--about TEXT]`,
// where --about says for the card what windows they are.
//
// Input: the 16 windows before the one that is forecast, each minus the median of the 16, over 1.4826 times the median
// distance from it, at least a thousandth of the median's size (card: normalisation `window`). Output: the .1, .5 and .9
// quantiles of the next value in the same units, learned by the pinball loss (Koenker and Bassett 1978). Seeded.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import * as tf from '@tensorflow/tfjs-core'
import * as layers from '@tensorflow/tfjs-layers'
import '@tensorflow/tfjs-backend-cpu'
import { parquetReadObjects } from 'hyparquet'

const LENGTH = 16
const QUANTILES = [0.1, 0.5, 0.9]
const SEED = 11
const UNITS = 24
/** Of normalised values while learning: one huge step must not decide what is learned. */
const CLIP = 8
const MAD_TO_SIGMA = 1.4826

const { values: flags } = parseArgs({
  options: {
    windows: { type: 'string' },
    out: { type: 'string' },
    small: { type: 'boolean', default: false },
    about: { type: 'string', default: '' },
  },
})
if (!flags.windows || !flags.out) throw new Error('say --windows FILE and --out FOLDER')

/** Uniform in [0, 1) (mulberry32). */
function seeded(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** By series: values on every window, NaN where there is none or where it was strange. */
async function linesOf(path) {
  const bytes = readFileSync(path)
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
  const columns = ['time', 'key', 'observed', 'anomalous']
  const series = new Map()
  for (const { time, key, observed, anomalous } of await parquetReadObjects({ file, columns })) {
    const own = series.get(key) ?? []
    if (own.length === 0) series.set(key, own)
    own.push([time.getTime(), anomalous || observed === null ? Number.NaN : observed])
  }
  const lines = new Map()
  let stepMs = Infinity
  for (const own of series.values()) {
    own.sort((a, b) => a[0] - b[0])
    for (let i = 1; i < own.length; i++) stepMs = Math.min(stepMs, own[i][0] - own[i - 1][0])
  }
  for (const [key, own] of [...series].sort((a, b) => (a[0] < b[0] ? -1 : 1))) {
    const line = new Float64Array(Math.round((own.at(-1)[0] - own[0][0]) / stepMs) + 1).fill(Number.NaN)
    for (const [timeMs, value] of own) line[Math.round((timeMs - own[0][0]) / stepMs)] = value
    lines.set(key, line)
  }
  return { lines, stepMs }
}

function median(values) {
  const sorted = Float64Array.from(values).sort()
  const at = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[at] : sorted[at - 1] / 2 + sorted[at] / 2
}

/** The window and what follows it in the model's units; undefined when anything of it is lacking. */
function example(line, from) {
  const window = line.subarray(from, from + LENGTH)
  const next = line[from + LENGTH]
  if (Number.isNaN(next) || window.some(Number.isNaN)) return undefined
  const centre = median(window)
  const spread = median(window.map(value => Math.abs(value - centre)))
  const scale = Math.max(MAD_TO_SIGMA * spread, 1e-3 * Math.abs(centre), 1e-9)
  return { input: Array.from(window, value => (value - centre) / scale), next: (next - centre) / scale }
}

const { lines, stepMs } = await linesOf(flags.windows)
const random = seeded(SEED)
const wanted = flags.small ? 4000 : 40_000
const examples = []
const keys = [...lines.keys()]
const held = new Set(keys.filter((_, i) => i % 5 === 4))
for (let tries = 0; tries < 20 * wanted && examples.length < wanted; tries++) {
  const key = keys[Math.floor(random() * keys.length)]
  const line = lines.get(key)
  const from = Math.floor(random() * (line.length - LENGTH))
  const one = from < 0 ? undefined : example(line, from)
  if (one) examples.push({ ...one, isHeld: held.has(key) })
}
const trained = examples.filter(one => !one.isHeld)
const kept = examples.filter(one => one.isHeld)
if (trained.length < 500 || kept.length < 100)
  throw new Error(`${examples.length} whole windows are too few to learn from`)

await tf.setBackend('cpu')
const start = seed =>
  layers.layers.dense({
    units: UNITS,
    activation: 'tanh',
    kernelInitializer: layers.initializers.glorotUniform({ seed }),
    ...(seed === SEED ? { inputShape: [LENGTH] } : {}),
  })
const model = layers.sequential({
  layers: [
    start(SEED),
    start(SEED + 1),
    layers.layers.dense({
      units: QUANTILES.length,
      kernelInitializer: layers.initializers.glorotUniform({ seed: SEED + 2 }),
    }),
  ],
})
const quantiles = tf.tensor2d([QUANTILES])
const pinball = (truth, found) =>
  tf.tidy(() => {
    const miss = tf.sub(truth, found)
    return tf.mean(tf.maximum(tf.mul(quantiles, miss), tf.mul(tf.sub(quantiles, 1), miss)))
  })
const clipped = value => Math.max(-CLIP, Math.min(CLIP, value))
const inputs = tf.tensor2d(trained.map(one => one.input.map(clipped)))
const targets = tf.tensor2d(trained.map(one => QUANTILES.map(() => clipped(one.next))))
// What the loop of `fit` shuffles by is not seeded: steps are taken here, in an order that is.
const optimizer = tf.train.adam(0.003)
const BATCH = 256
const rounds = flags.small ? 4 : 25
let loss = Number.NaN
for (let round = 0; round < rounds; round++) {
  for (let step = 0; step < Math.floor(trained.length / BATCH); step++) {
    const rows = tf.tensor1d(
      Array.from({ length: BATCH }, () => Math.floor(random() * trained.length)),
      'int32',
    )
    const [x, y] = [tf.gather(inputs, rows), tf.gather(targets, rows)]
    const cost = optimizer.minimize(() => pinball(y, model.apply(x, { training: true })), true)
    loss = cost.dataSync()[0]
    tf.dispose([rows, x, y, cost])
  }
}

const predicted = model.predict(tf.tensor2d(kept.map(one => one.input))).arraySync()
const inside =
  kept.filter((one, i) => one.next >= predicted[i][0] && one.next <= predicted[i][2]).length / kept.length
process.stdout.write(
  `${trained.length} windows learned from, loss ${loss.toFixed(4)}; ${(100 * inside).toFixed(1)} % of ${kept.length} of other series inside the band\n`,
)

mkdirSync(flags.out, { recursive: true })
let digest
await model.save({
  save: async ({ modelTopology, weightSpecs, weightData }) => {
    const weights = Buffer.from(weightData)
    const text = JSON.stringify({
      format: 'layers-model',
      generatedBy: 'foreshock notebooks',
      convertedBy: null,
      modelTopology,
      weightsManifest: [{ paths: ['weights.bin'], weights: weightSpecs }],
    })
    writeFileSync(join(flags.out, 'model.json'), text)
    writeFileSync(join(flags.out, 'weights.bin'), weights)
    digest = `sha256:${createHash('sha256').update(text).update(weights).digest('hex')}`
    return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } }
  },
})
const golden = kept.slice(0, 32).map(one => one.input.map(Math.fround))
const nine = rows => rows.map(row => Array.from(row, value => Number(Number(value).toPrecision(9))))
writeFileSync(
  join(flags.out, 'golden.json'),
  `${JSON.stringify({ inputs: nine(golden), outputs: nine(model.predict(tf.tensor2d(golden)).arraySync()) })}\n`,
)
writeFileSync(
  join(flags.out, 'card.json'),
  `${JSON.stringify(
    {
      id: 'next-window',
      version: 1,
      title: 'The next window of any series, forecast from the sixteen before it',
      format: 'tfjs-layers',
      task: 'forecast',
      input: {
        name: 'windows',
        width: LENGTH,
        window: { of: 'series', length: LENGTH },
        normalisation: { by: 'window' },
      },
      output: {
        name: 'out',
        width: QUANTILES.length,
        meaning: 'quantiles of the next value, in units of the window',
        quantiles: QUANTILES,
      },
      stepMs,
      digest,
      training: {
        data: [
          `${flags.about || 'exported windows'}: ${keys.length} series, every fifth left out; windows inside anomalies left out`,
        ],
        script: 'notebooks/train-tfjs-detector.mjs',
        command: `node train-tfjs-detector.mjs --windows windows.parquet --out packages/next-window/1${flags.small ? ' --small' : ''}`,
        seed: SEED,
        cost: `${trained.length} windows, ${rounds} rounds; seconds to minutes on one core`,
        repeatable: 'the same digest from the same windows with the same version of Node and TensorFlow.js',
      },
      metrics: {
        'pinball loss, last batch': Number(loss.toPrecision(4)),
        'share inside the band, windows not trained on': Number(inside.toFixed(4)),
      },
      licence: 'Apache-2.0',
      example: true,
      budget: { msPer256Rows: 20, megabytes: 128 },
    },
    null,
    2,
  )}\n`,
)
