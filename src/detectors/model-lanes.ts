import type { DetectorContext } from '../core/detector.ts'
import { ForeshockError } from '../core/errors.ts'
import type { SeriesHistory } from '../core/history.ts'
import type { ModelOrder, ModelVersion } from '../core/model.ts'
import type { ModelCard } from './model-card.ts'
import { ModelLane } from './model-lane.ts'
import { planOf } from './model-plan.ts'
import type { ModelSession } from './model-runtime.ts'
import { ScoringVersion } from './model-version.ts'

/** Models that score at once at most. */
const LANES_MAX = 8
/** A version that could not be opened is tried again after so many windows, then twice as many, at most so many. */
const REOPEN_WINDOWS = 4
const REOPEN_WINDOWS_MAX = 512

export interface ModelLanesOptions {
  /** Series that one model looks at, at most. */
  readonly size: number
  /** What all rows of one window may take, ms; then they have no opinion of the model. */
  readonly timeoutMs: number
  /**
   * Opens the package of a version, which may have been made ready before. Throws FS_MODEL_INVALID or FS_MODEL_RUNTIME
   * when it cannot, or is not of this digest.
   */
  readonly openModel: (model: string, version: number, digest: string) => Promise<ModelSession>
  /**
   * Card of a version that takes its part also when it cannot be opened yet, and scores from when it can: where the log
   * decides, who has which part must not depend on what this machine can reach. Without one such an order is refused.
   */
  readonly cardOf?: (model: string, version: number, digest: string) => ModelCard | undefined
  /** What was seen of series before a model looked at them. */
  readonly history?: SeriesHistory
  /** For what calls take, ms. */
  readonly clock?: () => number
}

/** A version that an order brings, opened. */
interface Ready {
  readonly lane: ModelLane
  readonly version: ScoringVersion
}

/**
 * The lanes of the models that score, and the orders that change who has which part in them. Packages are opened away from
 * here; a version that cannot be opened has its part and is tried again, beside the windows.
 */
export class ModelLanes {
  readonly #context: DetectorContext
  readonly #options: ModelLanesOptions
  #all: ModelLane[] = []

  constructor(context: DetectorContext, options: ModelLanesOptions) {
    this.#context = context
    this.#options = options
  }

  get all(): readonly ModelLane[] {
    return this.#all
  }

  /** Puts restored lanes in place of those that there are. */
  replace(lanes: ModelLane[]): void {
    this.close()
    this.#all = lanes
  }

  close(): void {
    for (const lane of this.#all) lane.close()
  }

  /** Puts a version in place as champion of a model that has none, to be opened when it is needed. Throws FS_MODEL_INVALID. */
  seat(card: ModelCard): void {
    const plan = planOf(card)
    if (typeof plan === 'string') throw new ForeshockError('FS_MODEL_INVALID', plan)
    const lane = this.newLane(card.id)
    const named = { model: card.id, version: card.version, digest: card.digest }
    lane.champion = new ScoringVersion(plan, named, this.#options.size, lane.shared)
    lane.adjust()
    this.#all.push(lane)
  }

  /**
   * Carries out an order; the reason when it cannot, and then all is as it was. A version that comes cold is fed what is
   * held of the past; sessions that are not needed any more end by themselves.
   */
  async order(order: ModelOrder): Promise<string | undefined> {
    try {
      if (order.op === 'promote') return await this.#promote(order)
      if (order.op === 'shadow') return await this.#challenge(order, 'shadow', 0)
      if (order.op === 'canary') return await this.#challenge(order, 'canary', order.share)
      if (order.op === 'withdraw') return this.#withdraw(order.model)
      if (order.op === 'rollback') return await this.#rollback(order.model)
      return this.#retire(order.model)
    } catch (error) {
      if (error instanceof ForeshockError) return `${error.code}: ${error.message}`
      return error instanceof Error ? error.message : String(error)
    }
  }

  #lane(model: string): ModelLane | undefined {
    return this.#all.find(({ id }) => id === model)
  }

  newLane = (model: string): ModelLane =>
    new ModelLane(model, this.#context, {
      size: this.#options.size,
      timeoutMs: this.#options.timeoutMs,
      clock: this.#options.clock ?? (() => performance.now()),
      history: this.#options.history,
    })

  /** The version an order names: one that is there already, or a new one that was fed the past. Throws a reason. */
  async #ready(model: string, number: number, digest: string): Promise<Ready> {
    const known = this.#lane(model)
    const held = known?.versions.find(({ named }) => named.version === number)
    if (held && held.named.digest !== digest)
      throw new ForeshockError(
        'FS_MODEL_INVALID',
        `${model}@${number} runs as ${held.named.digest}, not ${digest}`,
      )
    if (known && held) {
      await this.#reawaken(held)
      return { lane: known, version: held }
    }
    if (!known && this.#all.length >= LANES_MAX)
      throw new ForeshockError('FS_MODEL_INVALID', `${LANES_MAX} models score already; retire one`)
    const named = { model, version: number, digest }
    const lane = known ?? this.newLane(model)
    let session: ModelSession
    try {
      session = await this.#options.openModel(model, number, digest)
    } catch (error) {
      const card = this.#options.cardOf?.(model, number, digest)
      if (card === undefined) throw error
      const ready = await this.#seat(lane, named, card)
      closedFor(ready.version, error)
      return ready
    }
    try {
      return await this.#seat(lane, named, session.card, session)
    } catch (error) {
      await session.close()
      throw error
    }
  }

