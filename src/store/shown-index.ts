import type { Disruption } from '../core/disruption.ts'
import type { RecordIndex } from '../core/ports.ts'

/** An index whose disruptions are answered as they are shown now, such as silenced. */
export function shownIndex(index: RecordIndex, shown: (one: Disruption) => Disruption): RecordIndex {
  return {
    apply: (lines, source) => index.apply(lines, source),
    position: () => index.position(),
    changes: (limit, tenant) => index.changes(limit, tenant),
    anomalies: query => index.anomalies(query),
    similar: async (id, limit) =>
      (await index.similar(id, limit)).map(one => ({ ...one, disruption: shown(one.disruption) })),
    disruption: async id => {
      const found = await index.disruption(id)
      return found && shown(found)
    },
    disruptions: async query => {
      const page = await index.disruptions(query)
      return { ...page, items: page.items.map(shown) }
    },
    close: () => index.close(),
  }
}
