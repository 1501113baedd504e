import { setTimeout as wait } from 'node:timers/promises'
import { quotaOf } from '../config/quota.ts'
import type { Config } from '../config/schema.ts'
import { ForeshockError } from '../core/errors.ts'
import type { ModelOrder } from '../core/model.ts'
import {
  afterOrder,
  type ModelDesk,
  type ModelEntry,
  type OrderLine,
  partOf,
  type Standing,
  type StoredVersion,
  type WantedOrder,
} from '../core/model-standing.ts'
import {
  type ModelCommand,
  type ModelWord,
  standingOfWord,
  wordAfter,
  wordWith,
  wordWithout,
} from '../core/model-word.ts'
import type { PackageStore } from '../core/ports.ts'
import { Turns } from '../core/turns.ts'
import { conflict, notFound, orderWanted, pushTurns } from '../core/wanted-order.ts'
import { type ModelPlan, planOf } from '../detectors/model-plan.ts'
import { every, type Timer } from '../upkeep.ts'
import type { FleetModels } from './fleet-models.ts'
import { away, type Decision, type DecisionParts, ModelDecisions } from './model-decisions.ts'
import { type ModelNews, ModelReports } from './model-reports.ts'
import { PackageCatalogue } from './package-catalogue.ts'

export interface FleetDeskParts extends DecisionParts {
  readonly config: Config
  readonly packages: PackageStore
  readonly models: FleetModels
  readonly news: ModelNews
}

/** Models that score at once at most, in every partition. */
const SCORING_MAX = 8
/** Packages are listed anew this often, ms, and at once when one came or went. */
const LIST_MS = 5000
/** Scorers have so long to fetch what is about to be ordered, ms; who takes longer scores without it for a while. */
const FETCH_MS = 300
/** Whoever ordered is answered when the scorers have carried it out, or after this, ms. */
const FOLLOWED_MS_MAX = 5000
const LOOK_MS = 50

/**
 * Where models of a fleet are pushed and orders given, on any gateway. Packages lie in PostgreSQL. An order is decided in
 * the topic `control`, under a transactor that shuts other gateways out, then told to every partition; should the gateway
 * die in between, the owners of partitions read it in `control`.
 */
export class FleetDesk implements ModelDesk {
  readonly #parts: FleetDeskParts
  readonly #reports: ModelReports
  readonly #catalogue: PackageCatalogue
  readonly #decisions: ModelDecisions
  readonly #orders = new Turns()
  readonly #pushes = pushTurns()
  #timer: Timer | undefined

  private constructor(parts: FleetDeskParts) {
    this.#parts = parts
    this.#reports = new ModelReports(parts.samplesPartitions, parts.clock)
    this.#decisions = new ModelDecisions(parts)
    const { packages, models, book, clock } = parts
    this.#catalogue = new PackageCatalogue(packages, models.cache, book, clock)
  }

  /** PostgreSQL and Redis may be away: what is known then is what comes with the program, and what `control` says. */
  static async open(parts: FleetDeskParts): Promise<FleetDesk> {
    const desk = new FleetDesk(parts)
    const { news, logger } = parts
    const refresh = () => desk.#catalogue.refresh()
    const onError = (error: unknown) => logger.warn({ err: error }, 'packages of models cannot be listed')
    await news.listen({
      report: report => desk.#reports.take(report),
      packages: () => void refresh().catch(onError),
    })
    await news.say({ type: 'ask' })
    await refresh().catch(onError)
    desk.#timer = every(LIST_MS, refresh, onError)
    return desk
  }

  close(): void {
    this.#timer?.stop()
  }

