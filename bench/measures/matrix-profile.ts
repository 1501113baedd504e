// The left matrix profile: a step (score and learn) of the kernel and of its plain twin by turns, of 512 and of 2,048 stretches, 64 series in
// turn as blocks; and beside them stumpy's incremental profile, distance by distance. node --expose-gc --import tsx
// bench/measures/matrix-profile.ts [--quick]
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MatrixProfileSegment } from '../../src/kernels/matrix-profile.ts'
import {
  beginProfile,
  learnProfile,
  type ProfileShape,
  type ProfileState,
  profileColumns,
  SAID,
  scoreProfile,
} from '../../src/math/left-profile.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { cpuNs, type Measured, median, QUICK, say } from '../measure.ts'
import { runStumpy, stumpyExclusion } from '../peers/stumpy.ts'

const SERIES = 64
const PASSES = QUICK ? 2 : 7
/** Steps of all series in a pass of the kernel, and of one series in one of the twin: whole rounds of the buffers. */
const KERNEL_STEPS = QUICK ? 64 : 512
const TWIN_STEPS = QUICK ? 256 : 2048
const ARRAYS = { f64: Float64Array, f32: Float32Array, i32: Int32Array } as const

/** A daily wave and noise, about as wide as a detector scales it. */
const random = mulberry32(1)
const stream = Float64Array.from({ length: 16_384 }, (_, t) =>
  Math.fround(1.5 * Math.sin(t / 230) + random() + random() - 1 + (random() < 0.002 ? 9 : 0)),
)
const at = (t: number) => stream[t % stream.length]

function shapeOf(
  history: number,
  length: number,
  wants: ProfileShape['wants'] = 'shape',
  exclusion = length,
): ProfileShape {
  return { length, history, exclusion, refresh: 256, flat: 1e-4, wants, rank: 1 }
}

function kernelOf(shape: ProfileShape, rows: number) {
  const segment = new MatrixProfileSegment(shape, profileColumns(shape), rows)
  for (let row = 0; row < rows; row++) {
    segment.begin(row)
    segment.batch.row[row] = row
  }
  return segment
}

function twinOf(shape: ProfileShape): ProfileState {
  const columns = Object.entries(profileColumns(shape))
  const s = Object.fromEntries(columns.map(([name, [type, width]]) => [name, new ARRAYS[type](width)]))
  beginProfile(s as never, shape)
  return s as never
}

/** ns CPU a step by pass: of the kernel, and of the twin between its passes. */
function steps(shape: ProfileShape): { kernel: number[]; twin: number[]; bytes: number } {
  const segment = kernelOf(shape, SERIES)
  const twin = twinOf(shape)
  const { batch } = segment
  let now = 0
  const kernelPass = (count: number) => {
    for (let t = 0; t < count; t++, now++) {
      for (let row = 0; row < SERIES; row++) batch.value[row] = at(now + 97 * row)
      segment.scoreBlock(SERIES)
      segment.learnBlock(SERIES)
    }
  }
  let then = 0
  const twinPass = (count: number) => {
    for (let t = 0; t < count; t++, then++) {
      scoreProfile(twin, shape, at(then))
      learnProfile(twin, shape, at(then))
    }
  }
  // The whole history is there before any step is counted.
  kernelPass(shape.history + shape.refresh)
  twinPass(shape.history + shape.refresh)
  const [kernel, plain]: number[][] = [[], []]
  for (let pass = 0; pass < PASSES; pass++) {
    const before = cpuNs()
    kernelPass(KERNEL_STEPS)
    const between = cpuNs()
    twinPass(TWIN_STEPS)
    kernel.push((between - before) / KERNEL_STEPS / SERIES)
    plain.push((cpuNs() - between) / TWIN_STEPS)
  }
  return { kernel, twin: plain, bytes: segment.rowBytes }
}

const measured: Measured[] = []
for (const [history, length, wants] of [
  [512, 16, 'shape'],
  [512, 16, 'both'],
  [512, 64, 'shape'],
  [2048, 16, 'shape'],
  [2048, 4, 'level'],
] as const) {
  const { kernel, twin, bytes } = steps(shapeOf(history, length, wants))
  const id = `matrix-profile.${history}.${length}.${wants}`
  const unit = 'ns CPU/step'
  measured.push(
    {
      id,
      what: `left matrix profile, ${history} stretches of ${length}, distance of ${wants}, ${SERIES} series`,
      unit,
      values: kernel,
    },
    { id: `${id}.twin`, what: '· the plain twin, one series', unit, values: twin },
    {
      id: `${id}.ratio`,
      what: '· twin ÷ kernel',
      unit: '×',
      better: 'more',
      values: twin.map((ns, i) => ns / kernel[i]),
    },
    { id: `${id}.bytes`, what: '· state', unit: 'B/series', values: [bytes] },
  )
}

/** Theirs and ours over the same values, by turns. */
function beside(history: number, length: number): Measured[] {
  const shape = shapeOf(history, length, 'shape', stumpyExclusion(length))
  // Stretches that are held: the newest and what lies to its left, with what is left out between.
  const held = history + shape.exclusion + length - 1
  const timed = QUICK ? 50 : 1000
  const folder = mkdtempSync(join(tmpdir(), 'foreshock-profile-'))
  const [theirs, ours, apart]: number[][] = [[], [], []]
  try {
    const file = join(folder, 'values')
    writeFileSync(file, new Uint8Array(stream.buffer))
    for (let pass = 0; pass < (QUICK ? 1 : 5); pass++) {
      const { ns, distances } = runStumpy(file, length, held, timed)
      theirs.push(ns)
      const segment = kernelOf(shape, 1)
      const { said } = segment.fields(0)
      for (let t = 0; t < held; t++) segment.learn(0, at(t))
      const found = new Float64Array(timed)
      const before = cpuNs()
      for (let t = 0; t < timed; t++) {
        segment.score(0, at(held + t))
        found[t] = said[SAID.shape]
        segment.learn(0, at(held + t))
      }
      ours.push((cpuNs() - before) / timed)
      apart.push(Math.max(...distances.map((distance, t) => Math.abs(distance - found[t]))))
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  const id = `matrix-profile.stumpy.${history}.${length}`
  return [
    {
      id,
      what: `incremental profile, ${history} stretches of ${length}: CPU of stumpy’s ÷ ours`,
      unit: '×',
      better: 'more',
      values: theirs.map((ns, i) => ns / ours[i]),
    },
    {
      id: `${id}.theirs`,
      what: '· theirs (with right neighbours, float64)',
      unit: 'ns CPU/step',
      values: theirs,
    },
    { id: `${id}.own`, what: '· ours, row by row', unit: 'ns CPU/step', values: ours },
    {
      id: `${id}.apart`,
      what: '· largest difference of a distance',
      unit: 'distance',
      values: [median(apart)],
    },
  ]
}

try {
  for (const history of [512, 2048]) measured.push(...beside(history, 16))
} catch (error) {
  measured.push({
    id: 'matrix-profile.stumpy.512.16',
    what: 'incremental profile: CPU of stumpy’s ÷ ours',
    unit: '×',
    better: 'more',
    values: [],
    why: error instanceof Error ? error.message : String(error),
  })
}
say(measured)
