/** RFC 8259 section 6. */
const GRAMMAR = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/

/** The float64 that JSON.parse makes of the text of a number; undefined when it is none. */
export function jsonNumber(text: string): number | undefined {
  return GRAMMAR.test(text) ? Number(text) : undefined
}
