import type { Anomaly } from '../core/anomaly.ts'
import type { FeatureBatch, OpinionBatch } from '../core/batch.ts'
import { savedRows } from '../core/columns.ts'
import type { Cut, CutSnapshot } from '../core/cut.ts'
import type { ModelOrder, ModelState } from '../core/model.ts'
import type { SeriesRows } from '../core/series.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { AlertingReport, AnomalyChange, ProfileUse, Rest, Scoring } from '../core/stages.ts'
import { allSteps, restingSteps, STEP_ROWS } from '../core/steps.ts'
import type { Ensemble } from './ensemble.ts'
import { FirstCome } from './first-come.ts'
import { BatchPart } from './split-batch.ts'
import type { SubTable } from './sub-table.ts'
import { type Moves, SuspectQueue } from './suspect-queue.ts'

/** Prefix of the plain tier's parts in a snapshot: they have the same names as those of the rich one. */
const PLAIN = 'plain:'
const ID = 'tiers'
const VERSION = 1

export interface TierParts {
  readonly series: SeriesRows
  /** Who is rich; `rich` looks at its rows. */
  readonly rows: SubTable
  readonly rich: Ensemble
  /** Looks at the rows of `series`. */
  readonly plain: Ensemble
  /** Window step, ms. */
  readonly stepMs: number
  /** A series, a row of `series`, is rich no more. */
  readonly onPlain?: (row: number) => void
}

/**
 * The scoring stage for more series than can have everything. The first to come are rich, golden kinds before others:
 * the whole ensemble looks at them. The others are plain: one detector of few bytes, with calibrations that series of a
 * kind share. What is strange among the plain is made rich while there is room, keeps what was learned and its open anomaly,
 * and is plain again when it was quiet for a day and others are strange.
 */
export class TieredScoring implements Scoring {
  readonly #parts: TierParts
  readonly #richPart = new BatchPart()
  readonly #plainPart = new BatchPart()
  /** Rich rows of a window that comes in several batches. */
  readonly #richWindow = new BatchPart()
  /** What the plain ensemble said of the batch scored last, which was given to it as it is; none when rows of it are rich. */
  #plainView: OpinionBatch | undefined
  #strongest = new Uint8Array(0)
  readonly #richDetectors: number
  readonly #suspects: SuspectQueue
  readonly #firstCome: FirstCome

  constructor(parts: TierParts) {
    this.#parts = parts
    this.#firstCome = new FirstCome(parts.series, parts.rows)
    this.#suspects = new SuspectQueue(parts.series, parts.stepMs)
    this.#richDetectors = parts.rich.detectors.length
  }

