import type { EntityOpinion } from '../core/entity-detector.ts'
import { ForeshockError } from '../core/errors.ts'
import { EntityAlert, EntityEvidence } from '../detectors/entity-alerts.ts'
import { RidgeDetector } from '../detectors/ridge.ts'
import { EntityModelRun, modelFolder } from './model-detector.ts'
import { MULTIVARIATE_RARITY, publicScore } from './public-score.ts'
import { severityOf } from './score-alerts.ts'
import { numberOf, quoteCell, timeOf } from './score-cells.ts'
import { StepFinder } from './score-clock.ts'
import type { LineScorer, ScorerOptions } from './score-univariate.ts'

const DEFAULT_STEP_MS = 60_000
/**
 * A row is anomalous where surprise is at least `entity`; an alert opens at evidence `open`: about two a week and entity
 * on the training parts of asd, smd and jumpstarter, without labels.
 */
export const MULTIVARIATE_RULE = { entity: 3.25, open: 1.8 } as const
/** Metrics named as explanation at most, each with at least this share of the strongest one's evidence. */
const TOP_METRICS = 10
const TOP_SHARE = 0.2
const METRICS_MAX = 5000
const EMPTY = ',,,,,,'

interface Held {
  readonly time: string
  readonly values: Float64Array
  readonly timeMs: number
  readonly learnOnly: boolean
}

/** Every numeric column but time is one metric of one entity. See CONTRACTS 1.1. */
export class MultivariateScorer implements LineScorer {
  readonly header = 'timestamp,score,surprise,point,incident,alert,severity,top'
  readonly #options: ScorerOptions
  readonly #steps = new StepFinder()
  readonly #folder: string | undefined
  #detector: RidgeDetector | undefined
  #model: EntityModelRun | undefined
  #evidence: EntityEvidence | undefined
  #alert: EntityAlert | undefined
  #metrics: string[] = []
  #timeColumn = -1
  /** Column of each metric in the file being read; −1 where the file lacks it. */
  #columns: number[] = []
  #names: string[] | undefined
  #isPlaced = false
  #rows = 0
  /** Rows of all files: what tells the time of day where no column does. */
  #order = 0
  #held: Held[] = []

  constructor(options: ScorerOptions) {
    const { detector } = options
    this.#folder = modelFolder(detector)
    if (
      this.#folder === undefined &&
      detector !== undefined &&
      detector !== 'ridge' &&
      detector !== 'ridge@1'
    )
      throw new ForeshockError(
        'FS_INPUT_INVALID',
        `unknown multivariate detector '${detector}': ridge@1 or model:FOLDER`,
      )
    this.#options = options
  }

  begin(): void {
    this.#names = undefined
    this.#isPlaced = false
    // Rows without times are counted within their own file.
    this.#rows = 0
  }

