import { createRequire } from 'node:module'
import type { MathNode } from 'mathjs'
import { ForeshockError } from '../core/errors.ts'
import type { Labels } from '../core/series.ts'
import { binaryStep, comparison, mapped, OPERATORS, type Step, UNARY } from './expression-steps.ts'

/** A derived metric as written in the configuration. */
export interface SliExpression {
  /** Name of the metric it makes. */
  readonly metric: string
  readonly expression: string
  /** Labels that make groups: one derived series for each combination. `service` by default. */
  readonly by?: readonly string[] | undefined
  readonly unit?: string | undefined
  readonly kind?: string | undefined
  /** Which way is bad; by the kind when left out. */
  readonly bad?: 'up' | 'down' | 'both' | undefined
  /** Names that are not metric names themselves, or that need labels: name → metric and labels to match. */
  readonly where?:
    | Readonly<Record<string, { readonly metric: string; readonly labels?: Labels | undefined }>>
    | undefined
}

export type Aggregation = 'sum' | 'avg' | 'min' | 'max'

/** One input column: the series of a group that match, put together by `aggregation`. */
export interface ExpressionInput {
  /** Metric names that match; the first that exists in a group is used. */
  readonly metrics: readonly string[]
  readonly labels: Labels
  readonly aggregation: Aggregation
}

export interface CompiledExpression {
  readonly inputs: readonly ExpressionInput[]
  /**
   * Evaluates `groups` rows: `columns[i][g]` is input i of group g, NaN when missing. Writes finite values or
   * NaN ("no opinion") to `out`. Columns are not changed.
   */
  evaluate(columns: readonly Float64Array[], groups: number, out: Float64Array): void
}

/** Characters; a longer one is a program, not an SLI. */
const TEXT_MAX = 1000
/** Nesting of an expression; keeps every walk over it shallow. */
const DEPTH_MAX = 32
/** Parts of an expression. */
const NODES_MAX = 200

const ALLOWED =
  'numbers, metric names, + - * / ^ and unary minus, < <= > >= == != (1 or 0), parentheses, ' +
  'rate(metric), sum(metric), avg(metric), min(metric), max(metric), min(a, b, …), max(a, b, …), ' +
  'abs(x), sqrt(x), log(x), exp(x), clamp(x, low, high)'

/** What mathjs gives for the nodes that are allowed; its own types are wider. */
interface Node {
  readonly type: string
  readonly value?: unknown
  readonly name?: string
  readonly fn?: string | { readonly name?: string }
  readonly op?: string
  readonly implicit?: boolean
  readonly args?: readonly Node[]
  readonly content?: Node
  toString(): string
}

class Compiler {
  readonly inputs: ExpressionInput[] = []
  readonly #expression: SliExpression
  #nodes = 0

  constructor(expression: SliExpression) {
    this.#expression = expression
  }

  step(node: Node, depth: number): Step {
    if (depth > DEPTH_MAX) throw this.#wrong(node, `nesting deeper than ${DEPTH_MAX}`)
    if (++this.#nodes > NODES_MAX) throw this.#wrong(node, `more than ${NODES_MAX} parts`)
    switch (node.type) {
      case 'ParenthesisNode':
        return this.step(node.content as Node, depth + 1)
      case 'ConstantNode':
        return this.#constant(node)
      case 'SymbolNode':
        return this.#column(node, 'sum', false)
      case 'OperatorNode':
        return this.#operator(node, depth)
      case 'FunctionNode':
        return this.#call(node, depth)
      default:
        throw this.#wrong(node, `${node.type.replace(/Node$/, '')} is not allowed`)
    }
  }

  #constant(node: Node): Step {
    const { value } = node
    if (typeof value !== 'number' || !Number.isFinite(value))
      throw this.#wrong(node, `${String(value).slice(0, 40)} is not a number`)
    return (_, groups, out) => {
      out.fill(value, 0, groups)
    }
  }

