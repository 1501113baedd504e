import { ForeshockError } from '../../core/errors.ts'

/** One condition on a label, as remote read numbers its kinds: = 0, != 1, =~ 2, !~ 3. */
export interface Matcher {
  readonly name: string
  readonly kind: 0 | 1 | 2 | 3
  readonly value: string
}

const KINDS: Readonly<Record<string, Matcher['kind']>> = { '=': 0, '!=': 1, '=~': 2, '!~': 3 }
const NAME = /^\s*([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*(?:\{(.*)\})?\s*$/s
const CONDITION =
  /^\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*(,|$)/s

/**
 * The conditions of a Prometheus series selector such as `up` or `http_requests_total{job=~"shop.*"}`. Remote read
 * takes no more of PromQL than that. Throws FS_CONFIG_INVALID for anything else.
 */
export function matchersOf(selector: string): Matcher[] {
  const parts = NAME.exec(selector)
  if (!parts) throw refused(selector, 'is no series selector')
  const matchers: Matcher[] = parts[1] === undefined ? [] : [{ name: '__name__', kind: 0, value: parts[1] }]
  for (let rest = parts[2] ?? ''; rest.trim() !== ''; ) {
    const found = CONDITION.exec(rest)
    if (!found) throw refused(selector, `cannot be read from "${rest.trim().slice(0, 40)}" on`)
    matchers.push({ name: found[1], kind: KINDS[found[2]], value: unquoted(found[3]) })
    rest = rest.slice(found[0].length)
  }
  if (matchers.length === 0) throw refused(selector, 'names neither a metric nor a label')
  return matchers
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' }

function unquoted(text: string): string {
  return text.slice(1, -1).replace(/\\(.)/gs, (_, c: string) => ESCAPES[c] ?? c)
}

function refused(selector: string, why: string): ForeshockError {
  const text = `warmup.prometheus.queries: "${selector.slice(0, 100)}" ${why}; write a selector such as up{job="shop"}`
  return new ForeshockError('FS_CONFIG_INVALID', text)
}
