import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type FeatureBatch, featureBatch, type ScoreBatch, scoreBatch } from '../core/batch.ts'
import type { DetectorContext } from '../core/detector.ts'
import { ForeshockError } from '../core/errors.ts'
import { metricKind, unitOf } from '../core/metric-kind.ts'
import { type SeriesMeta, SeriesTable } from '../core/series.ts'
import { cardSchema, type ModelCard } from '../detectors/model-card.ts'
import { ModelMember } from '../detectors/model-member.ts'
import { openModel } from '../detectors/model-open.ts'
import { loadPackage } from '../detectors/model-package.ts'
import type { ModelSession } from '../detectors/model-runtime.ts'
import type { AlertRule } from './score-alerts.ts'
import type { DetectorChoice, ScoringDetector } from './score-detectors.ts'

/** `--detector model:FOLDER`: a model package, asked as the live service asks it. */
const PREFIX = 'model:'
/** Where the ensemble opens: a model's opinions are −log10 of a tail probability. */
const RULE: AlertRule = {
  point: 3.3,
  pointRefractoryMs: 5 * 60_000,
  incident: 3.3,
  incidentRefractoryMs: 12 * 3_600_000,
}

/** The folder that `--detector` names; undefined when it names another detector. */
export function modelFolder(detector: string | undefined): string | undefined {
  return detector?.startsWith(PREFIX) ? detector.slice(PREFIX.length) : undefined
}

/** The card of a package on disk. Throws FS_INPUT_INVALID with the file and the reason. */
export function cardOfFolder(folder: string): ModelCard {
  const path = join(folder, 'card.json')
  let json: unknown
  try {
    json = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new ForeshockError('FS_INPUT_INVALID', `${path}: ${(error as Error).message}`)
  }
  const parsed = cardSchema.safeParse(json)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new ForeshockError('FS_INPUT_INVALID', `${path}: ${issue.path.join('.')}: ${issue.message}`)
}

/** What a model looks at: `series` or `entity`. Throws FS_INPUT_INVALID for one that looks at neither. */
export function modelLooksAt(folder: string): 'series' | 'entity' {
  const { id, input } = cardOfFolder(folder)
  if (input.window.of !== 'views') return input.window.of
  throw new ForeshockError(
    'FS_INPUT_INVALID',
    `${folder}: ${id} weighs what detectors say, and scores nothing`,
  )
}

export type OpenSession = () => Promise<ModelSession>

/** Opens a package in this thread: whoever scores files has nothing else to do meanwhile. */
async function openHere(folder: string): Promise<ModelSession> {
  const loaded = await loadPackage(folder)
  const { engine } = await openModel(loaded, { isTimed: false })
  return {
    card: loaded.card,
    runtime: engine.runtime,
    run: (input, rows) => engine.run(input, rows),
    close: () => engine.close(),
  }
}

/** A model of single series as a detector to score with. */
export function modelChoice(folder: string, open: OpenSession = () => openHere(folder)): DetectorChoice {
  const card = cardOfFolder(folder)
  if (modelLooksAt(folder) !== 'series')
    throw new ForeshockError(
      'FS_INPUT_INVALID',
      `${folder}: ${card.id} looks at entities: --shape multivariate`,
    )
  return {
    id: `${card.id}@${card.version}`,
    about: card.title,
    make: context => new ModelDetector(context, card, 1, open),
    rule: RULE,
  }
}

/** The member of the ensemble with one model. Asked for by name it must be had: what keeps it from speaking is an error. */
class ModelDetector extends ModelMember implements ScoringDetector {
  constructor(context: DetectorContext, card: ModelCard, size: number, open: OpenSession) {
    super(context, { size, timeoutMs: Number.MAX_SAFE_INTEGER, openModel: open })
    this.seat(card)
  }

  override async score(batch: FeatureBatch, out: ScoreBatch): Promise<void> {
    await super.score(batch, out)
    if (this.problem !== undefined) throw new ForeshockError('FS_MODEL_INVALID', this.problem)
  }
}

/** What a model says of one row of an entity's metrics. */
export interface EntitySaid {
  /** −log10 of a tail probability; NaN without an opinion. */
  score: number
  /** The same of each metric by itself, 0 without an opinion. */
  readonly share: Float64Array
}

