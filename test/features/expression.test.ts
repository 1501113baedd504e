// Shows that SLI expressions compute what they say over columns, that a missing input or a division by zero is
// "no opinion", and that nothing but the allowed parts gets through, whatever the text. Expected values are
// JavaScript's own arithmetic; hostile texts are tried by hand and by fast-check.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ForeshockError } from '../../src/core/errors.ts'
import { compileExpression, type SliExpression } from '../../src/features/expression.ts'

function evaluate(expression: string, columns: readonly (readonly number[])[]): number[] {
  const compiled = compileExpression({ metric: 'm', expression })
  const groups = columns[0].length
  const out = new Float64Array(groups)
  compiled.evaluate(
    columns.map(column => Float64Array.from(column)),
    groups,
    out,
  )
  return [...out]
}

function refusal(expression: string, more: Partial<SliExpression> = {}): string {
  try {
    compileExpression({ metric: 'm', expression, ...more })
  } catch (error) {
    expect(error).toBeInstanceOf(ForeshockError)
    expect((error as ForeshockError).code).toBe('FS_EXPRESSION_INVALID')
    return (error as Error).message
  }
  throw new Error(`${expression} was taken`)
}

describe('values', () => {
  it('computes over groups', () => {
    expect(
      evaluate('a / b', [
        [1, 2, 3],
        [2, 4, 8],
      ]),
    ).toEqual([0.5, 0.5, 0.375])
    expect(
      evaluate('100 * (1 - rate(errors) / rate(requests))', [
        [1, 0],
        [4, 5],
      ]),
    ).toEqual([75, 100])
    expect(
      evaluate('-a + b ^ 2', [
        [1, 2],
        [3, -3],
      ]),
    ).toEqual([8, 7])
    expect(evaluate('clamp(a, 0, 1)', [[-1, 0.5, 2]])).toEqual([0, 0.5, 1])
    expect(
      evaluate('max(a, b, 3)', [
        [1, 9],
        [2, 4],
      ]),
    ).toEqual([3, 9])
    expect(
      evaluate('min(a + 0, b)', [
        [1, 9],
        [2, 4],
      ]),
    ).toEqual([1, 4])
    expect(evaluate('abs(a) + sqrt(b)', [[-1], [9]])).toEqual([4])
    expect(evaluate('(a > 1) * 10 + (a <= 1)', [[1, 2, Number.NaN]])).toEqual([1, 10, Number.NaN])
  })

  it('agrees with JavaScript on random arithmetic', () => {
    const tree = fc.letrec<{ node: string }>(tie => ({
      node: fc.oneof(
        { depthSize: 'small', maxDepth: 5 },
        fc.constantFrom('a', 'b', 'c', '2', '0.5'),
        fc
          .tuple(tie('node'), fc.constantFrom('+', '-', '*', '/'), tie('node'))
          .map(([x, op, y]) => `(${x} ${op} ${y})`),
      ),
    })).node
    const value = fc.double({ min: -100, max: 100, noNaN: true })
    fc.assert(
      fc.property(tree, value, value, value, (text, a, b, c) => {
        const expression = `a + b + c + ${text}`
        const reference = new Function('a', 'b', 'c', `return ${expression}`)(a, b, c)
        const got = evaluate(expression, [[a], [b], [c]])[0]
        // Division by zero is the one difference that is meant, and it may hide inside.
        if (Number.isNaN(got)) return
        expect(got).toBe(reference)
      }),
    )
  })

  it('has no opinion on division by zero, a missing input, or what is not finite', () => {
    expect(
      evaluate('a / b', [
        [1, 0, Number.NaN, 1],
        [0, 0, 1, Number.NaN],
      ]),
    ).toEqual(Array(4).fill(Number.NaN))
    expect(evaluate('a ^ 1e9', [[2, 1]])).toEqual([Number.NaN, 1])
    expect(evaluate('a + 9^9^9^9', [[1]])).toEqual([Number.NaN])
    expect(evaluate('log(a)', [[0, -1, 1]])).toEqual([Number.NaN, Number.NaN, 0])
    expect(evaluate('max(a, b)', [[1], [Number.NaN]])).toEqual([Number.NaN])
  })

  it('leaves its inputs as they are', () => {
    const a = Float64Array.of(1, 2)
    const out = new Float64Array(2)
    compileExpression({ metric: 'm', expression: 'a * 2 - a' }).evaluate([a], 2, out)
    expect([...a]).toEqual([1, 2])
    expect([...out]).toEqual([1, 2])
  })
})

