import type { SeriesMeta } from './series.ts'

/** Which series something is about: every part given must match. `*` stands for any text. */
export interface SeriesMatch {
  /** Glob over the series key. */
  readonly series?: string | undefined
  /** Glob over the tenant. */
  readonly tenant?: string | undefined
  /** Glob over the metric name. */
  readonly metric?: string | undefined
  /** Glob over the entity, or globs by label; `tenant` and `entity` may stand among them as labels of every series. */
  readonly group?: string | Readonly<Record<string, string>> | undefined
}

/** Whether a text is one of those that a pattern means; without a pattern every text is. */
export function globOf(pattern: string | undefined): (text: string) => boolean {
  if (pattern === undefined) return () => true
  // Pieces are sought one after the other: no pattern can make this slow, as a regular expression could be made.
  const pieces = pattern.split('*')
  return text => {
    if (pieces.length === 1) return text === pattern
    const last = pieces[pieces.length - 1]
    if (!text.startsWith(pieces[0]) || text.length < pieces[0].length + last.length) return false
    let at = pieces[0].length
    for (const piece of pieces.slice(1, -1)) {
      const found = text.indexOf(piece, at)
      if (found < 0) return false
      at = found + piece.length
    }
    return text.endsWith(last) && text.length - last.length >= at
  }
}

export function matcherOf({ series, tenant, metric, group }: SeriesMatch): (meta: SeriesMeta) => boolean {
  const [key, name, holder] = [globOf(series), globOf(metric), globOf(tenant)]
  const owners =
    typeof group === 'string' || group === undefined
      ? [{ label: 'entity', fits: globOf(group) }]
      : Object.entries(group).map(([label, pattern]) => ({ label, fits: globOf(pattern) }))
  return meta =>
    key(meta.key) &&
    name(meta.metric) &&
    holder(meta.tenant) &&
    owners.every(({ label, fits }) => fits(labelOf(meta, label)))
}

/** A label that is absent counts as ''. */
function labelOf(meta: SeriesMeta, label: string): string {
  if (label === 'entity') return meta.entity
  if (Object.hasOwn(meta.labels, label)) return meta.labels[label]
  return label === 'tenant' ? meta.tenant : ''
}
