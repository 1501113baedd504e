import { ForeshockError } from '../core/errors.ts'
import type {
  ExperimentLabel,
  ExperimentPlan,
  ExperimentReport,
  SavedExperiment,
} from '../core/experiment.ts'
import { contentId } from '../core/identity.ts'
import type { PairedScores } from '../core/model.ts'
import { Turns } from '../core/turns.ts'
import { type Conclusion, Experiment, type SettledPlan } from './experiment.ts'
import { ExperimentCourse, type ExperimentPorts } from './experiment-course.ts'

/** Experiments at once, and finished ones kept. */
const RUNNING_MAX = 16
const FINISHED_MAX = 200

/**
 * All experiments: at most one a model. `observe` is told of every window that two versions scored; everything else
 * is done one thing after the other. Ends reach the models as orders do that people give.
 */
export class Experiments {
  readonly #ports: ExperimentPorts
  readonly #running = new Map<string, ExperimentCourse>()
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

  /** Those that run, then the others, newest first. */
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
      const order = experiment.conclusion?.order ?? null
      // What was concluded and is not carried out yet stands only where it comes to the same.
      if (experiment.conclusion === undefined || (order !== null && (order === 'promote') !== how.promote))
        experiment.conclusion = byHand(how.promote, experiment.probation !== undefined, why)
      this.#ports.audit(by, 'experiment.stop', { id, ...how })
      await running.save()
      await this.#settle(running, await running.conclude(experiment.conclusion))
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
        await running.save()
        this.#ports.audit(labels[0].by, 'experiment.label', { id, labels: taken })
      }
      return { taken, refused }
    })
  }

  /** Looks after everything that runs; to be called every second or so. */
  tick(): Promise<void> {
    return this.#turns.take(async () => {
      for (const running of [...this.#running.values()]) await this.#settle(running, await running.look())
    })
  }

  /** Saves what runs; it goes on at the next start. */
  close(): Promise<void> {
    return this.#turns.take(async () => {
      for (const running of this.#running.values()) await running.save()
    })
  }

  async #start(plan: ExperimentPlan, by: string): Promise<ExperimentReport> {
    const settled = this.#settledPlan(plan)
    const startedMs = this.#ports.clock()
    const id = contentId('exp', plan.model, settled.champion, plan.challenger, startedMs)
    const experiment = new Experiment(id, settled, by, startedMs, this.#ports)
    const running = new ExperimentCourse(experiment, this.#ports, startedMs)
    const why = `experiment ${id} compares it with version ${settled.champion}`
    await running.save()
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
    running.tell('started', `version ${plan.challenger} as ${plan.mode} beside ${settled.champion}`)
    await running.save()
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

  /** It is one that runs no more, once there is a last report of it. */
  async #settle({ experiment }: ExperimentCourse, last: ExperimentReport | undefined): Promise<void> {
    if (last === undefined) return
    this.#running.delete(experiment.id)
    this.#finished.set(experiment.id, last)
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
      this.#running.set(report.id, new ExperimentCourse(experiment, this.#ports, this.#ports.clock()))
    } catch (error) {
      const reason = `what it had seen cannot be read: ${(error as Error).message}`
      this.#finished.set(report.id, { ...report, status: 'stopped', reason })
    }
  }

  #known(id: string): ExperimentCourse {
    const running = this.#running.get(id)
    if (running) return running
    const finished = this.#finished.get(id)
    if (finished) throw invalid(`experiment ${id} is over: ${finished.reason}`)
    throw new ForeshockError('FS_NOT_FOUND', `there is no experiment ${id}`)
  }
}

/** What someone wants of an experiment that runs, or of a challenger that was promoted and is watched. */
function byHand(promote: boolean, isWatched: boolean, why: string): Conclusion {
  if (isWatched)
    return promote
      ? { status: 'promoted', why, order: null }
      : { status: 'rolledBack', why, order: 'rollback' }
  return promote
    ? { status: 'promoted', why, order: 'promote', isByHand: true }
    : { status: 'stopped', why, order: 'withdraw' }
}

function invalid(text: string): ForeshockError {
  return new ForeshockError('FS_INPUT_INVALID', text)
}