describe('inputs', () => {
  it('names the metrics to read, once each', () => {
    const { inputs } = compileExpression({
      metric: 'm',
      expression: 'rate(errors) / (rate(errors) + rate(ok)) + avg(cpu) + slow + max(rate(ok))',
      where: { slow: { metric: 'latency_seconds:p99', labels: { route: '/pay' } } },
    })
    expect(inputs).toEqual([
      { metrics: ['errors:rate', 'errors_total:rate'], labels: {}, aggregation: 'sum' },
      { metrics: ['ok:rate', 'ok_total:rate'], labels: {}, aggregation: 'sum' },
      { metrics: ['cpu'], labels: {}, aggregation: 'avg' },
      { metrics: ['latency_seconds:p99'], labels: { route: '/pay' }, aggregation: 'sum' },
      { metrics: ['ok:rate', 'ok_total:rate'], labels: {}, aggregation: 'max' },
    ])
  })
})

describe('refusals', () => {
  it.each([
    ["import('fs')", /function import is not allowed at character 1/],
    ['a + evaluate("2")', /function evaluate is not allowed at character 5/],
    ['a.constructor', /Accessor is not allowed/],
    ['a["x"]', /Accessor is not allowed/],
    ['x = 3', /Assignment is not allowed/],
    ['f(x) = x', /FunctionAssignment is not allowed/],
    ['[a, b]', /Array is not allowed/],
    ['{a: 1}', /Object is not allowed/],
    ['a; b', /Block is not allowed/],
    ['a ? b : c', /Conditional is not allowed/],
    ['a < b < c', /Relational is not allowed/],
    ['1:3', /Range is not allowed/],
    ['a!', /operator ! is not allowed at character 2/],
    ["a'", /operator ' is not allowed/],
    ['a % b', /operator % is not allowed/],
    ['a and b', /operator and is not allowed/],
    ['2 a', /an operator is missing/],
    ['a + "text"', /text is not a number/],
    ['a + true', /true is not a number/],
    ['a + 1e999', /Infinity is not a number/],
    ['a +* b', /at character 4/],
    ['rate(a + b)', /rate takes one metric name/],
    ['rate()', /rate takes one metric name/],
    ['sum(a, b)', /sum takes one metric/],
    ['clamp(a)', /clamp takes/],
    ['abs(a, b)', /abs takes one value/],
    ['constructor(a)', /function constructor is not allowed/],
    ['__proto__(a)', /function __proto__ is not allowed/],
    ['toString(a)', /function toString is not allowed/],
    ['a.b(c)', /function/],
    ['1 + 2', /no metric is named/],
    ['  ', /empty/],
    [`a${' + a'.repeat(300)}`, /longer than 1000/],
    [`${'('.repeat(400)}a${')'.repeat(400)}`, /nesting deeper than 32/],
    [`a${'+a'.repeat(250)}`, /more than 200 parts/],
  ])('%#: %.40s', (text, message) => {
    const said = refusal(text)
    expect(said).toMatch(message)
    expect(said).toMatch(/allowed are numbers, metric names/)
  })

  it('any text compiles or is refused with the code, and never runs', () => {
    const piece = fc.constantFrom(
      ...[
        'a',
        'rate',
        '(',
        ')',
        '+',
        '/',
        '^',
        '"',
        '[',
        ']',
        '.',
        '=',
        ';',
        '1e9',
        'import',
        'process',
        '#',
        '\n',
        "'",
        '%',
        ',',
      ],
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece, { maxLength: 30 }).map(parts => parts.join('')),
        ),
        text => {
          try {
            const compiled = compileExpression({ metric: 'm', expression: text })
            const out = new Float64Array(1)
            compiled.evaluate(
              compiled.inputs.map(() => Float64Array.of(2)),
              1,
              out,
            )
            expect(out[0] === Number.POSITIVE_INFINITY).toBe(false)
          } catch (error) {
            expect(error).toBeInstanceOf(ForeshockError)
          }
        },
      ),
      { numRuns: 500 },
    )
  })
})
