import type { Clock } from '../core/clock.ts'
import type { ExperimentEvent, ExperimentReport, ExperimentStore } from '../core/experiment.ts'
import type { ModelState } from '../core/model.ts'
import type { Conclusion, Experiment, ExperimentSurroundings } from './experiment.ts'

/** Evidence is saved this often, ms: so much of it a crash may cost. */
const SAVE_MS = 60_000
/** Looks at the models that must show others before an experiment gives up: orders take a moment. */
const STRANGE_LOOKS = 3
/** An order that cannot be carried out is tried again after this, ms, so often. */
const RETRY_MS = 10_000
const TRIES_MAX = 30

/** What an experiment asks of the registry, which knows digests. */
export type ExperimentOrder = { readonly model: string; readonly by: string; readonly why: string } & (
  | { readonly op: 'shadow' | 'promote'; readonly version: number }
  | { readonly op: 'canary'; readonly version: number; readonly share: number }
  | { readonly op: 'withdraw' | 'rollback' }
)

export interface ExperimentPorts extends ExperimentSurroundings {
  readonly store: ExperimentStore
  readonly clock: Clock
  /** How the models stand that score now. */
  readonly models: () => readonly ModelState[]
  /** Resolves when the order is in effect; rejects when it cannot be. */
  readonly order: (order: ExperimentOrder) => Promise<void>
  readonly audit: (who: string, action: string, detail: unknown) => void
  /** Told of everything that happens to an experiment. */
  readonly tell: (id: string, model: string, event: ExperimentEvent) => void
}

/**
 * The course of one experiment: looked at now and then until there is a conclusion, which the models are then made to follow; a
 * challenger that was promoted is watched before that is the end. Calls come one after the other.
 */
export class ExperimentCourse {
  readonly experiment: Experiment
  /** Why the models do not follow yet; empty while nothing is wrong. */
  problem = ''
  readonly #ports: ExperimentPorts
  /** Looks in a row that found other versions at work. */
  #strange = 0
  #savedMs: number
  #triedMs = Number.NEGATIVE_INFINITY
  #tries = 0

  constructor(experiment: Experiment, ports: ExperimentPorts, nowMs: number) {
    this.experiment = experiment
    this.#ports = ports
    this.#savedMs = nowMs
  }

  /** Returns the report once it is over, here as in `conclude`. */
  async look(): Promise<ExperimentReport | undefined> {
    const { experiment } = this
    const nowMs = this.#ports.clock()
    if (experiment.conclusion === undefined) {
      const conclusion = experiment.probation ? this.#watch(nowMs) : this.#verdict(nowMs)
      if (conclusion) {
        experiment.conclusion = conclusion
        await this.save()
      } else if (nowMs - this.#savedMs >= SAVE_MS) await this.save()
    }
    const { conclusion } = experiment
    return conclusion && nowMs - this.#triedMs >= RETRY_MS ? this.conclude(conclusion) : undefined
  }

  get #state(): ModelState | undefined {
    return this.#ports.models().find(one => one.model === this.experiment.plan.model)
  }

  #verdict(nowMs: number): Conclusion | undefined {
    const { experiment } = this
    experiment.judge()
    const { champion, challenger } = experiment.plan
    const state = this.#state
    const isOurs = state?.champion?.version === champion && state.challenger?.version === challenger
    this.#strange = isOurs ? 0 : this.#strange + 1
    if (this.#strange >= STRANGE_LOOKS) {
      const now = `champion ${state?.champion?.version ?? 'none'}, challenger ${state?.challenger?.version ?? 'none'}`
      return { status: 'stopped', why: `others have changed the model meanwhile: ${now}`, order: null }
    }
    if (isOurs && state?.challenger?.problem !== undefined)
      return {
        status: 'withdrawn',
        why: `the challenger fails: ${state.challenger.problem}`,
        order: 'withdraw',
      }
    const verdict = experiment.verdict(nowMs)
    if (verdict?.status === 'decided') {
      this.tell('decided', verdict.why)
      return undefined
    }
    return verdict
  }

  /** Looks at a challenger that was promoted: it must go on as it did. */
  #watch(nowMs: number): Conclusion | undefined {
    const { experiment } = this
    const state = this.#state
    const isOurs = state?.champion?.version === experiment.plan.challenger
    this.#strange = isOurs ? 0 : this.#strange + 1
    if (state?.champion && isOurs) return experiment.watch(nowMs, state.champion)
    if (this.#strange < STRANGE_LOOKS) return undefined
    return {
      status: 'promoted',
      why: `${experiment.probation?.why}; others have changed the model since`,
      order: null,
    }
  }

  /** Has the models follow the conclusion. What fails is tried again. */
  async conclude(conclusion: Conclusion): Promise<ExperimentReport | undefined> {
    const { experiment } = this
    this.#triedMs = this.#ports.clock()
    this.#tries++
    try {
      await this.#orderEnd(conclusion)
      this.problem = ''
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      if (problem !== this.problem) this.tell('problem', `the order failed: ${problem}`)
      this.problem = problem
      if (this.#tries < TRIES_MAX) return undefined
      const failed = { status: 'stopped', why: `${conclusion.why}; but ${problem}`, order: null } as const
      experiment.conclusion = failed
      return this.#finish(failed)
    }
    if (conclusion.order !== 'promote' || !this.#isWatched(conclusion)) return this.#finish(conclusion)
    await this.#beginProbation(conclusion.why)
    return undefined
  }

  /** Who promotes by hand has looked. */
  #isWatched({ isByHand }: Conclusion): boolean {
    return this.experiment.plan.probationSeconds > 0 && isByHand !== true
  }

  async #beginProbation(why: string): Promise<void> {
    const use = this.#state?.champion
    this.experiment.conclusion = undefined
    this.experiment.probation = {
      sinceMs: this.#ports.clock(),
      why,
      rows: use?.rows ?? 0,
      failed: use?.failed ?? 0,
    }
    this.#triedMs = Number.NEGATIVE_INFINITY
    this.#tries = 0
    this.tell('promoted', why)
    await this.save()
  }

  async #orderEnd({ order, why }: Conclusion): Promise<void> {
    const { id, plan } = this.experiment
    const { model, challenger: version } = plan
    const state = this.#state
    const by = `experiment:${id}`
    // After a crash between order and note the order is in effect already.
    if (order === 'promote' && state?.champion?.version !== version)
      await this.#ports.order({ op: 'promote', model, version, by, why })
    if (order === 'rollback' && state?.champion?.version === version)
      await this.#ports.order({ op: 'rollback', model, by, why })
    if (order === 'withdraw' && state?.challenger?.version === version)
      await this.#ports.order({ op: 'withdraw', model, by, why })
  }

  async #finish({ status, why }: Conclusion): Promise<ExperimentReport> {
    const { experiment } = this
    const nowMs = this.#ports.clock()
    // That it was promoted was told when it was.
    if (!(experiment.probation && status === 'promoted')) this.tell(status, why)
    const report = experiment.report(nowMs)
    await this.#ports.store.save({ version: 1, report })
    this.#ports.audit(`experiment:${experiment.id}`, `experiment.${status}`, {
      model: experiment.plan.model,
      why,
      verdict: report.verdict,
    })
    return report
  }

  async save(): Promise<void> {
    const nowMs = this.#ports.clock()
    await this.#ports.store.save(this.experiment.save())
    this.#savedMs = nowMs
  }

  tell(what: ExperimentEvent['what'], why: string): void {
    const event = this.experiment.tell(this.#ports.clock(), what, why)
    this.#ports.tell(this.experiment.id, this.experiment.plan.model, event)
  }
}
