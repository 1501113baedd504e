import type { Fleet } from './fleet.ts'
import type { Member, Story } from './story.ts'

interface Telling {
  readonly story: Story
  readonly member: Member
}

/** Which open stories an entity is a member of, looked up once for all anomalies of a window. */
export class Tellers {
  /** By entity, in the order of the stories. */
  readonly #tellings = new Map<number, Telling[]>()

  constructor(open: readonly Story[], fleet: Fleet) {
    for (const story of open) {
      for (const name of Object.keys(story.members)) {
        const entity = fleet.id(story.tenant, name)
        const telling = { story, member: story.members[name] }
        const list = this.#tellings.get(entity)
        if (list) list.push(telling)
        else this.#tellings.set(entity, [telling])
      }
    }
    this.#tellings.delete(-1)
  }

  /** The story that an anomaly of a member is evidence of: that of the latest run that had begun by its end, `endMs`. */
  of(entity: number, endMs: number): Story | undefined {
    let found: Telling | undefined
    for (const one of this.#tellings.get(entity) ?? []) {
      if (endMs <= one.story.episodeMs) continue
      if (!found || one.member.runMs > found.member.runMs) found = one
    }
    return found?.story
  }
}
