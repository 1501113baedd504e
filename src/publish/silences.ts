import type { Silence } from '../core/silence.ts'

/** Silences kept from one Alertmanager. */
const SILENCES_MAX = 10_000

/** The active silences in an answer of `GET /api/v2/silences`; what is not one is passed over. */
export function activeSilences(answer: unknown): Silence[] {
  if (!Array.isArray(answer)) return []
  const silences: Silence[] = []
  for (const item of answer.slice(0, SILENCES_MAX)) {
    if (item?.status?.state !== 'active' || typeof item.id !== 'string' || !Array.isArray(item.matchers))
      continue
    const matchers = item.matchers.map((m: Record<string, unknown>) => ({
      name: String(m?.name),
      value: String(m?.value),
      isRegex: m?.isRegex === true,
      isEqual: m?.isEqual !== false, // absent before Alertmanager 0.22, and then meant true
    }))
    // One without a matcher would silence everything: Alertmanager refuses it, and so do we.
    if (matchers.length > 0) silences.push({ id: item.id, matchers })
  }
  return silences
}

/** Whether every matcher agrees with the labels; a label that is absent counts as ''. */
export function silences(silence: Silence, labels: Readonly<Record<string, string>>): boolean {
  return silence.matchers.every(({ name, value, isRegex, isEqual }) => {
    const label = labels[name] ?? ''
    return (isRegex ? matchesWhole(value, label) : label === value) === isEqual
  })
}

function matchesWhole(pattern: string, text: string): boolean {
  try {
    return new RegExp(`^(?:${pattern})$`, 's').test(text)
  } catch {
    return false // RE2 syntax that JavaScript lacks
  }
}
