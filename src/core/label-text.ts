const SPECIAL = /["\\\n]/

/** A label value as canonical keys spell it. */
export function escapeLabel(value: string): string {
  // Hardly any value holds what must be escaped, and to look is far cheaper than to replace.
  if (!SPECIAL.test(value)) return value
  return value.replace(/["\\\n]/g, c => (c === '\n' ? '\\n' : `\\${c}`))
}
