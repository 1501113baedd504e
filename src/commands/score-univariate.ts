import { ForeshockError } from '../core/errors.ts'
import { LocalTime } from '../core/local-time.ts'
import { parseValue } from '../ingest/csv.ts'
import { evidenceScore, publicScore, UNIVARIATE_RARITY } from './public-score.ts'
import { Alerts, severityOf } from './score-alerts.ts'
import { numberOf, quoteCell, timeOf } from './score-cells.ts'
import { StepFinder } from './score-clock.ts'
import { univariateChoice } from './score-detectors.ts'
import { SeriesRun } from './series-run.ts'

export interface ScorerOptions {
  readonly detector?: string | undefined
  readonly stepMs?: number | undefined
  readonly header: boolean
  /** IANA name of the zone whose clocks daily shapes follow; UTC without. */
  readonly timeZone?: string | undefined
}

/** Scores the rows of one file; the same for one metric or many. */
export interface LineScorer {
  readonly header: string
  /** A new file of the same series begins: its header names the columns anew. */
  begin(): void
  /** Output lines for a row of input, joined by newlines; rows may be held back while the step is unknown. */
  line(cells: readonly string[], row: number, learnOnly: boolean): string | Promise<string>
  /** What was held back; nothing can be scored after `close`. */
  end(): string | Promise<string>
  close(): Promise<void>
}

interface Held {
  readonly time: string
  readonly value: string
  readonly timeMs: number
  readonly learnOnly: boolean
}

/** Digits kept of opinions: float32 carries no more than seven. */
const text = (value: number) => (Number.isNaN(value) ? '' : String(Number(value.toPrecision(7))))
const EMPTY = ',,,,,,,,'

/** One time column, one value column. See CONTRACTS 1.1. */
export class UnivariateScorer implements LineScorer {
  readonly header = 'timestamp,value,score,surprise,point,incident,expected,lower,upper,alert,severity'
  readonly #options: ScorerOptions
  readonly #choice: ReturnType<typeof univariateChoice>
  readonly #steps = new StepFinder()
  readonly #alerts: Alerts
  readonly #localTime: LocalTime
  #run: SeriesRun | undefined
  #timeColumn = -1
  #valueColumn = -1
  #named = false
  #held: Held[] = []
  #rows = 0
  #numbers = 0
  /** The first value that is neither a number nor a gap, and its row. */
  #unread: { readonly row: number; readonly text: string } | undefined

  constructor(options: ScorerOptions) {
    this.#options = options
    this.#choice = univariateChoice(options.detector)
    this.#alerts = new Alerts(this.#choice.rule)
    this.#localTime = new LocalTime(options.timeZone)
    if (options.stepMs !== undefined) this.#run = new SeriesRun(this.#choice, options.stepMs, this.#localTime)
  }

  begin(): void {
    this.#named = false
  }

  line(cells: readonly string[], row: number, learnOnly: boolean): string | Promise<string> {
    if (!this.#named) {
      this.#name(cells, row)
      this.#named = true
      if (this.#options.header) return ''
    }
    const value = this.#valueColumn < 0 ? undefined : cells[this.#valueColumn]
    let time = this.#timeColumn < 0 ? undefined : cells[this.#timeColumn]
    let timeMs = timeOf(time)
    if (this.#timeColumn < 0) {
      timeMs = this.#rows * (this.#options.stepMs ?? 60_000)
      time = String(timeMs / 1000)
    } else if (Number.isNaN(timeMs) && this.#rows === 0)
      throw new ForeshockError('FS_INPUT_INVALID', `row ${row}: cannot read the time '${time}'`)
    this.#rows++
    if (!learnOnly) this.#note(value, row)
    const held = { time: time ?? '', value: value ?? '', timeMs, learnOnly }
    if (this.#run) return this.#score(held, true)
    this.#held.push(held)
    if (Number.isNaN(timeMs)) return ''
    const stepMs = this.#steps.add(timeMs)
    if (Number.isNaN(stepMs)) return ''
    this.#run = new SeriesRun(this.#choice, stepMs, this.#localTime)
    return this.#flush()
  }

  /** Throws FS_INPUT_INVALID when there was something to read in the column of values and none of it was a number. */
  end(): Promise<string> {
    if (this.#unread && this.#numbers === 0) {
      const { row, text } = this.#unread
      throw new ForeshockError(
        'FS_INPUT_INVALID',
        `row ${row}: '${text.slice(0, 40)}' is not a number, and no row has one in column ${this.#valueColumn + 1}`,
      )
    }
    return this.#flush()
  }

  async #flush(): Promise<string> {
    let lines = ''
    for (const held of this.#held) lines += await this.#score(held, false)
    this.#held = []
    return lines
  }

  async close(): Promise<void> {
    await this.#run?.detector.close()
  }

  #name(cells: readonly string[], row: number): void {
    if (!this.#options.header) {
      this.#timeColumn = cells.length > 1 ? 0 : -1
      this.#valueColumn = cells.length > 1 ? 1 : 0
      return
    }
    const names = cells.map(cell => cell.trim().toLowerCase())
    if (names.every(name => name === ''))
      throw new ForeshockError('FS_INPUT_INVALID', `row ${row}: no header`)
    if (names.every(name => !Number.isNaN(numberOf(name))))
      throw new ForeshockError(
        'FS_INPUT_INVALID',
        `row ${row}: a header row is expected, these are numbers (use --header none)`,
      )
    const named = names.findIndex(name => name === 'timestamp' || name === 'time')
    const value = names.indexOf('value')
    this.#timeColumn = named >= 0 ? named : 0
    if (names.length === 1) this.#timeColumn = named === 0 ? 0 : -1
    this.#valueColumn =
      value >= 0 ? value : names.findIndex((name, i) => i !== this.#timeColumn && name !== 'label')
    if (this.#valueColumn < 0) throw new ForeshockError('FS_INPUT_INVALID', `row ${row}: no value column`)
  }

  #note(value: string | undefined, row: number): void {
    if (!Number.isNaN(numberOf(value))) this.#numbers++
    else if (value !== undefined && parseValue(value) === undefined) this.#unread ??= { row, text: value }
  }

  #score(held: Held, settled: boolean): string | Promise<string> {
    const observed = numberOf(held.value)
    const prefix = held.learnOnly
      ? ''
      : `${quoteCell(held.time)},${Number.isNaN(observed) ? '' : held.value.trim()},`
    const run = this.#run
    if (!run || Number.isNaN(observed) || Number.isNaN(held.timeMs))
      return held.learnOnly ? '' : `${prefix}${EMPTY}\n`
    const startMs = run.next(held.timeMs, observed)
    if (typeof startMs === 'number') return this.#say(held, prefix, startMs, run, settled)
    return startMs.then(start => this.#say(held, prefix, start, run, settled))
  }

  #say(held: Held, prefix: string, startMs: number, run: SeriesRun, settled: boolean): string {
    const out = run.out
    if (held.learnOnly) return ''
    const surprise = out.score[0]
    if (!settled || Number.isNaN(surprise)) return `${prefix}${EMPTY}\n`
    const point = out.point[0]
    const incident = out.incident[0]
    const { rule } = this.#choice
    const share = Math.max(point / rule.point, incident / rule.incident)
    const score = Math.max(publicScore(surprise, UNIVARIATE_RARITY), evidenceScore(share))
    const alert = this.#alerts.next(startMs, point, incident)
    const opinions = [score, surprise, point, incident, out.expected[0], out.lower[0], out.upper[0]]
    return `${prefix}${opinions.map(text).join(',')},${alert},${alert === '0' ? '' : severityOf(score)}\n`
  }
}