  line(cells: readonly string[], row: number, learnOnly: boolean): string | Promise<string> {
    if (this.#options.header && !this.#names) {
      this.#names = cells.map(cell => cell.trim())
      if (this.#names.every(name => !Number.isNaN(numberOf(name))))
        throw new ForeshockError(
          'FS_INPUT_INVALID',
          `row ${row}: a header row is expected, these are numbers (use --header none)`,
        )
      return ''
    }
    if (!this.#isPlaced) this.#place(cells, row)
    const values = new Float64Array(this.#metrics.length)
    for (let j = 0; j < values.length; j++) values[j] = numberOf(cells[this.#columns[j]])
    const index = this.#rows++
    let time = cells[this.#timeColumn]
    if (this.#timeColumn < 0) time = String((index * (this.#options.stepMs ?? DEFAULT_STEP_MS)) / 1000)
    else if (index === 0 && Number.isNaN(timeOf(time)))
      throw new ForeshockError('FS_INPUT_INVALID', `row ${row}: cannot read the time '${time}'`)
    const order = this.#order++
    const timeMs = this.#timeColumn < 0 ? order * (this.#options.stepMs ?? DEFAULT_STEP_MS) : timeOf(time)
    const held = { time, values, timeMs, learnOnly }
    if (this.#detector || this.#model) return this.#score(held, true)
    const stepMs =
      this.#options.stepMs ?? (this.#timeColumn < 0 ? DEFAULT_STEP_MS : this.#steps.add(timeOf(time)))
    this.#held.push(held)
    if (Number.isNaN(stepMs)) return ''
    if (this.#folder === undefined)
      this.#detector = new RidgeDetector({ metrics: this.#metrics.length, stepMs })
    else this.#model = new EntityModelRun(this.#folder, this.#metrics, stepMs)
    this.#evidence = new EntityEvidence(stepMs)
    this.#alert = new EntityAlert(MULTIVARIATE_RULE.open, stepMs)
    return this.end()
  }

  async end(): Promise<string> {
    let lines = ''
    for (const held of this.#held) lines += await this.#score(held, false)
    this.#held = []
    return lines
  }

  async close(): Promise<void> {
    await this.#model?.close()
  }

  /** Which columns are metrics: told by the first row, and by the history where there is one. */
  #place(cells: readonly string[], row: number): void {
    this.#isPlaced = true
    const names = this.#names ?? cells.map((_, i) => String(i + 1))
    const lower = names.map(name => name.toLowerCase())
    this.#timeColumn = this.#names ? lower.findIndex(name => name === 'timestamp' || name === 'time') : -1
    if (this.#metrics.length === 0) {
      const isMetric = (cell: string | undefined) =>
        cell === undefined || /^(|nan|null)$/i.test(cell.trim()) || !Number.isNaN(numberOf(cell))
      this.#metrics = names.filter(
        (_, i) => i !== this.#timeColumn && lower[i] !== 'label' && isMetric(cells[i]),
      )
      if (this.#metrics.length === 0)
        throw new ForeshockError('FS_INPUT_INVALID', `row ${row}: no numeric column`)
      if (this.#metrics.length > METRICS_MAX)
        throw new ForeshockError('FS_INPUT_INVALID', `row ${row}: more than ${METRICS_MAX} metrics`)
    }
    this.#columns = this.#metrics.map(name => names.indexOf(name))
    if (this.#columns.every(column => column < 0))
      throw new ForeshockError('FS_INPUT_INVALID', `row ${row}: no column of the history is in this file`)
  }

  #score(held: Held, settled: boolean): string | Promise<string> {
    if (this.#model) return this.#model.next(held.values).then(said => this.#say(held, settled, said))
    return this.#say(held, settled, this.#detector?.next(held.values, 1, held.timeMs))
  }

  #say(held: Held, settled: boolean, opinion: Pick<EntityOpinion, 'score' | 'share'> | undefined): string {
    const evidence = this.#evidence?.next(opinion?.score ?? NaN) ?? NaN
    if (held.learnOnly) return ''
    const time = quoteCell(held.time)
    if (!opinion || !settled || Number.isNaN(opinion.score)) return `${time},${EMPTY}\n`
    const surprise = opinion.score
    const opens = this.#alert?.next(evidence) ?? false
    const alert = opens ? 'incident' : this.#alert?.isLoud ? 'point' : '0'
    const score = publicScore(surprise, MULTIVARIATE_RARITY)
    const text = String(Number(surprise.toPrecision(7)))
    const said = String(Number(evidence.toPrecision(7)))
    const severity = alert === '0' ? '' : severityOf(score)
    const top = topMetrics(opinion.share, this.#metrics)
    return `${time},${Number(score.toPrecision(7))},${text},${said},${said},${alert},${severity},${quoteCell(top)}\n`
  }
}

/** Names of the metrics with the most evidence, strongest first, ties in column order. */
function topMetrics(share: Float64Array, names: readonly string[]): string {
  const order = Array.from(share.keys()).sort((a, b) => share[b] - share[a] || a - b)
  const least = share[order[0]] * TOP_SHARE
  return order
    .slice(0, TOP_METRICS)
    .filter(j => share[j] > least)
    .map(j => names[j].replaceAll(';', ','))
    .join(';')
}
