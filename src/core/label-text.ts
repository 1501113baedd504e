/** A label value as canonical keys spell it. */
export function escapeLabel(value: string): string {
  return value.replace(/["\\\n]/g, c => (c === '\n' ? '\\n' : `\\${c}`))
}
