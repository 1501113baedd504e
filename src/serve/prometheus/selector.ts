import { RE2JS } from 're2js'

/**
 * The part of PromQL that is spoken here (Prometheus documentation, "Querying basics"): instant vector selectors with
 * `=`, `!=`, `=~`, `!~`, and plain numbers with + - * /, which Grafana asks for to see whether the source answers.
 */

/** A mistake in a query, told to whoever asked. */
export class QueryError extends Error {}

export interface Matcher {
  readonly name: string
  /** True when a value of the label is wanted; an absent label is an empty value. */
  readonly matches: (value: string) => boolean
  /** The only value wanted, where there is only one. */
  readonly equals?: string
}

export type Query =
  | { readonly type: 'number'; readonly value: number }
  | { readonly type: 'selector'; readonly matchers: readonly Matcher[] }

/** Longer queries are refused unread; a selector needs some hundred characters. */
const QUERY_CHARS_MAX = 8192
/** Texts that a pattern remembers to have been tried on; labels such as pods have millions of values. */
const KNOWN_MAX = 10_000
const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*/
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*/
const SUPPORTED = 'only selectors such as anomaly_score{entity="checkout"} are supported'

/** Throws QueryError. */
export function parseQuery(text: string): Query {
  if (text.length > QUERY_CHARS_MAX) throw new QueryError(`a query has at most ${QUERY_CHARS_MAX} characters`)
  const trimmed = text.trim()
  if (/^[-+0-9.]/.test(trimmed)) return { type: 'number', value: arithmetic(trimmed) }
  return { type: 'selector', matchers: parseSelector(trimmed) }
}

/** A selector's matchers, its metric name among them as `__name__`. Throws QueryError. */
export function parseSelector(text: string): Matcher[] {
  const matchers: Matcher[] = []
  const name = NAME.exec(text)?.[0] ?? ''
  let rest = text.slice(name.length).trimStart()
  if (name !== '') matchers.push(equalTo('__name__', name))
  if (rest.startsWith('(') || /^(by|without)\b/.test(rest))
    throw new QueryError(`${name} is a function or aggregation of PromQL: ${SUPPORTED}`)
  if (rest.startsWith('{')) {
    rest = rest.slice(1).trimStart()
    while (!rest.startsWith('}')) {
      const { matcher, after } = parseMatcher(rest)
      matchers.push(matcher)
      rest = after.trimStart()
      if (rest.startsWith(',')) rest = rest.slice(1).trimStart()
      else if (!rest.startsWith('}')) throw new QueryError(`expected , or } before "${shown(rest)}"`)
    }
    rest = rest.slice(1).trim()
  }
  if (rest !== '') throw new QueryError(`"${shown(rest)}" is not spoken here: ${SUPPORTED}`)
  if (!matchers.some(matcher => !matcher.matches('')))
    throw new QueryError('a selector must hold a metric name or a matcher that wants a value')
  return matchers
}

function parseMatcher(text: string): { matcher: Matcher; after: string } {
  const name = LABEL.exec(text)?.[0]
  if (name === undefined) throw new QueryError(`expected a label name at "${shown(text)}"`)
  const rest = text.slice(name.length).trimStart()
  const operator = /^(=~|!~|!=|=)/.exec(rest)?.[0]
  if (operator === undefined) throw new QueryError(`expected =, !=, =~ or !~ after ${name}`)
  const { value, after } = parseString(rest.slice(operator.length).trimStart())
  if (operator === '=') return { matcher: equalTo(name, value), after }
  if (operator === '!=') return { matcher: { name, matches: text => text !== value }, after }
  const wanted = operator === '=~'
  const pattern = compiled(value)
  const known = new Map<string, boolean>()
  const matches = (text: string) => {
    let found = known.get(text)
    if (found === undefined) {
      found = pattern.matches(text) === wanted
      if (known.size >= KNOWN_MAX) known.clear()
      known.set(text, found)
    }
    return found
  }
  return { matcher: { name, matches }, after }
}

function equalTo(name: string, value: string): Matcher {
  return { name, matches: text => text === value, equals: value }
}

/** RE2, as Prometheus has it: its time is linear in the text, so no pattern can hold up the service. */
function compiled(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern, RE2JS.DOTALL)
  } catch (error) {
    throw new QueryError(`the pattern "${shown(pattern)}" is not RE2: ${(error as Error).message}`)
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '\\': '\\',
  '"': '"',
  "'": "'",
}

function parseString(text: string): { value: string; after: string } {
  const quote = text[0]
  if (quote !== '"' && quote !== "'" && quote !== '`')
    throw new QueryError(`expected a quoted value at "${shown(text)}"`)
  let value = ''
  for (let i = 1; i < text.length; i++) {
    const c = text[i]
    if (c === quote) return { value, after: text.slice(i + 1) }
    if (c !== '\\' || quote === '`') {
      value += c
      continue
    }
    const escaped = ESCAPES[text[++i]]
    if (escaped === undefined) throw new QueryError(`unknown escape \\${text[i] ?? ''} in a quoted value`)
    value += escaped
  }
  throw new QueryError('a quoted value does not end')
}

function shown(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text
}

const TERM = /^\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*/
const OPERATOR = /^([-+*/])/

/** Numbers joined by + - * /, the latter two first. */
function arithmetic(text: string): number {
  let rest = text
  const next = (): number => {
    const term = TERM.exec(rest)
    if (term === null) throw new QueryError(`expected a number at "${shown(rest)}": ${SUPPORTED}`)
    rest = rest.slice(term[0].length)
    return Number(term[1])
  }
  let sum = 0
  let product = next()
  while (rest !== '') {
    const operator = OPERATOR.exec(rest)?.[0]
    if (operator === undefined) throw new QueryError(`expected + - * / at "${shown(rest)}": ${SUPPORTED}`)
    rest = rest.slice(1)
    const value = next()
    if (operator === '*') product *= value
    else if (operator === '/') product /= value
    else {
      sum += product
      product = operator === '+' ? value : -value
    }
  }
  return sum + product
}
