import type { ColumnData } from '../core/snapshot.ts'
import { VOICES_BLOCK, VOICES_SCRATCH_ROWS, type VoicesBatch, VoicesKernel } from '../kernels/voices.ts'
import { LOG_TABLE } from '../math/fast-log.ts'
import { END_SURPRISE } from '../math/tail-fit.ts'
import { EVIDENCE_MAX } from './deviation.ts'
import { FUSION_TABLES, fuse } from './fusion.ts'
import type { KindClasses } from './kind-classes.ts'
import { PooledCalibration } from './pooled-calibration.ts'
import { publicScores, SCORES } from './severity.ts'

/** A move in the good direction is this much as strange, as in deviation@1. */
const GOOD_SHARE = 0.25
/** The voices, in the order of the kernel's columns. */
export const VOICES = ['score', 'point', 'incident'] as const
type Voice = (typeof VOICES)[number]
/** The level shift in it is an average over 61 windows. */
const INCIDENT_RUN_WINDOWS = 30

/** What is saved of the pools: the names of the classes that each voice's are of, and their columns. */
export interface SavedVoices {
  readonly classes: Readonly<Record<Voice, readonly string[]>>
  readonly columns: Record<string, ColumnData>
}

/** The kernel where this machine has what it needs. */
export function voicesKernel(): VoicesKernel | undefined {
  try {
    return new VoicesKernel({ log: LOG_TABLE, scores: SCORES, ...FUSION_TABLES }, END_SURPRISE)
  } catch {
    return undefined
  }
}

/**
 * What three voices of plain series say, a block at a time: raw scores become surprises by pools of their kind, are weighed by the
 * metric's bad direction and fused. The pools are of here; a kernel reads them where they lie.
 */
export class PlainVoices {
  /** Given by the caller: value, expected, raw scores, class and weight of each row. */
  readonly batch: VoicesBatch
  readonly #classes: KindClasses
  readonly #kernel: VoicesKernel | undefined
  readonly #pools: Readonly<Record<Voice, PooledCalibration>>
  /** Class and bin by voice and row that was scored and not yet learned; with a kernel they are there. */
  readonly #bins: Float32Array
  readonly #strongest = new Uint8Array(VOICES_BLOCK)
  /** Classes whose pools are where the kernel looks for them. */
  #ensured = 0
  readonly #nameOf = (kind: number) => this.#classes.nameOf(kind)

