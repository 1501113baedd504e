import { FRONT_DOOR } from './families.ts'
import type { Fleet } from './fleet.ts'
import { type CallGraph, compare } from './graph.ts'
import type { WindowLevels } from './levels.ts'
import type { DisruptionOptions } from './options.ts'
import { join, newStory, type Story } from './story.ts'

/**
 * Which strange entities belong to one story. Stories keep to one tenant and one component of the call graph
 * (without a graph: one namespace). An entity joins an open story of its component when it became strange near
 * the last one that joined, or when it lies on a call path through the story's cause; otherwise, if strong
 * enough, it opens a story of its own. Faults that begin together within a component are one story.
 */
export class StoryBook {
  readonly open: Story[] = []
  dropped = 0
  readonly #fleet: Fleet
  readonly #graph: CallGraph
  readonly #options: DisruptionOptions
  #components = new Map<string, string>()
  #version = -1

  constructor(fleet: Fleet, graph: CallGraph, options: DisruptionOptions) {
    this.#fleet = fleet
    this.#graph = graph
    this.#options = options
  }

  /** Name of the component an entity belongs to. */
  componentOf(entity: number): string {
    if (this.#version !== this.#graph.version) {
      this.#components = this.#graph.components()
      this.#version = this.#graph.version
    }
    const { name, namespace } = this.#fleet.entities[entity]
    const found = this.#components.get(name)
    if (found !== undefined) return found
    if (name === FRONT_DOOR && this.#graph.size > 0) return this.#frontComponent()
    return `namespace ${namespace}`
  }

  /** Names of all entities of one component of a tenant, sorted. */
  scope(tenant: string, component: string): string[] {
    const out: string[] = []
    for (let e = 0; e < this.#fleet.entities.length; e++) {
      if (this.#fleet.entities[e].tenant === tenant && this.componentOf(e) === component) {
        out.push(this.#fleet.entities[e].name)
      }
    }
    return out.sort(compare)
  }

  /** Lets strange entities join open stories, opens new ones. Returns the new ones, earliest first. */
  group(levels: WindowLevels, nowMs: number): Story[] {
    const strange = this.#strange(levels)
    const taken = new Map<number, Story>()
    const waiting: number[] = []
    for (const entity of strange) {
      const story = this.#storyOf(entity) ?? this.#joinable(entity, this.open)
      if (story) this.#take(story, entity, levels, nowMs, taken)
      else waiting.push(entity)
    }
    const born: Story[] = []
    for (const seed of waiting) {
      if (levels.level[seed] < this.#options.openAt || taken.has(seed)) continue
      const joined = this.#joinable(seed, born)
      if (joined) {
        this.#take(joined, seed, levels, nowMs, taken)
        continue
      }
      if (this.open.length + born.length >= this.#options.maxOpen) {
        this.dropped++
        continue
      }
      const story = this.#birth(seed, nowMs)
      this.#take(story, seed, levels, nowMs, taken)
      born.push(story)
    }
    for (const entity of waiting) {
      if (taken.has(entity)) continue
      const story = this.#joinable(entity, born)
      if (story) this.#take(story, entity, levels, nowMs, taken)
    }
    this.open.push(...born)
    return born
  }

  #strange(levels: WindowLevels): number[] {
    const out: number[] = []
    for (let e = 0; e < levels.level.length; e++) {
      const memory = this.#fleet.entities[e]
      if (levels.level[e] >= this.#options.memberAt && !levels.mute.has(memory.tenant)) out.push(e)
    }
    const { entities } = this.#fleet
    return out.sort(
      (a, b) =>
        (entities[a].onsetMs ?? 0) - (entities[b].onsetMs ?? 0) ||
        compare(entities[a].name, entities[b].name) ||
        compare(entities[a].tenant, entities[b].tenant),
    )
  }

  #birth(seed: number, nowMs: number): Story {
    const { tenant, onsetMs } = this.#fleet.entities[seed]
    return newStory('fault', tenant, this.componentOf(seed), onsetMs ?? nowMs - this.#options.stepMs, nowMs)
  }

  #take(story: Story, entity: number, levels: WindowLevels, nowMs: number, taken: Map<number, Story>): void {
    const { name, onsetMs } = this.#fleet.entities[entity]
    const member = join(story, name, onsetMs ?? nowMs - this.#options.stepMs, levels.level[entity], nowMs)
    const silence = levels.silent.get(entity)
    if (silence) {
      member.silence = silence.whole ? 'whole' : member.silence === 'whole' ? 'whole' : 'instances'
      member.instances = [...silence.instances]
    }
    taken.set(entity, story)
  }

  #storyOf(entity: number): Story | undefined {
    const { tenant, name } = this.#fleet.entities[entity]
    return this.open.find(story => story.tenant === tenant && story.members[name] !== undefined)
  }

  #joinable(entity: number, stories: readonly Story[]): Story | undefined {
    const { tenant, name, onsetMs } = this.#fleet.entities[entity]
    const component = this.componentOf(entity)
    const near = this.#options.togetherWindows * this.#options.stepMs
    return stories.find(story => {
      if (story.kind !== 'fault' || story.tenant !== tenant || story.component !== component) return false
      const onset = onsetMs ?? Number.POSITIVE_INFINITY
      const together = onset >= story.startedMs - near && onset <= story.lastOnsetMs + near
      // The front slides with every member that joins, but not without end.
      if (together && onset <= story.startedMs + MOST_SLIDES * near) return true
      return this.#onPath(name, story)
    })
  }

  #onPath(name: string, story: Story): boolean {
    const cause = story.suspects[0]?.entity
    if (cause === undefined) return false
    return (
      cause === name || this.#graph.ancestors(cause).has(name) || this.#graph.descendants(cause).has(name)
    )
  }

  #frontComponent(): string {
    for (const { source } of this.#graph.edges()) {
      if (this.#graph.callers(source).length === 0) return this.#components.get(source) ?? source
    }
    return FRONT_DOOR
  }
}

/** The sliding extension of a story by new onsets ends after this many times `togetherWindows`. */
const MOST_SLIDES = 10
