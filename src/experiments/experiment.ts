import type {
  ExperimentEvent,
  ExperimentLabel,
  ExperimentPlan,
  ExperimentReport,
  SavedExperiment,
} from '../core/experiment.ts'
import type { ModelUse, PairedScores } from '../core/model.ts'
import type { SeriesTable } from '../core/series.ts'
import { Evidence, type SavedEvidence } from './evidence.ts'
import { brokenWhy, isFailing, judgeGuardrails } from './guardrails.ts'
import { reportOf } from './report.ts'

/** Events kept of one experiment. */
const EVENTS_MAX = 50
const MEGABYTE = 1_048_576

/** A plan whose champion is known. */
export type SettledPlan = ExperimentPlan & { readonly champion: number }

/** What is to become of an experiment, and why. */
export interface Conclusion {
  readonly status: 'promoted' | 'rolledBack' | 'withdrawn' | 'stopped'
  readonly why: string
  /** What the models are ordered to do then; null when others have seen to it. */
  readonly order: 'promote' | 'rollback' | 'withdraw' | null
  readonly isByHand?: true
}

/** Since when the challenger is champion and watched, and what it had done before. */
export interface Probation {
  readonly sinceMs: number
  readonly why: string
  readonly rows: number
  readonly failed: number
}

interface SavedRunning {
  readonly isDecided: boolean
  readonly conclusion: Conclusion | null
  readonly probation: Probation | null
  readonly evidence: SavedEvidence
}

export interface ExperimentSurroundings {
  readonly table: SeriesTable
  readonly openSurprise: number
  /** Resident memory of this process, bytes. */
  readonly memoryBytes: () => number
}

/** One experiment while it runs. */
export class Experiment {
  readonly id: string
  readonly plan: SettledPlan
  readonly by: string
  readonly startedMs: number
  readonly events: ExperimentEvent[]
  /** Set once it is to end; it ends when its order is in effect. */
  conclusion: Conclusion | undefined
  /** Set while it was promoted and is watched. */
  probation: Probation | undefined
  readonly #evidence: Evidence
  readonly #memoryBytes: () => number
  readonly #memoryAtStart: number
  #isDecided: boolean

  constructor(
    id: string,
    plan: SettledPlan,
    by: string,
    startedMs: number,
    around: ExperimentSurroundings,
    from?: SavedExperiment,
  ) {
    this.id = id
    this.plan = plan
    this.by = by
    this.startedMs = startedMs
    const running = from?.running as SavedRunning | undefined
    this.events = [...(from?.report.events ?? [])]
    this.#isDecided = running?.isDecided ?? false
    this.conclusion = running?.conclusion ?? undefined
    this.probation = running?.probation ?? undefined
    this.#evidence = new Evidence(plan, around.table, around.openSurprise, running?.evidence)
    this.#memoryBytes = around.memoryBytes
    this.#memoryAtStart = around.memoryBytes()
  }

  get endsMs(): number {
    return this.startedMs + this.plan.maxDurationSeconds * 1000
  }

  /** Windows of these two versions count; those of others are not its business. */
  observe(pair: PairedScores): void {
    const { model, champion, challenger } = this.plan
    if (pair.model !== model || pair.champion !== champion || pair.challenger !== challenger) return
    this.#evidence.observe(pair)
  }

  label(label: ExperimentLabel): string | undefined {
    return this.#evidence.label(label)
  }

  tell(nowMs: number, what: ExperimentEvent['what'], why: string): ExperimentEvent {
    const event = { time: iso(nowMs), what, why }
    this.events.push(event)
    if (this.events.length > EVENTS_MAX) this.events.shift()
    return event
  }

  /** Judges what labels allow. */
  judge(): void {
    this.#evidence.judge()
  }

