import type { Clock } from '../core/clock.ts'
import type { ModelState, ModelUse } from '../core/model.ts'
import type { ModelEntry, PartitionModel, Standing } from '../core/model-standing.ts'
import type { Channel } from '../core/ports.ts'

/**
 * Scorers tell how the models of their partitions do, over the channel that carries short words; gateways show what they
 * heard last. Nothing rests on it: who was not heard of for a while is not shown.
 */
const TOPIC = 'models'
/** What a scorer told is taken for how things stand for so long, ms. */
const FRESH_MS = 15_000

/** A partition as its scorer tells it. */
export interface PartitionReport {
  readonly partition: number
  readonly member: string
  readonly models: readonly Omit<PartitionModel, 'partition' | 'member'>[]
  /** By place in `models`: their names. */
  readonly names: readonly string[]
}

type Word =
  | { readonly type: 'report'; readonly report: PartitionReport }
  /** Whoever scores may fetch this package, as it is about to be ordered. */
  | {
      readonly type: 'prepare'
      readonly model: string
      readonly version: number
      readonly digest: string
      readonly packageDigest: string
    }
  /** Packages have changed. */
  | { readonly type: 'packages' }
  /** A gateway has just started and has heard nothing yet. */
  | { readonly type: 'ask' }

export type Prepare = Extract<Word, { type: 'prepare' }>

export interface ModelNewsListener {
  report?(report: PartitionReport): void
  prepare?(what: Prepare): void
  packages?(): void
  ask?(): void
}

/** Short words about models, to whoever listens. */
export class ModelNews {
  readonly #channel: Channel

  constructor(channel: Channel) {
    this.#channel = channel
  }

  /** What cannot be said now is not said. */
  async say(word: Word): Promise<void> {
    await this.#channel.publish(TOPIC, JSON.stringify(word)).catch(() => {})
  }

  listen(listener: ModelNewsListener): Promise<void> {
    return this.#channel.subscribe(TOPIC, text => {
      const word = wordIn(text)
      if (word?.type === 'report') listener.report?.(word.report)
      if (word?.type === 'prepare') listener.prepare?.(word)
      if (word?.type === 'packages') listener.packages?.()
      if (word?.type === 'ask') listener.ask?.()
    })
  }
}

function wordIn(text: string): Word | undefined {
  try {
    const word = JSON.parse(text) as Word
    return typeof word === 'object' && word !== null ? word : undefined
  } catch {
    return undefined
  }
}

/** What scorers told lately, by samples partition. */
export class ModelReports {
  readonly #clock: Clock
  readonly #partitions: number
  readonly #heard = new Map<number, { readonly report: PartitionReport; readonly atMs: number }>()

  constructor(partitions: number, clock: Clock) {
    this.#partitions = partitions
    this.#clock = clock
  }

  take(report: PartitionReport): void {
    const { partition, models, names } = report
    const isOne = Number.isInteger(partition) && partition >= 0 && partition < this.#partitions
    if (!isOne || !Array.isArray(models) || !Array.isArray(names)) return
    this.#heard.set(partition, { report, atMs: this.#clock() })
  }

  /** Partitions heard of lately, ascending. */
  told(model: string): PartitionModel[] {
    const sinceMs = this.#clock() - FRESH_MS
    return [...this.#heard.values()]
      .filter(({ atMs }) => atMs >= sinceMs)
      .map(({ report: { partition, member, models, names } }) => {
        const known = models[names.indexOf(model)]
        return { partition, member, ...(known ?? { revision: 0, state: null, refused: null }) }
      })
      .sort((a, b) => a.partition - b.partition)
  }

  /** Whether every partition that was heard of has carried an order out, and which have not. */
  behind(model: string, revision: number): PartitionModel[] {
    return this.told(model).filter(one => one.revision < revision)
  }

  fleet(model: string, revision: number): NonNullable<ModelEntry['fleet']> {
    return { revision, partitions: this.#partitions, told: this.told(model) }
  }

  /** The model over all partitions; null while none tells of it. */
  live(model: string, { champion, previous, challenger }: Standing): ModelState | null {
    const told = this.told(model)
    const states = told.flatMap(({ state }) => state ?? [])
    const problem = problemOf(told)
    if (states.length === 0 && problem === undefined) return null
    const uses = (part: 'champion' | 'challenger', version: number) =>
      states.flatMap(state => (state[part]?.version === version ? (state[part] ?? []) : []))
    const sum = (of: (state: ModelState) => number) => states.reduce((all, state) => all + of(state), 0)
    return {
      model,
      champion: champion && joined(champion, uses('champion', champion.version)),
      previous: previous && { version: previous.version, digest: previous.digest },
      challenger: challenger && {
        ...joined(challenger, uses('challenger', challenger.version)),
        mode: challenger.mode,
        share: challenger.share,
      },
      covered: sum(({ covered }) => covered),
      refused: sum(({ refused }) => refused),
      ...(problem === undefined ? {} : { problem }),
    }
  }
}

function joined(
  { version, digest }: Pick<ModelUse, 'version' | 'digest'>,
  uses: readonly ModelUse[],
): ModelUse {
  const rows = uses.reduce((sum, use) => sum + use.rows, 0)
  const ms = uses.reduce((sum, use) => sum + use.rows * use.msPerRow, 0)
  const problem = uses.find(use => use.problem !== undefined)?.problem
  return {
    version,
    digest,
    rows,
    failed: uses.reduce((sum, use) => sum + use.failed, 0),
    msPerRow: rows === 0 ? 0 : ms / rows,
    msMax: uses.reduce((most, use) => Math.max(most, use.msMax), 0),
    ...(problem === undefined ? {} : { problem }),
  }
}

/** Which partitions do not run what they should, and why. */
function problemOf(told: readonly PartitionModel[]): string | undefined {
  const problems = told.flatMap(({ partition, state, refused }) => {
    const why = refused ?? state?.problem
    return why === undefined ? [] : [{ partition, why }]
  })
  if (problems.length === 0) return undefined
  const [{ why }] = problems
  return `partitions ${problems.map(({ partition }) => partition).join(', ')}: ${why}`.slice(0, 2000)
}
