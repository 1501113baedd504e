import type { ModelOrder, ModelState, ModelVersion } from './model.ts'

/** Which versions of a model have which part. */
export interface Standing {
  /** Speaks. */
  readonly champion: ModelVersion | null
  /** Was champion before; a rollback makes it champion again. */
  readonly previous: ModelVersion | null
  /** Scores beside the champion, unheard or heard for a share of the series. */
  readonly challenger: (ModelVersion & { readonly mode: 'shadow' | 'canary'; readonly share: number }) | null
}

export const NO_STANDING: Standing = { champion: null, previous: null, challenger: null }

/** A version of a model that lies in the registry. */
export interface StoredVersion extends ModelVersion {
  /** Of every byte of the package, not of the model's alone: `sha256:…`. */
  readonly packageDigest: string
  readonly source: 'pushed' | 'shipped'
  readonly folder: string
  readonly bytes: number
  readonly files: readonly string[]
  /** The card as it was written; what it says was checked when it was pushed. */
  readonly card: Readonly<Record<string, unknown>>
  /** ISO 8601; null for what is shipped. */
  readonly pushedAt: string | null
  readonly pushedBy: string | null
  /** In whose name it was pushed; models are shared by all tenants, and count for the quota of this one. */
  readonly tenant?: string
}

/** How a model stands in one samples partition of a fleet, as its scorer told last. */
export interface PartitionModel {
  readonly partition: number
  /** Name of the process that scores it. */
  readonly member: string
  /** The last order that it has carried out. */
  readonly revision: number
  readonly state: ModelState | null
  /** Why an order was not followed. */
  readonly refused: string | null
}

/** One line of what was ordered, and which version spoke from then on. */
export interface OrderLine {
  /** ISO 8601. */
  readonly time: string
  readonly order: ModelOrder
  readonly champion: ModelVersion | null
}

/** What is asked for. The version may be left out where there is but one that can be meant. */
export interface WantedOrder {
  readonly op: ModelOrder['op']
  readonly model: string
  readonly version?: number | undefined
  readonly digest?: string | undefined
  /** Of a canary, 0..1. */
  readonly share?: number | undefined
  readonly by: string
  readonly why?: string | undefined
}

/** All that is known of a model. */
export interface ModelEntry {
  readonly model: string
  readonly standing: Standing
  /** Newest first. */
  readonly versions: readonly StoredVersion[]
  /** How it does in the pipeline; null while it has no part there. */
  readonly live: ModelState | null
  /** In a fleet: the number of the last order, and who has carried it out. */
  readonly fleet?: {
    readonly revision: number
    /** Samples partitions that there are, and what is known of them, ascending. */
    readonly partitions: number
    readonly told: readonly PartitionModel[]
  }
}

const same = (a: ModelVersion | null, b: ModelVersion | null) =>
  a?.version === b?.version && a?.digest === b?.digest

/** Standing after an order, or why it makes no sense as things stand. */
export function afterOrder(standing: Standing, order: ModelOrder): Standing | string {
  const { champion, previous, challenger } = standing
  switch (order.op) {
    case 'promote': {
      const next = versionOf(order)
      const left = challenger && same(challenger, next) ? null : challenger
      if (same(champion, next)) return { champion, previous, challenger: left }
      return { champion: next, previous: champion, challenger: left }
    }
    case 'shadow':
    case 'canary': {
      const next = versionOf(order)
      if (same(champion, next)) return `version ${order.version} is champion already`
      const share = order.op === 'canary' ? order.share : 0
      return { champion, previous, challenger: { ...next, mode: order.op, share } }
    }
    case 'withdraw':
      return challenger ? { champion, previous, challenger: null } : 'there is no challenger to withdraw'
    case 'rollback':
      if (!champion) return 'there is no champion to roll back'
      // Who becomes champion challenges nobody.
      return {
        champion: previous,
        previous: null,
        challenger: challenger && same(challenger, previous) ? null : challenger,
      }
    case 'retire':
      return champion || challenger ? NO_STANDING : 'it has no part in scoring'
  }
}

function versionOf({ model, version, digest }: ModelVersion): ModelVersion {
  return { model, version, digest }
}

/** Whether a version has a part that removing it would take away. */
export function partOf(standing: Standing, version: number): string | undefined {
  if (standing.champion?.version === version) return 'champion'
  if (standing.challenger?.version === version) return 'challenger'
  if (standing.previous?.version === version) return 'what a rollback would return to'
  return undefined
}

/**
 * Orders that bring a model from how it stands in the pipeline to how it should stand; none when both agree. `by` and
 * `why` stand in each.
 */
export function ordersBetween(
  model: string,
  live: ModelState | undefined,
  wanted: Standing,
  by: string,
  why: string,
): ModelOrder[] {
  const ordered = { model, by, why }
  const { champion, previous, challenger } = wanted
  const isLive = live !== undefined && (live.champion !== null || live.challenger !== null)
  if (!champion && !challenger) return isLive ? [{ ...ordered, op: 'retire' }] : []
  const orders: ModelOrder[] = []
  const agree = (a: { version: number; digest: string } | null | undefined, b: ModelVersion | null) =>
    (a?.version ?? 0) === (b?.version ?? 0) && (a?.digest ?? '') === (b?.digest ?? '')
  let standing: Standing = NO_STANDING
  const championAgrees = agree(live?.champion, champion) && agree(live?.previous, previous)
  if (championAgrees) {
    standing = { champion, previous, challenger: null }
  } else {
    if (isLive) orders.push({ ...ordered, op: 'retire' })
    for (const one of [previous, champion]) {
      if (one && champion)
        orders.push({ ...ordered, op: 'promote', version: one.version, digest: one.digest })
    }
  }
  const held = championAgrees ? live?.challenger : null
  const challengerAgrees =
    agree(held, challenger) &&
    held?.mode === challenger?.mode &&
    (held?.share ?? 0) === (challenger?.share ?? 0)
  if (challengerAgrees) return orders
  if (!challenger) return standing.champion ? [...orders, { ...ordered, op: 'withdraw' }] : orders
  const { version, digest, share, mode } = challenger
  orders.push(
    mode === 'canary'
      ? { ...ordered, op: 'canary', version, digest, share }
      : { ...ordered, op: 'shadow', version, digest },
  )
  return orders
}

/** Packages, parts and orders of models; whoever orders, by hand or by an experiment, orders here. */
export interface ModelDesk {
  /** By name. */
  list(): readonly ModelEntry[]
  entry(model: string): ModelEntry | undefined
  /** Newest first. */
  history(model: string, limit: number): readonly OrderLine[]
  /**
   * Takes the tar of a package in, durably. Throws FS_MODEL_INVALID, FS_INPUT_TOO_LARGE, FS_CONFLICT when the number means
   * another package, FS_QUOTA when the tenant in whose name it comes has its models, FS_OVERLOADED, FS_IO.
   */
  push(
    model: string,
    version: number,
    archive: AsyncIterable<Uint8Array>,
    by: string,
    tenant?: string,
  ): Promise<{ readonly stored: StoredVersion; readonly isNew: boolean }>
  /** Throws FS_NOT_FOUND, FS_CONFLICT while it has a part, FS_IO. */
  remove(model: string, version: number, by: string): Promise<void>
  /**
   * Resolves when the order is carried out, journaled and written down. Throws FS_NOT_FOUND, FS_CONFLICT when it makes no
   * sense as things stand, FS_MODEL_INVALID or FS_MODEL_RUNTIME when the version cannot be opened: then all is as it was.
   */
  order(wanted: WantedOrder): Promise<ModelEntry>
}
