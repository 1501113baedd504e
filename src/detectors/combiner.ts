import { fileURLToPath } from 'node:url'
import type { FeatureBatch, ScoreBatch } from '../core/batch.ts'
import { type Chunk, ColumnStore } from '../core/columns.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import type { DetectorContext } from '../core/detector.ts'
import { ForeshockError } from '../core/errors.ts'
import type { ColumnData, Snapshot } from '../core/snapshot.ts'
import { COMBINER_VIEWS, learnRecent, RECENT_COLUMNS, VIEWS_WIDTH } from './combiner-views.ts'
import { againstUsualDay, closeDay, DAYS_KEPT } from './day-maxima.ts'
import { featuresOf } from './model-card.ts'
import { openModel } from './model-open.ts'
import { loadPackage } from './model-package.ts'
import type { ModelEngine } from './model-runtime.ts'
import type { ProfileViews } from './profile-views.ts'
import { DONE } from './runs.ts'
import { ScoredRows } from './scored-rows.ts'

const COLUMNS = {
  ...RECENT_COLUMNS,
  /** Number of the first window, and of the day (counted from it) whose maximum is open. */
  firstWindow: 'f64',
  day: 'u32',
  dayMax: 'f32',
  usualMax: 'f32',
  dayMaxima: ['u8', DAYS_KEPT],
  isStarted: 'u8',
} as const
type State = Chunk<typeof COLUMNS>

const ID = 'combiner@1'
const VERSION = 1
/** State grows by 4096 series, 330 kB, at a time. */
const SHIFT = 12
const DAY_MS = 86_400_000
/** The model may make evidence this many times as large, or as small. */
const REACH = Math.log(8)

/** The combiner that comes with the program: `models/` lies beside `src/` and `dist/` alike. */
export const COMBINER_FOLDER = fileURLToPath(new URL('../../models/kpi-combiner/1', import.meta.url))

export interface CombinerOptions {
  /** Folder of the model package; without one views are only collected, for a model to be trained on. */
  readonly folder?: string
  /** Told once when the model cannot be had; the profile's own evidence goes on then. */
  readonly onFailure: (error: ForeshockError) => void
}

/**
 * Weighs the point evidence of profile detectors by a learned model: of each loud window it sees all the views and
 * answers with the logarithm of a factor. What comes out is set against the usual loudest moment of the series' own
 * days, as the profile's evidence is: the ranking of a model travels from one series to another, its threshold does
 * not. Quiet windows never reach the model.
 *
 * A step of a detector, 81 bytes a series, which stay when a series changes its profile. For each batch: `begin`, `show`
 * for the rows of each profile, `weigh`; then `beginLearn`, and `learn` for the rows of each profile.
 */
export class Combiner {
  /** Views of the loud rows shown, row-major, `count` rows of VIEWS_WIDTH. */
  tensor = new Float32Array(0)
  count = 0
  readonly #context: DetectorContext
  readonly #options: CombinerOptions
  readonly #store = new ColumnStore(COLUMNS, SHIFT)
  readonly #dayWindows: number
  /** Evidence after the model, before the usual day; what `learn` needs and could not work out again. */
  readonly #scored = new ScoredRows()
  /** Where in that the batch begins; below zero while one is learned that was not scored. */
  #from = 0
  /** Places of the loud rows in the batch. */
  #rows = new Uint32Array(0)
  #opening: Promise<void> | undefined
  #model: ModelEngine | undefined
  #failure: ForeshockError | undefined

  constructor(context: DetectorContext, options: CombinerOptions) {
    this.#context = context
    this.#options = options
    this.#dayWindows = Math.max(1, Math.round(DAY_MS / context.stepMs))
  }

  get problem(): string | undefined {
    return this.#failure && `${this.#failure.code}: ${this.#failure.message}`
  }

