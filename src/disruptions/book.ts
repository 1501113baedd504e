import { FRONT_DOOR } from './families.ts'
import type { Fleet } from './fleet.ts'
import { type CallGraph, compare } from './graph.ts'
import type { WindowLevels } from './levels.ts'
import { type DisruptionOptions, TENANTS_FULL } from './options.ts'
import { joined, nearest } from './paths.ts'
import { join, newStory, type Story } from './story.ts'
import { Tellers } from './tellers.ts'
import type { TenantGraphs } from './tenant-graphs.ts'

/** What follows from the call graph of a tenant, until it changes. */
interface TenantMap {
  version: number
  /** Entities of the tenant that were looked at. */
  counted: number
  /** `Fleet.changes` then. */
  changes: number
  /** Whether the graph holds any of them. */
  isMapped: boolean
  components: Map<string, string>
  readonly kin: Map<string, ReadonlySet<string>>
  front: string | undefined
  /** Made when first asked for. */
  groups: Map<string, Group> | undefined
}

/** Entities of one component, and of them those that are in no call graph. */
interface Group {
  readonly names: string[]
  readonly apart: string[]
}

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
  readonly #graphs: TenantGraphs
  readonly #options: DisruptionOptions
  readonly #maps = new Map<string, TenantMap>()
  /** Onsets this close belong together, ms. */
  readonly nearMs: number

  constructor(fleet: Fleet, graphs: TenantGraphs, options: DisruptionOptions) {
    this.#fleet = fleet
    this.#graphs = graphs
    this.#options = options
    this.nearMs = options.togetherWindows * options.stepMs
  }

  /** Name of the component an entity belongs to. */
  componentOf(entity: number): string {
    return this.#mappedOf(entity) ?? `namespace ${this.#fleet.entities[entity].namespace}`
  }

  /** The component of its tenant's call graph that an entity is in, undefined when it is in none. */
  #mappedOf(entity: number): string | undefined {
    const { tenant, name } = this.#fleet.entities[entity]
    const map = this.#mapOf(tenant)
    const found = map.components.get(name)
    const graph = this.#graphs.of(tenant)
    return found === undefined && name === FRONT_DOOR && graph.size > 0 ? frontOf(map, graph) : found
  }

  componentOfName(tenant: string, name: string): string {
    const entity = this.#fleet.id(tenant, name)
    return entity < 0 ? '' : this.componentOf(entity)
  }

  /** A graph that has grown names its components anew: open stories follow their first member. */
  #mapOf(tenant: string): TenantMap {
    let map = this.#maps.get(tenant)
    if (!map) {
      const none = {
        version: -1,
        counted: 0,
        changes: 0,
        isMapped: false,
        front: undefined,
        groups: undefined,
      }
      map = { ...none, components: new Map(), kin: new Map() }
      this.#maps.set(tenant, map)
    }
    const graph = this.#graphs.of(tenant)
    const own = this.#fleet.ownedBy(tenant)
    const { changes } = this.#fleet
    if (map.version === graph.version && map.counted === own.length && map.changes === changes) return map
    const isNew = map.version !== graph.version
    if (map.changes !== changes) map.counted = 0
    map.changes = changes
    // Calls may have been forgotten, too.
    if (isNew) map.isMapped = false
    for (let i = isNew ? 0 : map.counted; i < own.length && !map.isMapped; i++)
      map.isMapped = graph.has(this.#fleet.entities[own[i]].name)
    map.counted = own.length
    map.groups = undefined
    if (!isNew) return map
    map.version = graph.version
    map.components = graph.components()
    map.kin.clear()
    map.front = undefined
    for (const story of this.open) {
      const first = Object.keys(story.members)[0]
      if (story.kind === 'fault' && story.tenant === tenant && first !== undefined)
        story.component = this.componentOfName(tenant, first)
    }
    return map
  }

  /** Which open story an anomaly is evidence of; good until a story or a member comes or goes. */
  tellers(): Tellers {
    return new Tellers(this.open, this.#fleet)
  }

  /**
   * Names of all entities of the components that a story's members are in, sorted. Of components too large for
   * that, those nearest to the members by calls.
   */
  scope(story: Story): string[] {
    const members = Object.keys(story.members)
    const components = new Set([story.component])
    for (const name of members) components.add(this.componentOfName(story.tenant, name))
    const groups = [...components].flatMap(one => this.#groupsOf(story.tenant).get(one) ?? [])
    const count = groups.reduce((sum, { names }) => sum + names.length, 0)
    if (count <= MOST_SCOPE) return groups.flatMap(({ names }) => names).sort(compare)
    const graph = this.#graphs.of(story.tenant)
    // Where no call graph says who is near, all are.
    const out = groups.flatMap(({ apart }) => apart)
    for (const name of nearest(members, graph, MOST_SCOPE))
      if (graph.has(name) && this.#isIn(components, story.tenant, name)) out.push(name)
    return out.sort(compare)
  }

  #isIn(components: ReadonlySet<string>, tenant: string, name: string): boolean {
    const entity = this.#fleet.id(tenant, name)
    return entity >= 0 && components.has(this.componentOf(entity))
  }

  /** Entities of a tenant by component. */
  #groupsOf(tenant: string): ReadonlyMap<string, Group> {
    const map = this.#mapOf(tenant)
    if (map.groups) return map.groups
    const graph = this.#graphs.of(tenant)
    map.groups = new Map()
    for (const e of this.#fleet.ownedBy(tenant)) {
      const component = this.componentOf(e)
      const { name } = this.#fleet.entities[e]
      const group = map.groups.get(component) ?? { names: [], apart: [] }
      map.groups.set(component, group)
      group.names.push(name)
      if (!graph.has(name)) group.apart.push(name)
    }
    return map.groups
  }

  /** Lets strange entities join open stories, opens new ones. Returns the new ones, earliest first. */
  group(levels: WindowLevels, nowMs: number): Story[] {
    for (const { tenant } of this.open) this.#mapOf(tenant)
    const strange = this.#strange(levels)
    const taken = new Map<number, Story>()
    const waiting: number[] = []
    for (const entity of strange) {
      const story = this.#storyOf(entity, levels) ?? this.#joinable(entity, this.open, levels)
      if (story) this.#take(story, entity, levels, nowMs, taken)
      else waiting.push(entity)
    }
    const born: Story[] = []
    for (const seed of waiting) {
      if (levels.level[seed] < this.#options.openAt || taken.has(seed)) continue
      const joined = this.#joinable(seed, born, levels)
      if (joined) {
        this.#take(joined, seed, levels, nowMs, taken)
        continue
      }
      if (!this.hasRoom(this.#fleet.entities[seed].tenant, born)) {
        this.dropped++
        continue
      }
      const story = this.#birth(seed, nowMs)
      this.#take(story, seed, levels, nowMs, taken)
      born.push(story)
    }
    for (const entity of waiting) {
      if (taken.has(entity)) continue
      const story = this.#joinable(entity, born, levels)
      if (story) this.#take(story, entity, levels, nowMs, taken)
    }
    this.open.push(...born)
    return born
  }

  /** A tenant has its own limit, and all together have that of several: one in trouble leaves room for others. */
  hasRoom(tenant: string, born: readonly Story[]): boolean {
    const { maxOpen } = this.#options
    if (this.open.length + born.length >= TENANTS_FULL * maxOpen) return false
    return this.openOf(tenant) + born.filter(story => story.tenant === tenant).length < maxOpen
  }

  /** Open stories of a tenant. */
  openOf(tenant: string): number {
    let own = 0
    for (const story of this.open) if (story.tenant === tenant) own++
    return own
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
    if (onsetMs !== null && onsetMs > member.runMs) member.runMs = onsetMs
    const silence = levels.silent.get(entity)
    if (silence) {
      member.silence = silence.whole ? 'whole' : member.silence === 'whole' ? 'whole' : 'instances'
      member.instances = [...silence.instances]
    }
    taken.set(entity, story)
  }

  /** The open story that an entity's present run of strange windows belongs to; a calm member's is its last. */
  #storyOf(entity: number, levels: WindowLevels): Story | undefined {
    const { tenant, name, onsetMs } = this.#fleet.entities[entity]
    let found: Story | undefined
    for (const story of this.open) {
      const member = story.tenant === tenant ? story.members[name] : undefined
      if (!member || story.kind !== 'fault') continue
      const same = onsetMs === null || onsetMs <= member.runMs || this.together(onsetMs, story)
      // A member that was calm and is strange again goes on with the story only while its cause explains it.
      if (!same && !this.#explains(story, name, levels)) continue
      if (!found || member.runMs > found.members[name].runMs) found = story
    }
    return found
  }

  /** Whether an open story's members include the entity by its present run. */
  isActive(story: Story, name: string): boolean {
    const entity = this.#fleet.id(story.tenant, name)
    if (entity < 0) return false
    const { onsetMs } = this.#fleet.entities[entity]
    return onsetMs === null || onsetMs <= story.members[name].runMs
  }

  /** Entities that are strange by another story which still goes on: they are no suspects of this one. */
  told(story: Story): Set<string> {
    const out = new Set<string>()
    for (const other of this.open) {
      if (other === story || other.kind !== 'fault' || other.tenant !== story.tenant) continue
      for (const name of Object.keys(other.members)) {
        if (story.members[name] === undefined && this.isActive(other, name)) out.add(name)
      }
    }
    return out
  }

  #joinable(entity: number, stories: readonly Story[], levels: WindowLevels): Story | undefined {
    const { tenant, name } = this.#fleet.entities[entity]
    return stories.find(story => {
      if (story.kind !== 'fault' || story.tenant !== tenant) return false
      return this.#correlated(entity, story) || this.#explains(story, name, levels)
    })
  }

  /**
   * Whether an onset makes an entity part of a story: near it and joined by a call path to a member; or, where one
   * of the two is in no call graph, next to a member's onset and in no other namespace. Where a tenant has no call
   * graph at all, near is enough.
   */
  #correlated(entity: number, story: Story): boolean {
    const { tenant, name, namespace, onsetMs } = this.#fleet.entities[entity]
    if (onsetMs === null || !this.together(onsetMs, story)) return false
    const own = this.#mappedOf(entity)
    if (own !== undefined && this.#mappedTo(story, own)) return this.linked(name, story)
    const { isMapped } = this.#mapOf(tenant)
    const close = isMapped ? CORRELATED_WINDOWS * this.#options.stepMs : this.nearMs
    let members = 0
    for (const member of Object.keys(story.members)) {
      const other = this.#fleet.id(tenant, member)
      if (other < 0 || ++members > MOST_COMPARED) continue
      if ((own === undefined) !== (this.#mappedOf(other) === undefined)) continue
      if (own !== undefined) continue
      const space = this.#fleet.entities[other].namespace
      if (space !== '' && namespace !== '' && space !== namespace) continue
      if (!isMapped || Math.abs(onsetMs - story.members[member].runMs) <= close) return true
    }
    return false
  }

  #mappedTo(story: Story, component: string): boolean {
    return Object.keys(story.members).some(name => {
      const entity = this.#fleet.id(story.tenant, name)
      return entity >= 0 && this.#mappedOf(entity) === component
    })
  }

  /** Whether an onset is near those of a story. The front slides with every member, but not without end. */
  together(onsetMs: number, story: Story): boolean {
    return (
      onsetMs >= story.episodeMs - this.nearMs &&
      onsetMs <= story.lastOnsetMs + this.nearMs &&
      onsetMs <= story.episodeMs + MOST_SLIDES * this.nearMs
    )
  }

  /** Whether the call graph joins an entity to a member; what is in no graph is joined by its onset alone. */
  linked(name: string, story: Story): boolean {
    const graph = this.#graphs.of(story.tenant)
    if (!graph.has(name)) return true
    const measured = (other: string): boolean => this.#fleet.id(story.tenant, other) >= 0
    let members = 0
    for (const member of Object.keys(story.members)) {
      if (++members > MOST_COMPARED) return true
      if (!graph.has(member) || joined(name, member, graph, measured)) return true
    }
    return false
  }

  /** Whether a story's cause is still strange and lies on a call path with the entity. */
  #explains(story: Story, name: string, levels: WindowLevels): boolean {
    const cause = story.suspects[0]?.entity
    if (cause === undefined) return false
    if (cause === name) return true
    const entity = this.#fleet.id(story.tenant, cause)
    if (entity < 0 || !(levels.level[entity] >= this.#options.stayShare * this.#options.memberAt))
      return false
    if (story.members[cause] !== undefined && !this.isActive(story, cause)) return false
    return this.#kinOf(story.tenant, cause).has(name)
  }

  /** Everybody above and below an entity, remembered until the graph changes. */
  #kinOf(tenant: string, entity: string): ReadonlySet<string> {
    const { kin: all } = this.#mapOf(tenant)
    const known = all.get(entity)
    if (known) return known
    const graph = this.#graphs.of(tenant)
    const kin = graph.ancestors(entity)
    for (const name of graph.descendants(entity)) kin.add(name)
    if (all.size >= this.#options.maxOpen) all.clear()
    all.set(entity, kin)
    return kin
  }
}

/** The component of the least entity that calls others and is called by none. */
function frontOf(map: TenantMap, graph: CallGraph): string {
  if (map.front !== undefined) return map.front
  const [first] = graph.frontDoors()
  map.front = first === undefined ? FRONT_DOOR : (map.components.get(first) ?? first)
  return map.front
}

/** The sliding extension of a story by new onsets ends after this many times `togetherWindows`. */
const MOST_SLIDES = 10
/** Onsets this close are one event where no call graph says so, windows: an onset is known to a window or two. */
const CORRELATED_WINDOWS = 2
/** Entities among which a cause is looked for; in a larger component the nearest by calls. */
const MOST_SCOPE = 400
/** Members that a newcomer is compared with; of so large a story everything is part. */
const MOST_COMPARED = 500
