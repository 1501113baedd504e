import type { DisruptionEventType } from '../core/disruption.ts'
import type { StoryBook } from './book.ts'
import type { Fleet } from './fleet.ts'
import type { Investigator } from './investigator.ts'
import type { WindowLevels } from './levels.ts'
import { age, christen, revive } from './life.ts'
import type { DisruptionOptions } from './options.ts'
import type { Ranking } from './ranking.ts'
import { absorb, merges, parted, retract } from './reunion.ts'
import { keepShare } from './shares.ts'
import type { Story } from './story.ts'
import type { TenantGraphs } from './tenant-graphs.ts'

/** Windows after opening at which suspects are ranked, besides `rankAfterWindows`. */
const RANK_AT: readonly number[] = [5, 10]

export interface TellingParts {
  readonly options: DisruptionOptions
  readonly book: StoryBook
  readonly fleet: Fleet
  readonly graphs: TenantGraphs
  readonly investigator: Investigator
  readonly ranking: Ranking
  /** Stories that are over, a share of them for each tenant. */
  readonly resolved: Story[]
  readonly counts: { evidenceDropped: number }
  /** Maintenance windows that hold a story back now. */
  readonly holdsOf: (story: Story) => readonly string[]
}

/**
 * What the end of a window does to stories, and what is told of it: they open, are ranked again as they grow, are told
 * apart, joined and resolved.
 */
export class Telling {
  readonly #parts: TellingParts
  /** What is to be published at the end of the window. */
  readonly #pending: [Story, DisruptionEventType][] = []
  /** Version of each tenant's graph at which stories were last looked at for parting. */
  readonly #partedAt = new Map<string, number>()
  #nowMs = 0

  constructor(parts: TellingParts) {
    this.#parts = parts
  }

  /** Tenants of which nothing has to be looked at for parting as their graphs are now, for a checkpoint. */
  parted(): string[] {
    const { graphs } = this.#parts
    return [...this.#partedAt]
      .filter(([tenant, version]) => graphs.of(tenant).version === version)
      .map(([tenant]) => tenant)
  }

  /** Takes back what `parted` gave, when the graphs are there: made anew they have other versions. */
  restoreParted(tenants: readonly string[]): void {
    this.#partedAt.clear()
    for (const tenant of tenants) this.#partedAt.set(tenant, this.#parts.graphs.of(tenant).version)
  }

  /** A window has ended, and nothing is to be told yet. */
  begin(nowMs: number): void {
    this.#nowMs = nowMs
    this.#pending.length = 0
  }

  /** Puts a story of the pipeline's own into the book. */
  add(story: Story): void {
    this.#parts.book.open.push(story)
    this.#pending.push([story, 'opened'])
  }

  close(story: Story): void {
    const { book, options } = this.#parts
    book.open.splice(book.open.indexOf(story), 1)
    story.status = 'resolved'
    story.resolvedMs = this.#nowMs - story.quiet * options.stepMs
    this.#keep(story)
    this.#pending.push([story, 'resolved'])
  }

  /** Takes the stories of faults on by a window; `born` are those that it brought. What is to be told, in order. */
  advance(born: readonly Story[], levels: WindowLevels): readonly (readonly [Story, DisruptionEventType])[] {
    const { book, fleet, options } = this.#parts
    for (const story of book.open) if (story.kind === 'fault') age(story, book, fleet, levels, options)
    for (const story of born)
      this.#pending.push([this.#open(story), story.revision === 0 ? 'opened' : 'updated'])
    for (const story of book.open) if (story.kind === 'fault' && !born.includes(story)) this.#follow(story)
    this.#part()
    this.#reunite()
    this.#settle()
    this.#release()
    return this.#pending
  }

  #isPending(story: Story): boolean {
    return this.#pending.some(([one]) => one === story)
  }

  #open(story: Story): Story {
    const { investigator, resolved, options } = this.#parts
    christen(story)
    investigator.rank(story, this.#nowMs)
    revive(story, resolved, options)
    return story
  }

  /** Ranks again when due, and publishes what changed in a way that matters. */
  #follow(story: Story): void {
    const { options, investigator, ranking } = this.#parts
    const { rankAfterWindows, updateGapWindows, heartbeatWindows, stepMs } = options
    const due = story.windows === rankAfterWindows + 1
    // Who joins late, and two windows have told of, may be the cause of what follows.
    const joined = Object.keys(story.members).length > story.rankedMembers
    const settled = story.windows - story.rankedAt >= rankAfterWindows
    if (due || RANK_AT.includes(story.windows) || (joined && settled)) investigator.rank(story, this.#nowMs)
    const since = (this.#nowMs - story.publishedMs) / stepMs
    const changed = ranking.shapeOf(story) !== story.publishedShape
    const worth = changed && (due || since >= updateGapWindows)
    if (worth || since >= heartbeatWindows) this.#pending.push([story, 'updated'])
  }

  /** Tells apart what began as one story and is not. */
  #part(): void {
    const { book, graphs, investigator } = this.#parts
    const grown = new Set<string>()
    for (const tenant of new Set(book.open.map(story => story.tenant))) {
      const { version } = graphs.of(tenant)
      if (version !== (this.#partedAt.get(tenant) ?? 0)) grown.add(tenant)
      this.#partedAt.set(tenant, version)
    }
    for (const story of [...book.open]) {
      if (story.kind !== 'fault' || !(grown.has(story.tenant) || RANK_AT.includes(story.windows))) continue
      const parts = parted(story, this.#parts, this.#nowMs)
      if (parts.length === 0) continue
      book.open.push(...parts)
      for (const one of [story, ...parts]) investigator.rank(one, this.#nowMs)
      if (!this.#isPending(story)) this.#pending.push([story, 'updated'])
      for (const one of parts) this.#pending.push([one, 'opened'])
    }
  }

  /** Joins what began as several stories and is one: the elder goes on, the younger is retracted. */
  #reunite(): void {
    const { book, investigator, counts } = this.#parts
    for (const { elder, younger } of merges(this.#parts)) {
      counts.evidenceDropped += absorb(elder, younger)
      retract(elder, younger, this.#nowMs)
      book.open.splice(book.open.indexOf(younger), 1)
      const at = this.#pending.findIndex(([one]) => one === younger)
      if (at >= 0) this.#pending.splice(at, 1)
      // What was never told need not be taken back.
      if (younger.revision > 0) {
        this.#keep(younger)
        this.#pending.push([younger, 'retracted'])
      }
      investigator.rank(elder, this.#nowMs)
      if (!this.#isPending(elder)) this.#pending.push([elder, 'updated'])
    }
  }

  /** Resolves what has been quiet long enough. */
  #settle(): void {
    const { book, options } = this.#parts
    const { quietWindows, longestWindows } = options
    for (const story of [...book.open]) {
      if (story.kind !== 'fault') continue
      const spent = longestWindows > 0 && story.windows >= longestWindows
      if (story.quiet < quietWindows && !spent) continue
      const at = this.#pending.findIndex(([one]) => one === story)
      if (at >= 0 && this.#pending[at][1] === 'updated') this.#pending.splice(at, 1)
      this.close(story)
    }
  }

  /** Tells what a maintenance window that is over kept back and that goes on. */
  #release(): void {
    const { book, holdsOf } = this.#parts
    for (const story of book.open) {
      const isKept = !story.told && story.revision > 0 && !this.#isPending(story)
      if (isKept && holdsOf(story).length === 0) this.#pending.push([story, 'updated'])
    }
  }

  #keep(story: Story): void {
    const { resolved, options } = this.#parts
    keepShare(resolved, story, options.maxResolved, one => one.tenant)
  }
}