  /**
   * What follows from the evidence: the experiment's end, a decision that is only told (once), or nothing. Guardrails
   * come before verdicts: harm ends it however good the challenger is.
   */
  verdict(nowMs: number): Conclusion | { readonly status: 'decided'; readonly why: string } | undefined {
    const { statistics, units } = this.#evidence
    const broken = this.#guardrails().find(one => one.isBroken)
    if (broken) return { status: 'withdrawn', why: brokenWhy(broken, statistics), order: 'withdraw' }
    const side = units.bets.side
    const enough = statistics.whole.windows >= this.plan.minWindows
    if (side === 'below')
      return {
        status: 'withdrawn',
        why: `the champion is better: ${this.#inWords('champion')}`,
        order: 'withdraw',
      }
    if (side === 'above' && enough && this.plan.autoPromote)
      return {
        status: 'promoted',
        why: `the challenger is better: ${this.#inWords('challenger')}`,
        order: 'promote',
      }
    if (nowMs >= this.endsMs) {
      const why =
        side === 'above'
          ? `its time is over; the challenger is better and waits for someone to promote it: ${this.#inWords('challenger')}`
          : `its time is over and neither is shown to be better: ${this.#inWords('neither')}`
      return { status: 'withdrawn', why, order: 'withdraw' }
    }
    if (side === 'above' && enough && !this.#isDecided) {
      this.#isDecided = true
      return { status: 'decided', why: `the challenger is better: ${this.#inWords('challenger')}` }
    }
    return undefined
  }

  /** What a promoted challenger's doings lead to: its end as champion, or as one rolled back; undefined meanwhile. */
  watch(nowMs: number, use: ModelUse): Conclusion | undefined {
    const { sinceMs, why, rows, failed } = this.probation as Probation
    // Counts begin anew with the service.
    const [rowsBefore, failedBefore] = use.rows < rows ? [0, 0] : [rows, failed]
    const { plan } = this
    const back = (reason: string): Conclusion => ({ status: 'rolledBack', why: reason, order: 'rollback' })
    if (use.problem !== undefined) return back(`promoted, it failed: ${use.problem}`)
    const lost = use.failed - failedBefore
    const offered = use.rows - rowsBefore + lost
    if (isFailing(plan.guardrails, lost, offered))
      return back(`promoted, it failed: ${lost} of ${offered} rows without an answer`)
    const memory = this.#guardrails().find(one => one.name === 'memoryMegabytes' && one.isBroken)
    if (memory) return back(brokenWhy(memory, this.#evidence.statistics))
    if (nowMs - sinceMs < plan.probationSeconds * 1000) return undefined
    return { status: 'promoted', why, order: null }
  }

  report(endedMs?: number): ExperimentReport {
    const under = this.probation ? 'probation' : 'running'
    const status = this.conclusion ? (endedMs === undefined ? 'ending' : this.conclusion.status) : under
    const growth = this.#memoryBytes() - this.#memoryAtStart
    return {
      id: this.id,
      plan: this.plan,
      status,
      reason: this.conclusion?.why ?? this.probation?.why ?? null,
      by: this.by,
      startedAt: iso(this.startedMs),
      endsAt: iso(this.endsMs),
      endedAt: endedMs === undefined ? null : iso(endedMs),
      ...reportOf(this.#evidence),
      memoryMegabytes: { now: this.#memoryBytes() / MEGABYTE, growth: growth / MEGABYTE },
      guardrails: this.#guardrails(),
      events: [...this.events],
    }
  }

  save(): SavedExperiment {
    const running: SavedRunning = {
      isDecided: this.#isDecided,
      conclusion: this.conclusion ?? null,
      probation: this.probation ?? null,
      evidence: this.#evidence.save(),
    }
    return { version: 1, report: this.report(), running }
  }

  #guardrails(): ExperimentReport['guardrails'] {
    const growth = (this.#memoryBytes() - this.#memoryAtStart) / MEGABYTE
    const { statistics, maxima } = this.#evidence
    return judgeGuardrails(this.plan.guardrails, statistics, maxima.budget, growth)
  }

  #inWords(better: 'champion' | 'challenger' | 'neither'): string {
    const { bets, anomalous, normal } = this.#evidence.units
    const { above, below } = bets.evidence
    const value = better === 'champion' ? below : above
    return (
      `of ${anomalous.units} anomalous intervals the challenger found ${anomalous.challenger} and the champion ${anomalous.champion}, ` +
      `of ${normal.units} units of normal time they alerted in ${normal.challenger} and ${normal.champion}` +
      (better === 'neither'
        ? ''
        : ` (e-value ${value.toPrecision(3)}, asked for ${(2 / this.plan.alpha).toPrecision(3)})`)
    )
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
