import { fileURLToPath } from 'node:url'
import { type FeatureBatch, type ScoreBatch, scoreBatch } from '../core/batch.ts'
import { CHUNK_MASK, CHUNK_SHIFT, type Chunk, ColumnStore } from '../core/columns.ts'
import type { Detector, DetectorContext } from '../core/detector.ts'
import { ForeshockError } from '../core/errors.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { COMBINER_VIEWS, VIEWS_WIDTH } from './combiner-views.ts'
import { againstUsualDay, closeDay, DAYS_KEPT } from './day-maxima.ts'
import { LoudViews, type ViewedProfile } from './loud-views.ts'
import { loadPackage } from './model-package.ts'
import { nestSnapshot, unnestSnapshot } from './nested-snapshot.ts'
import { OnnxModel } from './onnx-model.ts'
import { DONE } from './runs.ts'
import { ScoredRows } from './scored-rows.ts'

const COLUMNS = {
  /** Number of the first window, and of the day (counted from it) whose maximum is open. */
  firstWindow: 'f64',
  day: 'u32',
  dayMax: 'f32',
  usualMax: 'f32',
  dayMaxima: ['u8', DAYS_KEPT],
  isStarted: 'u8',
} as const
type State = Chunk<typeof COLUMNS>

const VERSION = 1
const DAY_MS = 86_400_000
const VIEWS = 'views'
/** The model may make evidence this many times as large, or as small. */
const REACH = Math.log(8)

/** The combiner that comes with the program: `models/` lies beside `src/` and `dist/` alike. */
export const COMBINER_FOLDER = fileURLToPath(new URL('../../models/kpi-combiner/1', import.meta.url))

export interface CombinerOptions {
  readonly profile: ViewedProfile
  /** Folder of the model package. */
  readonly folder: string
  /** Told once when the model cannot be had; the profile's own evidence goes on then. */
  readonly onFailure: (error: ForeshockError) => void
}

/**
 * A profile detector whose point evidence is weighed by a learned model: of each loud window it sees all the views and
 * answers with the logarithm of a factor. What comes out is set against the usual loudest moment of the series' own
 * days, as the profile's evidence is: the ranking of a model travels from one series to another, its threshold does
 * not. Quiet windows never reach the model. Surprise, incident and band are the profile's.
 */
export class OnnxCombiner implements Detector {
  readonly id: string
  readonly width = 0
  readonly warmUpWindows: number
  readonly #context: DetectorContext
  readonly #options: CombinerOptions
  readonly #views: LoudViews
  readonly #store = new ColumnStore(COLUMNS)
  /** Evidence after the model, before the usual day; what `learn` needs and could not work out again. */
  readonly #scored = new ScoredRows()
  readonly #dayWindows: number
  #opening: Promise<void> | undefined
  #model: OnnxModel | undefined
  #failure: ForeshockError | undefined
  #own: ScoreBatch | undefined

  constructor(context: DetectorContext, options: CombinerOptions) {
    this.id = `combiner-${options.profile}@1`
    this.#context = context
    this.#options = options
    this.#views = new LoudViews(context, options.profile)
    this.#dayWindows = Math.max(1, Math.round(DAY_MS / context.stepMs))
    this.warmUpWindows = this.#views.warmUpWindows
  }