  begin(batch: FeatureBatch): void {
    this.count = 0
    // A batch without rows must not count as one that is waiting to be learned.
    if (batch.length === 0) return
    this.#from = this.#scored.begin(batch)
    this.#scored.values.fill(NaN, this.#from, this.#from + batch.length)
    if (this.#rows.length >= batch.length) return
    this.#rows = new Uint32Array(batch.length)
    this.tensor = new Float32Array(batch.length * VIEWS_WIDTH)
  }

  /** The rows of one profile, just scored: row k of `own` is row `places[k]` of the batch. */
  show(views: ProfileViews, own: FeatureBatch, places: Uint32Array): void {
    const { values } = this.#scored
    const { chunks, shift, mask } = this.#store
    for (let k = 0; k < own.length; k++) {
      if (Number.isNaN(views.pointOf(k))) continue
      values[this.#from + places[k]] = views.rawPointOf(k)
      if (!views.isLoud(k)) continue
      const chunk = chunks[own.series[k] >> shift] as State | undefined
      const i = own.series[k] & mask
      // Of a series that the combiner has not met yet there is no past to look at.
      if (!chunk || chunk.isStarted[i] === 0) continue
      this.#rows[this.count] = places[k]
      views.fill(k, chunk, i, this.tensor, this.count++ * VIEWS_WIDTH)
    }
  }

  /** Writes the evidence of the rows shown into `out`; DONE unless the model has to be waited for. */
  weigh(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    if (this.count > 0 && this.#options.folder !== undefined && !this.#failure) return this.#ask(batch, out)
    this.#settle(batch, out)
    return DONE
  }

  async #ask(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    this.#opening ??= this.#open(this.#options.folder as string)
    await this.#opening
    const factors = await this.#factors()
    const { values } = this.#scored
    for (let k = 0; k < (factors?.length ?? 0); k++) {
      const factor = Math.exp(Math.max(-REACH, Math.min(REACH, (factors as Float32Array)[k])))
      // A model that has no answer changes nothing.
      if (!Number.isNaN(factor)) values[this.#from + this.#rows[k]] *= factor
    }
    this.#settle(batch, out)
  }

  /** Has the model loaded and checked, once: when the first loud window needs it. */
  async #open(folder: string): Promise<void> {
    try {
      this.#model = await openCombiner(folder)
    } catch (error) {
      this.#fail(error)
    }
  }

  async #factors(): Promise<Float32Array | undefined> {
    try {
      return await this.#model?.run(this.tensor.subarray(0, this.count * VIEWS_WIDTH), this.count)
    } catch (error) {
      this.#fail(error)
      return undefined
    }
  }

  #fail(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    this.#failure =
      error instanceof ForeshockError
        ? error
        : new ForeshockError('FS_MODEL_RUNTIME', `the model gave no answer: ${reason}`, { cause: error })
    this.#options.onFailure(this.#failure)
  }

  /** Evidence of each row against the usual day of its series. */
  #settle(batch: FeatureBatch, out: ScoreBatch): void {
    const { values } = this.#scored
    const { chunks, shift, mask } = this.#store
    for (let row = 0; row < batch.length; row++) {
      const raw = values[this.#from + row]
      if (Number.isNaN(raw)) continue
      const chunk = chunks[batch.series[row] >> shift] as State | undefined
      out.point[row] = againstUsualDay(raw, chunk ? chunk.usualMax[batch.series[row] & mask] : 0)
    }
  }

  beginLearn(batch: FeatureBatch): void {
    this.#from = batch.length === 0 ? -1 : this.#scored.take(batch)
  }

  /** The rows of one profile, just learned by it. */
  learn(views: ProfileViews, own: FeatureBatch, weight: Float32Array, places: Uint32Array): void {
    const { values } = this.#scored
    const { shift, mask } = this.#store
    for (let k = 0; k < own.length; k++) {
      if (Number.isNaN(own.observed[k])) continue
      const index = own.series[k]
      this.#store.ensure(index + 1)
      const chunk = this.#store.writable(index >> shift) as State
      // Not scored just now: the model cannot be waited for here, the profile's own evidence stands in for it.
      const known = Number.isNaN(views.pointOf(k)) ? NaN : views.rawPointOf(k)
      const raw = this.#from < 0 ? known : values[this.#from + places[k]]
      const window = Math.floor(own.windowEndMs[k] / this.#context.stepMs) - 1
      learnDay(chunk, index & mask, window, this.#dayWindows, weight[k] > 0.5 ? raw : NaN)
      learnRecent(chunk, index & mask, own.observed[k], views.pointOf(k))
    }
  }

  forget(series: number): void {
    this.#store.clear(series)
    this.#scored.clear()
  }

  /** State of the series in these rows of the table, one after the other. */
  columns(rows: readonly number[]): Record<string, ColumnData> {
    return this.#store.pick(rows)
  }

  snapshot(): Snapshot {
    return this.#store.snapshot(ID, VERSION, this.#context.series)
  }

  cut(cut: Cut): CutSnapshot {
    return this.#store.cut(cut, ID, VERSION, this.#context.series)
  }

  /** Columns of a snapshot, under the keys or rows of their series. Throws FS_SNAPSHOT_INVALID when they are others. */
  restore(of: Pick<Snapshot, 'keys' | 'rows'>, columns: Readonly<Record<string, ColumnData>>): void {
    this.#scored.clear()
    const from = { ...of, id: ID, version: VERSION, columns, meta: null }
    this.#store.restore(from, ID, VERSION, this.#context.series)
  }

  bytes(): number {
    return this.#store.bytes() + this.#scored.bytes()
  }

  async close(): Promise<void> {
    await this.#opening
    await this.#model?.close()
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
async function openCombiner(folder: string): Promise<ModelEngine> {
  const loaded = await loadPackage(folder)
  const { task, input, output } = loaded.card
  const features = featuresOf(loaded.card)
  const differs = features.findIndex((name, at) => name !== COMBINER_VIEWS[at])
  if (task !== 'combiner' || output.width !== 1 || input.width !== VIEWS_WIDTH || differs >= 0)
    throw new ForeshockError(
      'FS_MODEL_INVALID',
      `${folder}: card.json: wanted is a combiner of ${VIEWS_WIDTH} views to one number` +
        (differs >= 0 ? `; view ${differs} is '${features[differs]}'` : ''),
    )
  return (await openModel(loaded)).engine
}