/** The metrics of one recorded entity fed to one model, row by row: what `score` and `evaluate` both run. */
export class EntityModelRun {
  readonly #said: EntitySaid
  readonly #batch: FeatureBatch
  readonly #out: ScoreBatch
  readonly #weight: Float32Array
  readonly #detector: ModelDetector
  readonly #stepMs: number
  #rows = 0

  /** `names` of the metrics tell their kinds, as in the live service. */
  constructor(
    folder: string,
    names: readonly string[],
    stepMs: number,
    open: OpenSession = () => openHere(folder),
  ) {
    if (modelLooksAt(folder) !== 'entity')
      throw new ForeshockError('FS_INPUT_INVALID', `${folder}: looks at single series: --shape univariate`)
    const series = new SeriesTable(names.length)
    for (const [at, name] of names.entries()) series.intern(metaOf(name, at))
    this.#stepMs = stepMs
    this.#detector = new ModelDetector({ series, stepMs }, cardOfFolder(folder), names.length, open)
    this.#batch = featureBatch(names.length, 0)
    this.#batch.length = names.length
    this.#batch.coverage.fill(1)
    for (let j = 0; j < names.length; j++) this.#batch.series[j] = j
    this.#out = scoreBatch(names.length)
    this.#weight = new Float32Array(names.length).fill(1)
    this.#said = { score: NaN, share: new Float64Array(names.length) }
  }

  /** Scores a row, then learns it. What is said is lent until the next call. */
  async next(values: Float64Array): Promise<EntitySaid> {
    this.#batch.observed.set(values)
    this.#batch.windowEndMs.fill(++this.#rows * this.#stepMs)
    await this.#detector.score(this.#batch, this.#out)
    this.#detector.learn(this.#batch, this.#weight)
    const said = this.#said
    said.score = NaN
    for (let j = 0; j < values.length; j++) {
      const incident = this.#out.incident[j]
      if (!(said.score >= incident) && !Number.isNaN(incident)) said.score = incident
      const point = this.#out.point[j]
      said.share[j] = Number.isNaN(point) ? 0 : point
    }
    return said
  }

  close(): Promise<void> {
    return this.#detector.close()
  }
}

function metaOf(name: string, at: number): SeriesMeta {
  const unit = unitOf(name)
  const kind = metricKind(name, unit)
  return {
    key: `${at}/${name}`,
    tenant: 'default',
    metric: name,
    labels: {},
    entity: 'entity',
    unit,
    kind,
    bad: 'both',
  }
}

/**
 * Two sessions for recordings that are there as a whole: the first keeps the inputs it is given and says nothing, the
 * second answers the same questions from outputs that were worked out in between, all at once. What a model is asked
 * does not depend on what it answered, so the two see the same windows.
 */
export class AheadOfTime {
  readonly #folder: string
  #session: ModelSession | undefined
  #inputs = new Float32Array(0)
  #used = 0
  #rows = 0
  #outputs: Float32Array = new Float32Array(0)
  #given = 0

  constructor(folder: string) {
    this.#folder = folder
  }

  readonly listening: OpenSession = async () => {
    const session = await this.#open()
    const { input, output } = session.card
    return {
      ...session,
      run: async (rows, count) => {
        this.#keep(rows, count * input.width)
        this.#rows += count
        return new Float32Array(count * output.width).fill(NaN)
      },
      close: async () => {},
    }
  }

  readonly answering: OpenSession = async () => {
    const session = await this.#open()
    const { width } = session.card.output
    return {
      ...session,
      run: async (_, count) => {
        const from = this.#given * width
        this.#given += count
        return this.#outputs.slice(from, from + count * width)
      },
    }
  }

  /** Works out what was asked since the last call. */
  async infer(): Promise<void> {
    const session = await this.#open()
    const input = this.#inputs.subarray(0, this.#used)
    this.#outputs = this.#rows === 0 ? new Float32Array(0) : await session.run(input, this.#rows)
    this.#given = 0
    this.#rows = 0
    this.#used = 0
  }

  #keep(rows: Float32Array, length: number): void {
    const used = this.#used
    if (this.#inputs.length < used + length) {
      const longer = new Float32Array(Math.max(2 * this.#inputs.length, used + length))
      longer.set(this.#inputs.subarray(0, used))
      this.#inputs = longer
    }
    this.#inputs.set(rows.subarray(0, length), used)
    this.#used = used + length
  }

  async #open(): Promise<ModelSession> {
    this.#session ??= await openHere(this.#folder)
    return this.#session
  }
}