  constructor(classes: KindClasses, kernel: VoicesKernel | undefined) {
    this.#classes = classes
    this.#kernel = kernel
    this.batch = kernel?.batch ?? plainBatch()
    this.#bins = new Float32Array(kernel ? 0 : VOICES.length * VOICES_SCRATCH_ROWS)
    const placeOf = (voice: number) => kernel && ((kind: number) => kernel.pool(voice, kind))
    this.#pools = {
      score: new PooledCalibration(1, placeOf(0)),
      point: new PooledCalibration(1, placeOf(1)),
      incident: new PooledCalibration(INCIDENT_RUN_WINDOWS, placeOf(2)),
    }
  }

  /** Opinions of the first `length` rows of the block; what `count` needs of them is left in places `from`… */
  opine(length: number, from: number): void {
    if (this.#ensured < this.#classes.size) this.#ensure()
    if (this.#kernel) this.#kernel.opine(length, from)
    else this.#opinePlainly(length, from)
  }

  #ensure(): void {
    const { size, bad } = this.#classes
    for (let kind = 1; kind <= size; kind++) {
      for (const name of VOICES) this.#pools[name].ensure(kind, this.#nameOf)
      if (this.#kernel) this.#kernel.bad[kind] = bad[kind]
    }
    this.#ensured = size
  }

  #opinePlainly(length: number, from: number): void {
    const { first, second, third, surprise, point, incident, score, kind } = this.batch
    const pooled = this.#pools.score
    weighDirection(this.batch, length, this.#classes.bad, of => pooled.usual(of))
    const stride = VOICES.length
    for (const [v, column] of [first, second, third].entries())
      this.#pools[VOICES[v]].surprise(
        column,
        kind,
        length,
        this.#bins,
        from * stride + v,
        stride,
        this.#nameOf,
      )
    fuse([first, second], 0, length, point, this.#strongest)
    fuse([third], 0, length, incident, this.#strongest)
    fuse([first, second, third], 0, length, surprise, this.#strongest)
    publicScores(surprise, score, 0, length)
  }

  /** Counts what was said of rows in places `from`…, with the block's weights. */
  count(length: number, from: number): void {
    if (this.#kernel) {
      this.#kernel.count(length, from)
      return
    }
    const stride = VOICES.length
    for (const [v, name] of VOICES.entries())
      this.#pools[name].learn(length, this.#bins, from * stride + v, stride, this.batch.weight)
  }

  /** A window begins to be learned, `elapsedMs` after the one before, which joins the pools when this one is over. */
  begin(elapsedMs: number): void {
    for (const name of VOICES) this.#pools[name].begin(elapsedMs)
  }

  /** The window that is learned is over. */
  end(): void {
    for (const name of VOICES) this.#pools[name].join()
  }

  clear(): void {
    for (const name of VOICES) this.#pools[name].clear()
    this.#ensured = 0
  }

  saved(): SavedVoices {
    const columns: Record<string, ColumnData> = {}
    const classes: Record<Voice, readonly string[]> = { score: [], point: [], incident: [] }
    for (const name of VOICES) {
      const pools = this.#pools[name].snapshot()
      classes[name] = pools.names
      for (const [field, column] of Object.entries(pools.columns)) columns[`${name}.${field}`] = column
    }
    return { classes, columns }
  }

  /** The voice whose columns are of another shape, where one is; the others are put back. */
  restore({ classes, columns }: SavedVoices): Voice | undefined {
    this.#ensured = 0
    return VOICES.find(name => {
      const [counts, fresh] = [columns[`${name}.counts`], columns[`${name}.fresh`]]
      return !this.#pools[name].restore(classes[name], { counts, fresh })
    })
  }

  bytes(): number {
    return this.#bins.byteLength + VOICES.reduce((sum, name) => sum + this.#pools[name].bytes(), 0)
  }
}

/** A latency that falls is strange, but nobody's trouble. Which way each row went is noted too, and its evidence. */
function weighDirection(
  batch: VoicesBatch,
  length: number,
  bad: Int8Array,
  usual: (kind: number) => number,
): void {
  const { value, expected, first, second, third, evidence, direction, kind } = batch
  for (let i = 0; i < length; i++) {
    direction[i] = value[i] > expected[i] ? 1 : value[i] < expected[i] ? -1 : 0
    const strength = Number.isNaN(first[i]) ? second[i] : first[i] / (1 + usual(kind[i]))
    evidence[i] = strength > EVIDENCE_MAX ? EVIDENCE_MAX : strength > 0 ? strength : 0
    if (!((value[i] - expected[i]) * bad[kind[i]] < 0)) continue
    evidence[i] = 0
    first[i] *= GOOD_SHARE
    second[i] *= GOOD_SHARE
    third[i] *= GOOD_SHARE
  }
}

function plainBatch(): VoicesBatch {
  const f32 = () => new Float32Array(VOICES_BLOCK)
  return {
    value: new Float64Array(VOICES_BLOCK),
    expected: new Float64Array(VOICES_BLOCK),
    weight: f32(),
    first: f32(),
    second: f32(),
    third: f32(),
    surprise: f32(),
    point: f32(),
    incident: f32(),
    score: f32(),
    evidence: f32(),
    direction: new Int8Array(VOICES_BLOCK),
    kind: new Uint8Array(VOICES_BLOCK),
  }
}
