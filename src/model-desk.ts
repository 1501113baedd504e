import type { Clock } from './core/clock.ts'
import type { Envelope, Receipt } from './core/envelope.ts'
import { ERRORS, type ErrorCode, ForeshockError, modelQuotaExceeded } from './core/errors.ts'
import type { ModelOrder, ModelState } from './core/model.ts'
import { encodeModelOrder } from './core/model-order.ts'
import {
  afterOrder,
  type ModelDesk,
  type ModelEntry,
  NO_STANDING,
  type OrderLine,
  ordersBetween,
  partOf,
  type Standing,
  type StoredVersion,
  type WantedOrder,
} from './core/model-standing.ts'
import { Turns } from './core/turns.ts'
import { conflict, notFound, orderWanted, pushTurns } from './core/wanted-order.ts'
import type { ModelLedger } from './store/model-ledger.ts'
import type { ModelRegistry } from './store/model-registry.ts'

export interface DeskParts {
  readonly registry: ModelRegistry
  readonly ledger: ModelLedger
  /** Takes an order into the pipeline; resolves when it is carried out and durable. */
  submit(envelope: Envelope): Promise<Receipt>
  /** How models stand in the pipeline. */
  live(): readonly ModelState[]
  /** Opens and warms a version before it is ordered, away from the pipeline. Throws FS_MODEL_*. */
  prepare(version: StoredVersion): Promise<void>
  /** Looks at a pushed package where it can do no harm. Throws FS_MODEL_INVALID. */
  check(folder: string): Promise<unknown>
  audit(who: string, action: string, detail: unknown): Promise<void>
  /** Models that may be pushed in a tenant's name; any number without. */
  readonly modelsMax?: (tenant: string) => number | undefined
  readonly warn: (text: string) => void
  readonly clock: Clock
}

/**
 * Where models are pushed and orders given. An order is opened and warmed first, then written into the ledger, then sent
 * through the journal into the pipeline, which carries it out between two windows, then settled and audited: a crash at any
 * point leaves either the old or the new, and `reconcile` makes pipeline and ledger agree at the next start.
 */
export class RegistryDesk implements ModelDesk {
  readonly #parts: DeskParts
  readonly #orders = new Turns()
  readonly #pushes = pushTurns()

  constructor(parts: DeskParts) {
    this.#parts = parts
  }

  list(): ModelEntry[] {
    const { registry, ledger } = this.#parts
    const names = new Set([...registry.models(), ...ledger.models()])
    return [...names].sort().flatMap(name => this.entry(name) ?? [])
  }

  entry(model: string): ModelEntry | undefined {
    const { registry, ledger } = this.#parts
    const versions = registry.versions(model)
    const standing = ledger.standing(model)
    if (versions.length === 0 && standing === NO_STANDING) return undefined
    const live = this.#parts.live().find(one => one.model === model) ?? null
    return { model, standing, versions, live }
  }

  history(model: string, limit: number): OrderLine[] {
    return this.#parts.ledger.history(model, limit)
  }