  get detectors() {
    const { rich, plain } = this.#parts
    const [only, ...rest] = plain.detectors
    const counts = { ...only.counts, ...this.#suspects.counts() }
    return [...rich.detectors, { ...only, counts }, ...rest]
  }

  begin(window: FeatureBatch): void {
    this.#admitAll(window)
    allSteps(this.#addingRich(window, this.#richWindow))
    this.#richWindow.sort(window)
    this.#parts.rich.begin(this.#richWindow.batch)
  }

  async score(batch: FeatureBatch, out: OpinionBatch, rest?: Rest): Promise<void> {
    const { rich, plain } = this.#parts
    this.#admitAll(batch)
    const [richPart, plainPart] = [this.#richPart, this.#plainPart]
    await restingSteps(this.#addingRich(batch, richPart), rest)
    out.length = batch.length
    if (richPart.length === 0) {
      if (this.#strongest.length < out.capacity) this.#strongest = new Uint8Array(out.capacity)
      this.#plainView = { ...out, strongest: this.#strongest }
      await plain.score(batch, this.#plainView, rest)
      await restingSteps(this.#naming(out), rest)
      return
    }
    this.#plainView = undefined
    await restingSteps(this.#addingPlain(batch), rest)
    richPart.sort(batch)
    await rich.score(richPart.batch, richPart.opinions, rest)
    await restingSteps(richPart.scattering(out, 0), rest)
    if (plainPart.length === 0) return
    if (plainPart.length + richPart.length > batch.length) this.#silence()
    await plain.score(plainPart.batch, plainPart.opinions, rest)
    await restingSteps(plainPart.scattering(out, this.#richDetectors), rest)
  }

  /** Who was to change tier does, and series that are new find theirs. */
  #admitAll(batch: FeatureBatch): void {
    const moves = this.#suspects.due()
    if (moves) this.#move(moves)
    this.#firstCome.admitAll(batch)
  }

  *#addingRich(batch: FeatureBatch, richPart: BatchPart): Generator<void> {
    const { rows } = this.#parts
    const { length, series } = batch
    richPart.begin(batch)
    for (let i = rows.next(series, 0, length); i < length; i = rows.next(series, i + 1, length)) {
      richPart.add(batch, i, rows.of(series[i]))
      if (richPart.length % STEP_ROWS === 0) yield
    }
  }

  /** What lies between rich rows is plain, and apprentices are too. */
  *#addingPlain(batch: FeatureBatch): Generator<void> {
    const plainPart = this.#plainPart
    const { places, length } = this.#richPart
    plainPart.begin(batch)
    let [from, rested] = [0, 0]
    for (let r = 0; r <= length; r++) {
      const at = r < length ? places[r] : batch.length
      if (r < length && this.#suspects.isApprentice(batch.series[at])) continue
      for (let to = from; to < at; from = to) {
        to = Math.min(at, from + STEP_ROWS)
        plainPart.addRun(batch, from, to)
        if (plainPart.length - rested < STEP_ROWS) continue
        rested = plainPart.length
        yield
      }
      from = at + 1
    }
  }

  /** Places of what spoke loudest among the plain ensemble's detectors → among all. */
  *#naming({ strongest, length }: OpinionBatch): Generator<void> {
    for (let from = 0; from < length; from += STEP_ROWS) {
      const to = Math.min(length, from + STEP_ROWS)
      for (let i = from; i < to; i++) strongest[i] = this.#strongest[i] + this.#richDetectors
      yield
    }
  }

  /** Who speaks of a series: a new rich one is learned by both, and heard from the plain tier until it has learned enough. */
  #isPlain(series: number): boolean {
    return this.#parts.rows.of(series) < 0 || this.#suspects.isApprentice(series)
  }

  /** What the rich ensemble says of apprentices opens nothing. */
  #silence(): void {
    const { batch, opinions } = this.#richPart
    for (let i = 0; i < batch.length; i++) {
      if (!this.#suspects.isApprentice(this.#parts.rows.seriesAt(batch.series[i]))) continue
      opinions.point[i] = Number.NaN
      opinions.incident[i] = Number.NaN
    }
  }

  judge(batch: FeatureBatch): AnomalyChange[] {
    return allSteps(this.judging(batch))
  }

  *judging(batch: FeatureBatch): Generator<void, AnomalyChange[]> {
    const { rich, plain } = this.#parts
    const found = yield* rich.judging(this.#richPart.batch, this.#richPart.opinions)
    const changes = found.map(({ event, anomaly }) => ({ event, anomaly: this.#global(anomaly) }))
    const rest = yield* this.#plainView
      ? plain.judging(batch, this.#plainView)
      : plain.judging(this.#plainPart.batch, this.#plainPart.opinions)
    for (const change of rest) changes.push(change)
    return changes
  }

  #global(anomaly: Anomaly): Anomaly {
    if (anomaly.series < 0) return anomaly
    return { ...anomaly, series: this.#parts.rows.seriesAt(anomaly.series) }
  }

  learn(batch: FeatureBatch, opinions: OpinionBatch, weight: Float32Array): void {
    allSteps(this.learning(batch, opinions, weight))
  }

  *learning(batch: FeatureBatch, _opinions: OpinionBatch, weight: Float32Array): Generator<void> {
    const { rich, plain } = this.#parts
    const [richPart, plainPart] = [this.#richPart, this.#plainPart]
    if (this.#plainView) {
      yield* plain.learning(batch, this.#plainView, weight)
      yield* this.#suspects.looking(batch, this.#plainView)
      return
    }
    yield* rich.learning(richPart.batch, richPart.opinions, richPart.gather(weight))
    if (plainPart.length > 0)
      yield* plain.learning(plainPart.batch, plainPart.opinions, plainPart.gather(weight))
    yield* this.#suspects.looking(plainPart.batch, plainPart.opinions)
  }

  /** Who changes tier is settled here and done before the next window; then each tier's own memory is given out anew. */
  review(windowEndMs: number, importance: () => ReadonlyMap<string, number>): void {
    const { rows, rich } = this.#parts
    const isOpen = new Set(rich.anomalies().map(anomaly => rows.seriesAt(anomaly.series)))
    this.#suspects.review(windowEndMs, rows.limit - rows.size, row => isOpen.has(row))
    rich.review(windowEndMs, importance)
  }

  #move({ up, down, graduates }: Moves): void {
    const { rows, rich, plain, onPlain } = this.#parts
    for (const series of graduates) rich.adopt(rows.of(series), plain, series)
    for (const series of down) {
      plain.adopt(series, rich, rows.of(series))
      rows.give(series)
      onPlain?.(series)
    }
    for (const series of up) rows.take(series)
  }

  anomalies(): readonly Anomaly[] {
    const { rich, plain } = this.#parts
    return [...rich.anomalies().map(anomaly => this.#global(anomaly)), ...plain.anomalies()]
  }

  letGo(): void {
    this.#parts.rich.letGo()
    this.#parts.plain.letGo()
  }

  pool(): Readonly<Record<string, number>> {
    return this.#parts.rich.pool()
  }

  alerting(): AlertingReport | undefined {
    const { rich, plain } = this.#parts
    return together(rich.alerting(), plain.alerting())
  }

  profileUse(): ProfileUse | undefined {
    const { rich, rows, series } = this.#parts
    const use = rich.profileUse()
    const [{ bytes }] = this.#parts.plain.detectors
    const plain = { profile: 'plain', series: series.size - rows.size, bytes }
    const { promotions, demotions } = this.#suspects
    return {
      profiles: [...(use?.profiles ?? []), plain],
      promotions: (use?.promotions ?? 0) + promotions,
      demotions: (use?.demotions ?? 0) + demotions,
    }
  }

  order(order: ModelOrder): Promise<string | undefined> {
    return this.#parts.rich.order(order)
  }

  models(): readonly ModelState[] {
    return this.#parts.rich.models()
  }

  reopen(): void {
    this.#parts.rich.reopen()
  }

  async close(): Promise<void> {
    await Promise.all([this.#parts.rich.close(), this.#parts.plain.close()])
  }

  forget(series: number): void {
    const { rows, rich, plain, onPlain } = this.#parts
    const row = rows.of(series)
    if (this.#isPlain(series)) plain.forget(series)
    if (row >= 0) {
      rich.forget(row)
      rows.give(series)
      onPlain?.(series)
    }
    this.#firstCome.forget(series)
    this.#suspects.forget(series)
  }

  snapshot(): Snapshot[] {
    const { rows, rich, plain } = this.#parts
    const keys = Array.from(this.#firstCome.waiting(), row => this.#parts.series.key(row))
    return [this.#own(keys), rows.snapshot(), ...rich.snapshot(), ...plain.snapshot().map(asPlain)]
  }

  cut(cut: Cut): CutSnapshot[] {
    const { series, rows, rich, plain } = this.#parts
    const own = { ...this.#own([]), rows: savedRows(this.#firstCome.waiting(), series) }
    return [own, rows.cut(), ...rich.cut(cut), ...plain.cut(cut).map(asPlain)]
  }

  /** Who is to change tier; its rows are those that have not been asked yet which is theirs. */
  #own(keys: readonly string[]): Snapshot {
    return { id: ID, version: VERSION, keys, columns: {}, meta: this.#suspects.saved() }
  }

  /** From a time without tiers: the series that came first are rich, as far as there is room; the others learn anew. */
  restore(parts: readonly Snapshot[]): void {
    const { rows, rich, plain } = this.#parts
    const own = parts.find(({ id }) => id === ID)
    const held = parts.find(({ id }) => id === rows.id)
    if (own && held) {
      rows.restore(held)
      this.#suspects.restore(own.meta, row => rows.of(row) >= 0, rows.limit - rows.size)
    }
    this.#firstCome.restore(own)
    rich.restore(parts)
    plain.restore(
      parts.filter(({ id }) => id.startsWith(PLAIN)).map(part => renamed(part, part.id.slice(PLAIN.length))),
    )
  }

  bytes(): number {
    const { rows, rich, plain } = this.#parts
    const parts = this.#richPart.bytes() + this.#plainPart.bytes() + this.#richWindow.bytes()
    return rows.bytes() + rich.bytes() + plain.bytes() + parts + this.#firstCome.bytes()
  }
}

/** Budgets are both tiers' own; of rules and calendar each tier counts its series. */
function together(
  rich: AlertingReport | undefined,
  plain: AlertingReport | undefined,
): AlertingReport | undefined {
  if (rich === undefined || plain === undefined) return rich ?? plain
  return {
    budgets: rich.budgets,
    rules: rich.rules.map((rule, i) => ({ ...rule, series: rule.series + plain.rules[i].series })),
    calendar: rich.calendar.map((entry, i) => ({
      ...entry,
      series: entry.series + plain.calendar[i].series,
      windows: entry.windows + plain.calendar[i].windows,
    })),
  }
}

function asPlain<S extends CutSnapshot>(part: S): S {
  return { ...part, id: `${PLAIN}${part.id}` }
}

/** The same part under another name; its keys are made only for whoever asks for them. */
function renamed(part: Snapshot, id: string): Snapshot {
  const { version, rows, columns, meta } = part
  return {
    id,
    version,
    ...(rows === undefined ? {} : { rows }),
    columns,
    meta,
    ...(part.isGiven ? { isGiven: true as const } : {}),
    get keys() {
      return part.keys
    },
  }
}
