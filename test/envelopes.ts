import type { Envelope } from '../src/core/envelope.ts'

/** A body of JSON lines, as the service makes an envelope of it. */
export function jsonLines(lines: readonly object[], arrivalMs: number): Envelope {
  const bytes = new TextEncoder().encode(lines.map(line => JSON.stringify(line)).join('\n'))
  return { kind: 'json-lines', encoding: 'identity', arrivalMs, tenant: 'default', bytes }
}