  /** A reference to metrics: column `index` of the inputs. */
  #column(node: Node, aggregation: Aggregation, rate: boolean): Step {
    const name = node.name ?? ''
    const where = this.#expression.where
    const known = where && Object.hasOwn(where, name) ? where[name] : undefined
    const metric = known?.metric ?? name
    const metrics = rate ? [`${metric}:rate`, `${metric}_total:rate`] : [metric]
    const labels = known?.labels ?? {}
    const text = JSON.stringify([metrics, labels, aggregation])
    let index = this.inputs.findIndex(i => JSON.stringify([i.metrics, i.labels, i.aggregation]) === text)
    if (index < 0) index = this.inputs.push({ metrics, labels, aggregation }) - 1
    return (columns, groups, out) => {
      out.set(columns[index].subarray(0, groups))
    }
  }

  #operator(node: Node, depth: number): Step {
    const args = node.args ?? []
    if (node.implicit) throw this.#wrong(node, 'an operator is missing between two parts')
    if (args.length === 1 && (node.fn === 'unaryMinus' || node.fn === 'unaryPlus')) {
      const inner = this.step(args[0], depth + 1)
      return node.fn === 'unaryPlus' ? inner : mapped(inner, x => -x)
    }
    const combine = Object.hasOwn(OPERATORS, String(node.fn)) ? OPERATORS[String(node.fn)] : undefined
    // `5%` is a division by 100 to mathjs, but its sign reads as a remainder to others.
    if (!combine || args.length !== 2 || node.op === '%')
      throw this.#wrong(node, `operator ${node.op} is not allowed`)
    // A chain a + b + c leans to the left and is not nested; NODES_MAX bounds it.
    return binaryStep(this.step(args[0], depth), this.step(args[1], depth + 1), combine)
  }

  #call(node: Node, depth: number): Step {
    const name = typeof node.fn === 'string' ? node.fn : (node.fn?.name ?? '')
    const args = node.args ?? []
    if (name === 'rate') return this.#column(this.#reference(node, args), 'sum', true)
    const reference = args.length === 1 ? referenceOf(args[0]) : undefined
    if (name === 'sum' || name === 'avg' || ((name === 'min' || name === 'max') && reference)) {
      if (!reference) throw this.#wrong(node, `${name} takes one metric or one rate(metric)`)
      return this.#column(reference.symbol, name, reference.rate)
    }
    if (name === 'min' || name === 'max') {
      if (args.length < 2) throw this.#wrong(node, `${name} takes one metric or several values`)
      const combine = comparison(name === 'min' ? Math.min : Math.max)
      return args.map(arg => this.step(arg, depth + 1)).reduce((a, b) => binaryStep(a, b, combine))
    }
    if (name === 'clamp') {
      if (args.length !== 3) throw this.#wrong(node, 'clamp takes a value, a lowest and a highest')
      const [x, low, high] = args.map(arg => this.step(arg, depth + 1))
      return binaryStep(binaryStep(x, low, comparison(Math.max)), high, comparison(Math.min))
    }
    const unary = Object.hasOwn(UNARY, name) ? UNARY[name] : undefined
    if (!unary) throw this.#wrong(node, `function ${name || '?'} is not allowed`)
    if (args.length !== 1) throw this.#wrong(node, `${name} takes one value`)
    return mapped(this.step(args[0], depth + 1), unary)
  }

  #reference(node: Node, args: readonly Node[]): Node {
    if (args.length !== 1 || args[0].type !== 'SymbolNode')
      throw this.#wrong(node, 'rate takes one metric name')
    return args[0]
  }

  #wrong(node: Node, what: string): ForeshockError {
    const name =
      typeof node.fn === 'object' ? node.fn.name : node.type === 'OperatorNode' ? node.op : undefined
    const text = this.#expression.expression
    // mathjs keeps no positions, so the first place with the same text stands in for it.
    const at = text.indexOf(name ?? node.toString())
    return invalid(this.#expression, what, at < 0 ? undefined : at + 1)
  }
}

/** `metric`, `rate(metric)`, or undefined. */
function referenceOf(node: Node): { symbol: Node; rate: boolean } | undefined {
  if (node.type === 'SymbolNode') return { symbol: node, rate: false }
  const isRate = node.type === 'FunctionNode' && typeof node.fn === 'object' && node.fn.name === 'rate'
  const symbol = node.args?.[0]
  return isRate && node.args?.length === 1 && symbol?.type === 'SymbolNode'
    ? { symbol, rate: true }
    : undefined
}

function invalid(expression: SliExpression, what: string, at: number | undefined): ForeshockError {
  const place = at === undefined ? '' : ` at character ${at}`
  return new ForeshockError(
    'FS_EXPRESSION_INVALID',
    `${expression.metric}: ${what}${place}; allowed are ${ALLOWED}`,
  )
}

/** Where brackets nest deeper than `depth`, counted from 1; 0 when nowhere. The parser itself is recursive. */
function deeperThan(text: string, depth: number): number {
  let open = 0
  for (let i = 0; i < text.length; i++) {
    if ('([{'.includes(text[i])) open++
    else if (')]}'.includes(text[i])) open--
    if (open > depth) return i + 1
  }
  return 0
}

let parser: ((text: string) => MathNode) | undefined

/** mathjs takes a good part of the start-up time, so it is loaded only when there is an expression. */
function parse(text: string): Node {
  parser ??= (createRequire(import.meta.url)('mathjs/number') as { parse: (text: string) => MathNode }).parse
  return parser(text) as unknown as Node
}

/**
 * Compiles an SLI expression to loops over columns. The text is parsed by mathjs and never evaluated: only
 * the nodes and functions listed in the error are taken. Throws FS_EXPRESSION_INVALID with the place and the list.
 */
export function compileExpression(expression: SliExpression): CompiledExpression {
  const text = expression.expression
  if (text.trim() === '') throw invalid(expression, 'an empty expression', undefined)
  if (text.length > TEXT_MAX) throw invalid(expression, `longer than ${TEXT_MAX} characters`, TEXT_MAX + 1)
  const deep = deeperThan(text, DEPTH_MAX)
  if (deep > 0) throw invalid(expression, `nesting deeper than ${DEPTH_MAX}`, deep)
  let node: Node
  try {
    node = parse(text)
  } catch (error) {
    const { message, char } = error as Error & { char?: number }
    throw invalid(expression, message.replace(/ ?\(char \d+\)/, ''), char)
  }
  const compiler = new Compiler(expression)
  const step = compiler.step(node, 0)
  if (compiler.inputs.length === 0) throw invalid(expression, 'no metric is named', undefined)
  return {
    inputs: compiler.inputs,
    evaluate(columns, groups, out) {
      step(columns, groups, out)
      for (let i = 0; i < groups; i++) if (!Number.isFinite(out[i])) out[i] = Number.NaN
    },
  }
}