  /** Has the model loaded and checked, once: when the first loud window needs it. */
  #open(): Promise<void> {
    this.#opening ??= openCombiner(this.#options.folder).then(
      model => {
        this.#model = model
      },
      error => {
        if (!(error instanceof ForeshockError)) throw error
        this.#failure = error
        this.#options.onFailure(error)
      },
    )
    return this.#opening
  }

  get problem(): string | undefined {
    return this.#failure && `${this.#failure.code}: ${this.#failure.message}`
  }

  score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    this.#views.scoreNow(batch, out)
    // A block without rows of this profile must not count as one that is waiting to be learned.
    if (batch.length === 0) return DONE
    const from = this.#scored.begin(batch)
    const { values } = this.#scored
    for (let row = 0; row < batch.length; row++)
      values[from + row] = Number.isNaN(out.point[row]) ? NaN : this.#views.rawPointOf(row)
    if (this.#views.count > 0 && !this.#failure) return this.#weigh(batch, out, from)
    this.#settle(batch, out, from)
    return DONE
  }

  async #weigh(batch: FeatureBatch, out: ScoreBatch, from: number): Promise<void> {
    await this.#open()
    const { rows, count, tensor } = this.#views
    const { values } = this.#scored
    if (this.#model) {
      const factors = await this.#model.run(tensor.subarray(0, count * VIEWS_WIDTH), count)
      for (let k = 0; k < count; k++) {
        const factor = Math.exp(Math.max(-REACH, Math.min(REACH, factors[k])))
        // A model that has no answer changes nothing.
        if (!Number.isNaN(factor)) values[from + rows[k]] *= factor
      }
    }
    this.#settle(batch, out, from)
  }

  /** Evidence of each row against the usual day of its series. */
  #settle(batch: FeatureBatch, out: ScoreBatch, from: number): void {
    const { values } = this.#scored
    for (let row = 0; row < batch.length; row++) {
      const raw = values[from + row]
      if (Number.isNaN(raw)) continue
      const index = batch.series[row]
      const state = this.#store.chunks[index >> CHUNK_SHIFT] as State | undefined
      out.point[row] = againstUsualDay(raw, state ? state.usualMax[index & CHUNK_MASK] : 0)
    }
  }

  learn(batch: FeatureBatch, weight: Float32Array): void {
    if (batch.length === 0) return
    const from = this.#scored.take(batch)
    const { values } = this.#scored
    if (from < 0) {
      // Not scored just now: the model cannot be waited for here, the profile's own evidence stands in for it.
      if (!this.#own || this.#own.capacity < batch.length) this.#own = scoreBatch(batch.capacity)
      this.#views.scoreNow(batch, this.#own)
    }
    for (let row = 0; row < batch.length; row++) {
      if (Number.isNaN(batch.observed[row])) continue
      const index = batch.series[row]
      if (index >= this.#store.rows) this.#store.ensure(Math.max(index + 1, this.#context.series.capacity))
      const chunk = this.#store.chunks[index >> CHUNK_SHIFT] as State
      const own = from < 0 && !Number.isNaN(this.#views.pointOf(row)) ? this.#views.rawPointOf(row) : NaN
      const raw = from < 0 ? own : values[from + row]
      const window = Math.floor(batch.windowEndMs[row] / this.#context.stepMs) - 1
      learnDay(chunk, index & CHUNK_MASK, window, this.#dayWindows, weight[row] > 0.5 ? raw : NaN)
    }
    this.#views.learn(batch, weight)
  }

  forget(series: number): void {
    this.#views.forget(series)
    this.#store.clear(series)
    this.#scored.clear()
  }

  snapshot(): Snapshot {
    const own = this.#store.snapshot(this.id, VERSION, this.#context.series)
    return nestSnapshot(own, VIEWS, this.#views.snapshot())
  }

  restore(from: Snapshot): void {
    if (from.id !== this.id || from.version !== VERSION)
      throw new ForeshockError(
        'FS_SNAPSHOT_INVALID',
        `expected ${this.id} v${VERSION}, got ${from.id} v${from.version}`,
      )
    const { own, inner } = unnestSnapshot(from, VIEWS)
    this.#views.restore(inner)
    this.#store.restore(own, this.id, VERSION, this.#context.series)
    this.#scored.clear()
  }

  bytes(): number {
    return this.#views.bytes() + this.#store.bytes() + this.#scored.bytes()
  }

  async close(): Promise<void> {
    await this.#opening
    await this.#model?.close()
    await this.#views.close()
  }
}

/** Days are counted from a series' first window; the first says nothing about what is usual. */
function learnDay(c: State, i: number, window: number, dayWindows: number, raw: number): void {
  if (c.isStarted[i] === 0) {
    c.isStarted[i] = 1
    c.firstWindow[i] = window
  }
  const day = Math.floor((window - c.firstWindow[i]) / dayWindows)
  const lastDay = c.day[i]
  if (day > lastDay) {
    if (lastDay > 0 && c.dayMax[i] > 0)
      c.usualMax[i] = closeDay(c.dayMaxima, i * DAYS_KEPT, lastDay, c.dayMax[i])
    c.dayMax[i] = 0
    c.day[i] = day
  }
  if (raw > c.dayMax[i]) c.dayMax[i] = raw
}

/** A combiner's package, opened: a model of another task or other views is refused. */
async function openCombiner(folder: string): Promise<OnnxModel> {
  const loaded = await loadPackage(folder)
  const { task, input, output } = loaded.card
  const differs = input.features.findIndex((name, at) => name !== COMBINER_VIEWS[at])
  if (task !== 'combiner' || output.width !== 1 || input.width !== VIEWS_WIDTH || differs >= 0)
    throw new ForeshockError(
      'FS_MODEL_INVALID',
      `${folder}: card.json: wanted is a combiner of ${VIEWS_WIDTH} views to one number` +
        (differs >= 0 ? `; view ${differs} is '${input.features[differs]}'` : ''),
    )
  return OnnxModel.open(loaded)
}
