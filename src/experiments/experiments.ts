import type { Clock } from '../core/clock.ts'
import { ForeshockError } from '../core/errors.ts'
import type {
  ExperimentEvent,
  ExperimentLabel,
  ExperimentPlan,
  ExperimentReport,
  ExperimentStore,
  SavedExperiment,
} from '../core/experiment.ts'
import { contentId } from '../core/identity.ts'
import type { ModelState, PairedScores } from '../core/model.ts'
import { Turns } from '../core/turns.ts'
import { type Conclusion, Experiment, type ExperimentSurroundings, type SettledPlan } from './experiment.ts'

/** Experiments at once, and finished ones kept. */
const RUNNING_MAX = 16
const FINISHED_MAX = 200
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

interface Running {
  readonly experiment: Experiment
  /** Looks in a row that found other versions at work. */
  strange: number
  savedMs: number
  triedMs: number
  tries: number
  problem: string
}

/**
 * All experiments: at most one a model. `observe` is told of every window that two versions scored; everything else
 * is done one thing after the other. Ends reach the models as orders do that people give.
 */
export class Experiments {
  readonly #ports: ExperimentPorts
  readonly #running = new Map<string, Running>()
  /** Newest last. */
  readonly #finished = new Map<string, ExperimentReport>()
  readonly #turns = new Turns()

  private constructor(ports: ExperimentPorts) {
    this.#ports = ports
  }

  /** Goes on with what was saved. */
  static async open(ports: ExperimentPorts): Promise<Experiments> {
    const all = new Experiments(ports)
    const saved = await ports.store.load()
    saved.sort((a, b) => (a.report.startedAt < b.report.startedAt ? -1 : 1))
    for (const one of saved) all.#resume(one)
    await all.#forgetOld()
    return all
  }

  observe(pair: PairedScores): void {
    for (const { experiment } of this.#running.values()) {
      if (!experiment.conclusion && !experiment.probation) experiment.observe(pair)
    }
  }