  async push(
    model: string,
    version: number,
    archive: AsyncIterable<Uint8Array>,
    by: string,
    tenant = 'default',
  ) {
    return this.#pushes.take(async () => {
      const { registry, ledger, check, clock } = this.#parts
      this.#assertQuota(model, tenant)
      const removedDigest = ledger.removed(model, version)
      const result = await registry.push({
        model,
        version,
        archive,
        by,
        tenant,
        timeMs: clock(),
        removedDigest,
        check,
      })
      const { packageDigest: digest, bytes } = result.stored
      if (result.isNew) await this.#parts.audit(by, 'model.push', { model, version, digest, bytes })
      return result
    })
  }

  remove(model: string, version: number, by: string): Promise<void> {
    return this.#orders.take(async () => {
      const { registry, ledger, audit } = this.#parts
      const stored = this.#find(model, version)
      const part = partOf(ledger.standing(model), version)
      if (part !== undefined) throw conflict(`${model} ${version} is ${part}`)
      if (stored.source === 'pushed') await ledger.rememberRemoved(model, version, stored.packageDigest)
      await registry.remove(model, version)
      await audit(by, 'model.remove', { model, version, digest: stored.packageDigest })
    })
  }

  order(wanted: WantedOrder): Promise<ModelEntry> {
    return this.#orders.take(async () => {
      const { ledger, clock, audit } = this.#parts
      const { model } = wanted
      if (this.entry(model) === undefined) throw notFound(`model ${model}`)
      const standing = ledger.standing(model)
      const order = orderWanted(wanted, standing, (model, version) => this.#find(model, version))
      const next = afterOrder(standing, order)
      if (typeof next === 'string') throw conflict(`${model}: ${next}`)
      await this.#prepare(standing, next)
      await ledger.intend(order)
      try {
        await this.#carryOut(order)
      } catch (cause) {
        await ledger.drop()
        throw cause
      }
      await ledger.settle(clock())
      await audit(order.by, `model.${order.op}`, { ...order, champion: next.champion })
      return this.entry(model) as ModelEntry
    })
  }

  /**
   * Makes the pipeline agree with the ledger; to be called once, after the journal was replayed. What a crash cut short is
   * finished, and a pipeline that lost its state is told anew who is who.
   */
  async reconcile(): Promise<void> {
    const { ledger, live, clock, audit, warn } = this.#parts
    const cutShort = ledger.pending
    if (cutShort) {
      await ledger.settle(clock())
      await audit(cutShort.by, `model.${cutShort.op}`, { ...cutShort, finishedAtStart: true })
    }
    if (ledger.isNew) {
      for (const state of live()) await ledger.adopt(state.model, standingOf(state))
      return
    }
    const states = new Map(live().map(state => [state.model, state]))
    for (const model of new Set([...ledger.models(), ...states.keys()])) {
      const why = 'the pipeline started with another state than the registry holds'
      for (const order of ordersBetween(model, states.get(model), ledger.standing(model), 'service', why)) {
        try {
          if ('version' in order) await this.#parts.prepare(this.#find(model, order.version))
          await this.#carryOut(order)
          await audit(order.by, `model.${order.op}`, order)
        } catch (cause) {
          warn(`model ${model}: ${order.op} could not be repeated at the start: ${(cause as Error).message}`)
        }
      }
    }
  }

  /** Opens what would score and does not yet. */
  async #prepare(standing: Standing, next: Standing): Promise<void> {
    for (const one of [next.champion, next.challenger]) {
      const scores = [standing.champion, standing.challenger].some(other => other?.version === one?.version)
      if (one && !scores) await this.#parts.prepare(this.#find(one.model, one.version))
    }
  }

  async #carryOut(order: ModelOrder): Promise<void> {
    const { submit, clock } = this.#parts
    const bytes = encodeModelOrder(order)
    const receipt = await submit({
      kind: 'model',
      encoding: 'identity',
      arrivalMs: clock(),
      tenant: 'default',
      bytes,
    })
    if (receipt.rejected > 0) throw refusal(receipt.reasons.join('; '))
  }

  #find(model: string, version: number): StoredVersion {
    const stored = this.#parts.registry.find(model, version)
    if (!stored) throw notFound(`version ${version} of model ${model}`)
    return stored
  }

  #assertQuota(model: string, tenant: string): void {
    const { registry, modelsMax } = this.#parts
    const most = modelsMax?.(tenant)
    if (most === undefined) return
    const isOfTenant = (one: StoredVersion) => one.source === 'pushed' && one.tenant === tenant
    const others = registry
      .models()
      .filter(other => other !== model && registry.versions(other).some(isOfTenant))
    if (others.length >= most) throw modelQuotaExceeded(tenant, most)
  }
}

function standingOf({ model, champion, previous, challenger }: ModelState): Standing {
  const version = (of: { version: number; digest: string }) => ({
    model,
    version: of.version,
    digest: of.digest,
  })
  return {
    champion: champion && version(champion),
    previous: previous && version(previous),
    challenger: challenger && { ...version(challenger), mode: challenger.mode, share: challenger.share },
  }
}

/** Stages answer with reasons; one that came of an error begins with its code. */
function refusal(reason: string): ForeshockError {
  const [, code, text] = /^(FS_[A-Z_]+): (.*)$/s.exec(reason) ?? []
  return code !== undefined && Object.hasOwn(ERRORS, code)
    ? new ForeshockError(code as ErrorCode, text.slice(0, 1000))
    : conflict(reason)
}