  list(): ModelEntry[] {
    const { book } = this.#parts
    const names = new Set([...this.#catalogue.models(), ...book.models.keys()])
    return [...names].sort().flatMap(name => this.entry(name) ?? [])
  }

  entry(model: string): ModelEntry | undefined {
    const versions = this.#catalogue.versions(model)
    const command = this.#word(model)?.command
    if (versions.length === 0 && !command) return undefined
    const standing = this.#standing(model)
    const fleet = this.#reports.fleet(model, command?.revision ?? 0)
    return { model, standing, versions, live: this.#reports.live(model, standing), fleet }
  }

  history(model: string, limit: number): OrderLine[] {
    return [...(this.#word(model)?.history ?? [])].reverse().slice(0, limit)
  }

  async push(
    model: string,
    version: number,
    archive: AsyncIterable<Uint8Array>,
    by: string,
    tenant = 'default',
  ) {
    return this.#pushes.take(() => away(() => this.#push(model, version, archive, by, tenant)))
  }

  async #push(
    model: string,
    version: number,
    archive: AsyncIterable<Uint8Array>,
    by: string,
    tenant: string,
  ) {
    const { config, models, book, news, clock } = this.#parts
    await this.#catalogue.refresh()
    await book.catchUp()
    const removedDigest = this.#word(model)?.removed[version]
    const modelsMax = quotaOf(config.tenants, tenant)?.models
    const timeMs = clock()
    const check = (folder: string) => models.check(folder)
    const pushed = { model, version, archive, by, timeMs, removedDigest, check }
    const audit = ({ packageDigest: digest, bytes }: StoredVersion) => ({
      who: by,
      action: 'model.push',
      detail: { model, version, digest, bytes, tenant },
    })
    // A number that was removed is there again before its bytes are: what is removed may be cleared away at any time.
    const admit = (stored: StoredVersion) =>
      this.#decisions.decide(model, word =>
        word?.removed[version] === undefined
          ? undefined
          : { word: wordWith(word, version), audit: audit(stored) },
      )
    const { stored, isNew } = await models.cache.push(pushed, { tenant, modelsMax, admit })
    if (isNew && removedDigest === undefined) await this.#decisions.note(audit(stored))
    await this.#catalogue.refresh()
    await news.say({ type: 'packages' })
    return { stored: this.#catalogue.find(model, version) ?? stored, isNew }
  }

  remove(model: string, version: number, by: string): Promise<void> {
    return this.#inTurn(async () => {
      const { packages, news } = this.#parts
      await this.#catalogue.refresh()
      const stored = this.#find(model, version)
      if (stored.source === 'shipped') throw conflict(`${model} ${version} comes with the program`)
      const { packageDigest: digest } = stored
      await this.#decisions.decide(model, word => {
        const part = partOf(standingOfWord(word), version)
        if (part !== undefined) throw conflict(`${model} ${version} is ${part}`)
        const audit = { who: by, action: 'model.remove', detail: { model, version, digest } }
        return { word: wordWithout(model, word, version, digest), audit }
      })
      await packages.remove(model, version)
      await this.#catalogue.refresh()
      await news.say({ type: 'packages' })
    })
  }