  /** Newest first. */
  list(): ExperimentReport[] {
    const running = [...this.#running.values()].map(one => one.experiment.report())
    return [...running, ...[...this.#finished.values()].reverse()]
  }

  one(id: string): ExperimentReport | undefined {
    return this.#running.get(id)?.experiment.report() ?? this.#finished.get(id)
  }

  /** Throws FS_INPUT_INVALID when the plan does not fit the models as they are. */
  start(plan: ExperimentPlan, by: string): Promise<ExperimentReport> {
    return this.#turns.take(() => this.#start(plan, by))
  }

  /** Ends an experiment at once: the challenger is withdrawn (rolled back in probation), or promoted. Throws FS_NOT_FOUND, FS_INPUT_INVALID. */
  stop(
    id: string,
    by: string,
    how: { readonly promote: boolean; readonly why?: string | undefined },
  ): Promise<ExperimentReport> {
    return this.#turns.take(async () => {
      const running = this.#known(id)
      const why = how.why ?? `stopped by ${by}`
      const { experiment } = running
      if (experiment.probation && !experiment.conclusion)
        experiment.conclusion = how.promote
          ? { status: 'promoted', why, order: null }
          : { status: 'rolledBack', why, order: 'rollback' }
      experiment.conclusion ??= how.promote
        ? { status: 'promoted', why, order: 'promote', isByHand: true }
        : { status: 'stopped', why, order: 'withdraw' }
      this.#ports.audit(by, 'experiment.stop', { id, ...how })
      await this.#save(running)
      await this.#conclude(running)
      if (running.problem !== '') throw new ForeshockError('FS_INPUT_INVALID', running.problem)
      return this.one(id) as ExperimentReport
    })
  }

  /** Takes verdicts; resolves when they are durable. `refused` names those that cannot count, and why. */
  label(
    id: string,
    labels: readonly ExperimentLabel[],
  ): Promise<{ readonly taken: number; readonly refused: readonly { index: number; reason: string }[] }> {
    return this.#turns.take(async () => {
      const running = this.#known(id)
      const refused: { index: number; reason: string }[] = []
      for (const [index, label] of labels.entries()) {
        const reason = running.experiment.label(label)
        if (reason !== undefined) refused.push({ index, reason })
      }
      const taken = labels.length - refused.length
      if (taken > 0) {
        running.experiment.judge()
        await this.#save(running)
        this.#ports.audit(labels[0].by, 'experiment.label', { id, labels: taken })
      }
      return { taken, refused }
    })
  }

  /** Someone's verdict on what happened: every experiment that runs may learn from it. */
  async verdict(label: ExperimentLabel): Promise<void> {
    for (const id of [...this.#running.keys()]) await this.label(id, [label]).catch(() => {})
  }

  /** Looks after everything that runs; to be called every second or so. */
  tick(): Promise<void> {
    return this.#turns.take(async () => {
      for (const running of [...this.#running.values()]) await this.#look(running)
    })
  }

  /** Saves what runs; it goes on at the next start. */
  close(): Promise<void> {
    return this.#turns.take(async () => {
      for (const running of this.#running.values()) await this.#save(running)
    })
  }

  async #start(plan: ExperimentPlan, by: string): Promise<ExperimentReport> {
    const settled = this.#settledPlan(plan)
    const startedMs = this.#ports.clock()
    const id = contentId('exp', plan.model, settled.champion, plan.challenger, startedMs)
    const experiment = new Experiment(id, settled, by, startedMs, this.#ports)
    const running = fresh(experiment, startedMs)
    const why = `experiment ${id} compares it with version ${settled.champion}`
    await this.#save(running)
    try {
      const { model, challenger: version, share } = settled
      const common = { model, version, by: `experiment:${id}`, why }
      await this.#ports.order(
        settled.mode === 'canary' ? { op: 'canary', share, ...common } : { op: 'shadow', ...common },
      )
    } catch (error) {
      await this.#ports.store.remove(id)
      throw error
    }
    this.#running.set(id, running)
    this.#ports.audit(by, 'experiment.start', { id, plan: settled })
    this.#tell(running, 'started', `version ${plan.challenger} as ${plan.mode} beside ${settled.champion}`)
    await this.#save(running)
    return experiment.report()
  }

  #settledPlan(plan: ExperimentPlan): SettledPlan {
    const other = [...this.#running.values()].find(one => one.experiment.plan.model === plan.model)
    if (other)
      throw invalid(`model: experiment ${other.experiment.id} of ${plan.model} is running; stop it first`)
    if (this.#running.size >= RUNNING_MAX) throw invalid(`at most ${RUNNING_MAX} experiments run at once`)
    const state = this.#ports.models().find(one => one.model === plan.model)
    if (!state?.champion)
      throw invalid(`model: ${plan.model} has no champion to compare with; promote a version first`)
    const champion = state.champion.version
    if (plan.champion !== undefined && plan.champion !== champion)
      throw invalid(`champion: version ${champion} is, not ${plan.champion}`)
    if (plan.challenger === champion) throw invalid(`challenger: version ${champion} is the champion`)
    if (state.challenger && state.challenger.version !== plan.challenger)
      throw invalid(`challenger: version ${state.challenger.version} is one already; withdraw it first`)
    return { ...plan, champion }
  }

  async #look(running: Running): Promise<void> {
    const { experiment } = running
    const nowMs = this.#ports.clock()
    if (experiment.conclusion === undefined) {
      const conclusion = experiment.probation ? this.#watch(running, nowMs) : this.#verdictOf(running, nowMs)
      if (conclusion) {
        experiment.conclusion = conclusion
        await this.#save(running)
      } else if (nowMs - running.savedMs >= SAVE_MS) await this.#save(running)
    }
    if (experiment.conclusion !== undefined && nowMs - running.triedMs >= RETRY_MS)
      await this.#conclude(running)
  }

  #verdictOf(running: Running, nowMs: number): Conclusion | undefined {
    const { experiment } = running
    experiment.judge()
    const { model, champion, challenger } = experiment.plan
    const state = this.#ports.models().find(one => one.model === model)
    const isOurs = state?.champion?.version === champion && state.challenger?.version === challenger
    running.strange = isOurs ? 0 : running.strange + 1
    if (running.strange >= STRANGE_LOOKS) {
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
      this.#tell(running, 'decided', verdict.why)
      return undefined
    }
    return verdict
  }

  /** Looks at a challenger that was promoted: it must go on as it did. */
  #watch(running: Running, nowMs: number): Conclusion | undefined {
    const { experiment } = running
    const state = this.#ports.models().find(one => one.model === experiment.plan.model)
    const isOurs = state?.champion?.version === experiment.plan.challenger
    running.strange = isOurs ? 0 : running.strange + 1
    if (state?.champion && isOurs) return experiment.watch(nowMs, state.champion)
    if (running.strange < STRANGE_LOOKS) return undefined
    return {
      status: 'promoted',
      why: `${experiment.probation?.why}; others have changed the model since`,
      order: null,
    }
  }

  /** Has the models follow the conclusion. What fails is tried again. */
  async #conclude(running: Running): Promise<void> {
    const { experiment } = running
    const conclusion = experiment.conclusion as Conclusion
    running.triedMs = this.#ports.clock()
    running.tries++
    try {
      await this.#orderEnd(experiment, conclusion)
      running.problem = ''
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      if (problem !== running.problem) this.#tell(running, 'problem', `the order failed: ${problem}`)
      running.problem = problem
      if (running.tries < TRIES_MAX) return
      experiment.conclusion = { status: 'stopped', why: `${conclusion.why}; but ${problem}`, order: null }
    }
    if (conclusion.order === 'promote' && running.problem === '' && this.#isWatched(experiment))
      return this.#beginProbation(running, conclusion.why)
    await this.#finish(running)
  }

  /** Who promotes by hand has looked. */
  #isWatched({ plan, conclusion }: Experiment): boolean {
    return plan.probationSeconds > 0 && conclusion?.isByHand !== true
  }

  async #beginProbation(running: Running, why: string): Promise<void> {
    const { experiment } = running
    const { model } = experiment.plan
    const use = this.#ports.models().find(one => one.model === model)?.champion
    experiment.conclusion = undefined
    experiment.probation = {
      sinceMs: this.#ports.clock(),
      why,
      rows: use?.rows ?? 0,
      failed: use?.failed ?? 0,
    }
    running.triedMs = -Infinity
    running.tries = 0
    this.#tell(running, 'promoted', why)
    await this.#save(running)
  }

  async #orderEnd(experiment: Experiment, { order, why }: Conclusion): Promise<void> {
    const { model, challenger: version } = experiment.plan
    const state = this.#ports.models().find(one => one.model === model)
    const by = `experiment:${experiment.id}`
    // After a crash between order and note the order is in effect already.
    if (order === 'promote' && state?.champion?.version !== version)
      await this.#ports.order({ op: 'promote', model, version, by, why })
    if (order === 'rollback' && state?.champion?.version === version)
      await this.#ports.order({ op: 'rollback', model, by, why })
    if (order === 'withdraw' && state?.challenger?.version === version)
      await this.#ports.order({ op: 'withdraw', model, by, why })
  }

  async #finish(running: Running): Promise<void> {
    const { experiment } = running
    const { status, why } = experiment.conclusion as Conclusion
    const nowMs = this.#ports.clock()
    // That it was promoted was told when it was.
    if (!(experiment.probation && status === 'promoted')) this.#tell(running, status, why)
    const report = experiment.report(nowMs)
    await this.#ports.store.save({ version: 1, report })
    this.#running.delete(experiment.id)
    this.#finished.set(experiment.id, report)
    this.#ports.audit(`experiment:${experiment.id}`, `experiment.${status}`, {
      model: experiment.plan.model,
      why,
      verdict: report.verdict,
    })
    await this.#forgetOld()
  }

  async #forgetOld(): Promise<void> {
    while (this.#finished.size > FINISHED_MAX) {
      const [oldest] = this.#finished.keys()
      this.#finished.delete(oldest)
      await this.#ports.store.remove(oldest)
    }
  }

  #resume(saved: SavedExperiment): void {
    const { report } = saved
    if (saved.running === undefined) {
      this.#finished.set(report.id, report)
      return
    }
    const startedMs = Date.parse(report.startedAt)
    try {
      const experiment = new Experiment(report.id, report.plan, report.by, startedMs, this.#ports, saved)
      this.#running.set(report.id, fresh(experiment, this.#ports.clock()))
    } catch (error) {
      const reason = `what it had seen cannot be read: ${(error as Error).message}`
      this.#finished.set(report.id, { ...report, status: 'stopped', reason })
    }
  }

  #known(id: string): Running {
    const running = this.#running.get(id)
    if (running) return running
    const finished = this.#finished.get(id)
    if (finished) throw invalid(`experiment ${id} is over: ${finished.reason}`)
    throw new ForeshockError('FS_NOT_FOUND', `there is no experiment ${id}`)
  }

  async #save(running: Running): Promise<void> {
    const nowMs = this.#ports.clock()
    await this.#ports.store.save(running.experiment.save())
    running.savedMs = nowMs
  }

  #tell({ experiment }: Running, what: ExperimentEvent['what'], why: string): void {
    const event = experiment.tell(this.#ports.clock(), what, why)
    this.#ports.tell(experiment.id, experiment.plan.model, event)
  }
}

function fresh(experiment: Experiment, nowMs: number): Running {
  return { experiment, strange: 0, savedMs: nowMs, triedMs: -Infinity, tries: 0, problem: '' }
}

function invalid(text: string): ForeshockError {
  return new ForeshockError('FS_INPUT_INVALID', text)
}