  /** Opens a version that has a part and is not open, or lets it wait where it may. */
  async #reawaken(version: ScoringVersion): Promise<void> {
    const { model, version: number, digest } = version.named
    try {
      const session = version.session ?? (await this.#options.openModel(model, number, digest))
      // It may have been opened beside the windows meanwhile.
      if (version.session === undefined) version.session = session
      else if (version.session !== session) await session.close()
      version.problem = undefined
      version.reopens = undefined
    } catch (error) {
      if (this.#options.cardOf?.(model, number, digest) === undefined) throw error
      closedFor(version, error)
    }
  }

  async #seat(
    lane: ModelLane,
    named: ScoringVersion['named'],
    card: ModelCard,
    session?: ModelSession,
  ): Promise<Ready> {
    const plan = planOf(card)
    if (typeof plan === 'string') throw new ForeshockError('FS_MODEL_INVALID', plan)
    const other = lane.versions.find(one => one.plan.of !== plan.of)
    if (other)
      throw new ForeshockError(
        'FS_MODEL_INVALID',
        `${plan.name} looks at ${plan.of}, ${other.plan.name} at ${other.plan.of}: give it another id, or retire the model first`,
      )
    const version = new ScoringVersion(plan, named, this.#options.size, lane.shared)
    version.session = session
    lane.adjust(version)
    if (!this.#all.includes(lane)) lane.adopt()
    if (session) await lane.feed(version)
    return { lane, version }
  }

  async #promote({ model, version: number, digest }: ModelVersion): Promise<undefined> {
    const { lane, version } = await this.#ready(model, number, digest)
    if (!this.#all.includes(lane)) this.#all.push(lane)
    if (lane.champion !== version) {
      lane.previous = lane.champion
      lane.previous?.close()
      lane.champion = version
    }
    if (lane.challenger?.version === version) lane.challenger = undefined
    lane.adjust()
    return undefined
  }

  async #challenge(
    { model, version: number, digest }: ModelVersion,
    mode: 'shadow' | 'canary',
    share: number,
  ): Promise<string | undefined> {
    if (this.#lane(model)?.champion?.named.version === number) return `${model}@${number} is the champion`
    const { lane, version } = await this.#ready(model, number, digest)
    if (!this.#all.includes(lane)) this.#all.push(lane)
    if (lane.challenger && lane.challenger.version !== version) lane.challenger.version.close()
    lane.challenger = { version, mode, share }
    lane.adjust()
    return undefined
  }

  #withdraw(model: string): string | undefined {
    const lane = this.#lane(model)
    if (!lane?.challenger) return `${model} has no challenger`
    lane.challenger.version.close()
    lane.challenger = undefined
    this.#tidy(lane)
    return undefined
  }

  async #rollback(model: string): Promise<string | undefined> {
    const lane = this.#lane(model)
    if (!lane?.champion) return `${model} has no champion`
    const { previous } = lane
    if (previous) await this.#reawaken(previous)
    lane.champion.close()
    if (lane.challenger?.version === previous) lane.challenger = undefined
    lane.champion = previous
    lane.previous = undefined
    this.#tidy(lane)
    return undefined
  }

  #retire(model: string): string | undefined {
    const lane = this.#lane(model)
    if (!lane) return `${model} does not score`
    lane.close()
    this.#all = this.#all.filter(one => one !== lane)
    return undefined
  }

  /** A lane in which nothing scores any more goes. */
  #tidy(lane: ModelLane): void {
    if (lane.champion || lane.challenger) lane.adjust()
    else this.#retire(lane.id)
  }

  /** Opens what is to score and was restored, when it is needed first. What cannot be opened stays silent until another order comes. */
  async openAll(lane: ModelLane): Promise<void> {
    for (const version of lane.scoring) {
      if (version.session !== undefined) continue
      try {
        const { model, version: number, digest } = version.named
        version.session = await this.#options.openModel(model, number, digest)
      } catch (error) {
        closedFor(version, error)
      }
    }
  }

  /** Does not wait for windows to try again what could not be opened: there may be none. */
  reopen(): void {
    for (const lane of this.#all)
      for (const { reopens } of lane.versions) if (reopens !== undefined) reopens.next = 0
    this.tryAgain()
  }

  /** Tries again, beside the windows, to open what was restored and could not be opened: a machine that starts is busy. */
  tryAgain(): void {
    for (const lane of this.#all)
      for (const version of lane.versions) {
        const { reopens } = version
        if (reopens === undefined || --reopens.next > 0) continue
        version.reopens = undefined
        const { model, version: number, digest } = version.named
        this.#options.openModel(model, number, digest).then(
          session => {
            // It may have been replaced, or ordered again, meanwhile.
            const isWanted = lane.versions.includes(version) && this.#all.includes(lane)
            if (!isWanted || version.session !== undefined) return session.close()
            version.session = session
            version.problem = undefined
            return undefined
          },
          () => {
            const waits = Math.min(2 * reopens.waits, REOPEN_WINDOWS_MAX)
            if (version.problem !== undefined) version.reopens = { waits, next: waits }
          },
        )
      }
  }
}

/** It has its part and scores nothing until it can be opened. */
function closedFor(version: ScoringVersion, error: unknown): void {
  version.problem = `${version.plan.name} cannot be opened: ${error instanceof Error ? error.message : String(error)}`
  version.reopens = { waits: REOPEN_WINDOWS, next: REOPEN_WINDOWS }
}