  order(wanted: WantedOrder): Promise<ModelEntry> {
    return this.#inTurn(async () => {
      const { model } = wanted
      const { book, logger } = this.#parts
      // What is known already may be all that is needed.
      await this.#catalogue.refresh().catch(error => logger.warn({ err: error }, 'packages cannot be listed'))
      await book.catchUp()
      if (this.entry(model) === undefined) throw notFound(`model ${model}`)
      const { order, next } = this.#ordered(wanted, this.#standing(model))
      const proven = await this.#prove(this.#standing(model), next)
      await this.#decisions.decide(model, word => this.#decision(wanted, word, proven))
      const command = this.#word(model)?.command
      if (!command) throw new ForeshockError('FS_ASSERTION', `${order.op} ${model} left no word`)
      await this.#decisions.tell(command)
      await this.#followed(command)
      return this.entry(model) as ModelEntry
    })
  }

  /** What an order comes to as things stand now. Throws when it makes no sense. */
  #ordered(wanted: WantedOrder, standing: Standing): { order: ModelOrder; next: Standing } {
    const order = orderWanted(wanted, standing, (model, version) => this.#find(model, version))
    const next = afterOrder(standing, order)
    if (typeof next === 'string') throw conflict(`${wanted.model}: ${next}`)
    return { order, next }
  }

  #decision(wanted: WantedOrder, word: ModelWord | undefined, proven: ReadonlySet<number>): Decision {
    const { model } = wanted
    const standing = standingOfWord(word)
    const { order, next } = this.#ordered(wanted, standing)
    // Between a look and the decision another gateway may have ordered.
    if (newcomers(standing, next).some(version => !proven.has(version)))
      throw conflict(`${model} was ordered elsewhere at the same moment; look at how things stand`)
    this.#assertPlace(model, next)
    const find = (version: number) => this.#catalogue.find(model, version)
    const after = wordAfter(model, word, order, this.#parts.clock(), find)
    if (typeof after === 'string') throw conflict(`${model}: ${after}`)
    const detail = { ...order, champion: next.champion, revision: after.command?.revision }
    return { word: after, audit: { who: order.by, action: `model.${order.op}`, detail } }
  }

  #assertPlace(model: string, next: Standing): void {
    if (this.#parts.config.detection.models.size === 0)
      throw conflict('no models score here: detection.models is off')
    const others = [...this.#parts.book.models.values()].filter(one => {
      const { champion, challenger } = standingOfWord(one)
      return one.model !== model && (champion !== null || challenger !== null)
    })
    if ((next.champion ?? next.challenger) !== null && others.length >= SCORING_MAX)
      throw conflict(`${SCORING_MAX} models score already; retire one`)
  }

  /** Opens here what would score and does not yet, and lets scorers fetch it meanwhile. The versions that were opened. */
  async #prove(standing: Standing, next: Standing): Promise<ReadonlySet<number>> {
    const { models, news } = this.#parts
    const proven = new Set<number>()
    for (const version of newcomers(standing, next)) {
      const model = (next.champion ?? next.challenger)?.model ?? ''
      const stored = this.#find(model, version)
      const { digest, packageDigest } = stored
      const card = await away(() => models.proveOpens(stored))
      const plan = planOf(card)
      if (typeof plan === 'string') throw new ForeshockError('FS_MODEL_INVALID', plan)
      this.#assertAlike(model, next, plan)
      await news.say({ type: 'prepare', model, version, digest, packageDigest })
      await wait(FETCH_MS)
      proven.add(version)
    }
    return proven
  }

  /** All versions of a model look at series, or all at entities. */
  #assertAlike(model: string, { champion, previous, challenger }: Standing, plan: ModelPlan): void {
    for (const one of [champion, previous, challenger]) {
      const card = one && this.#catalogue.find(model, one.version)?.card
      const of = card ? windowOf(card) : undefined
      if (of === undefined || of === plan.of) continue
      const text = `${plan.name} looks at ${plan.of}, version ${one?.version} at ${of}`
      throw new ForeshockError('FS_MODEL_INVALID', `${text}: give it another id, or retire the model first`)
    }
  }

  /** Waits until all partitions that are heard of have carried it out. */
  async #followed({ model, revision }: ModelCommand): Promise<void> {
    const { clock } = this.#parts
    for (const end = clock() + FOLLOWED_MS_MAX; clock() < end; await wait(LOOK_MS)) {
      if (this.#reports.behind(model, revision).length === 0) return
    }
  }

  #word(model: string): ModelWord | undefined {
    return this.#parts.book.models.get(model)
  }

  #standing(model: string): Standing {
    return standingOfWord(this.#word(model))
  }

  #find(model: string, version: number): StoredVersion {
    const stored = this.#catalogue.find(model, version)
    if (!stored) throw notFound(`version ${version} of model ${model}`)
    return stored
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.#orders.take(() => away(work))
  }
}

/** Versions that score after an order and did not before. */
function newcomers(before: Standing, next: Standing): number[] {
  const scored = new Set([before.champion, before.challenger].map(one => one?.version))
  return [next.champion, next.challenger].flatMap(one => (one && !scored.has(one.version) ? one.version : []))
}

function windowOf(card: Readonly<Record<string, unknown>>): string | undefined {
  const { window } = (card.input ?? {}) as { window?: { of?: unknown } }
  return typeof window?.of === 'string' ? window.of : undefined
}
