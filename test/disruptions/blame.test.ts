// Shows when calls speak against their caller: a copy to whom all it calls seem to fail, while others find them well,
// is the suspect itself; a callee that everybody finds failing stays one; order never matters.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { blameCallers } from '../../src/disruptions/blame.ts'
import { rankCauses } from '../../src/disruptions/cause.ts'
import { F } from '../../src/disruptions/families.ts'
import { type Finding, Findings } from '../../src/disruptions/findings.ts'
import { CallGraph } from '../../src/disruptions/graph.ts'
import { findingText } from '../../src/disruptions/words.ts'

const SERVICES = ['cart', 'mail', 'pay']

/** How strange `callee` seems: to a copy of checkout, or to itself when `copy` is ''. */
function finding(callee: string, copy: string, score: number, family: number = F.ok): Finding {
  return {
    key: `${callee} ${copy} ${family}`,
    metric: 'call_success_percent',
    unit: 'percent',
    entity: callee,
    family,
    onsetMs: 0,
    change: { tail: score, sigma: score, observed: 80, expected: 100, direction: 'drop', onset: 0 },
    onEdge: copy !== '',
    caller: copy === '' ? '' : 'checkout',
    point: copy === '' ? '' : `checkout ${copy}`,
    callee: '',
    copyOf: copy === '' ? '' : `success ${callee}`,
    labels: {},
    absent: false,
  }
}

const seen = (score: (callee: string, copy: string) => number): Finding[] =>
  SERVICES.flatMap(callee => ['a', 'b', 'c', ''].map(copy => finding(callee, copy, score(callee, copy))))

function columns(findings: readonly Finding[]): Findings {
  const out = new Findings()
  for (const one of findings) out.push(one)
  return out
}

/** The findings after those that speak against their caller were handed over. */
function blamed(findings: readonly Finding[]): Finding[] {
  const out = blameCallers(columns(findings))
  return findings.map((_, i) => out.at(i))
}

function suspects(findings: readonly Finding[]): string[] {
  const graph = new CallGraph(100)
  for (const callee of SERVICES) graph.add('checkout', callee, 0, true)
  return rankCauses(columns(findings), { graph, changes: [], onsetMs: 0, changeDecayMs: 600_000 }).map(
    c => c.entity,
  )
}

describe('calls that speak against their caller', () => {
  it('name the copy that alone finds everybody failing', () => {
    const findings = seen((_, copy) => (copy === 'b' ? 20 : 0.1))
    const moved = blamed(findings).filter(one => one.entity === 'checkout')
    expect(moved.map(one => one.callee)).toEqual(SERVICES)
    expect(findingText(moved[0])).toMatch(/in its calls to cart, which others find well$/)
    expect(suspects(findings)[0]).toBe('checkout')
  })

  it('stay evidence of a callee that all callers and itself find failing', () => {
    const findings = seen(callee => (callee === 'cart' ? 20 : 0.1))
    expect(blamed(findings)).toEqual(findings)
    expect(suspects(findings)[0]).toBe('cart')
  })

  it('stay with the callees when all of them fail to everybody', () => {
    const findings = seen(() => 20)
    expect(blamed(findings).every(one => one.entity !== 'checkout')).toBe(true)
  })

  it('stay with the callee where nobody else says anything of it', () => {
    const findings = SERVICES.map(callee => finding(callee, 'b', 20))
    expect(blamed(findings)).toEqual(findings)
  })

  it('say the same in any order', () => {
    const findings = seen((callee, copy) => (copy === 'b' ? 20 : callee === 'pay' ? 1 : 0.1))
    const expected = suspects(findings)
    fc.assert(
      fc.property(fc.shuffledSubarray(findings, { minLength: findings.length }), shuffled => {
        expect(suspects(shuffled)).toEqual(expected)
      }),
    )
  })
})

it('work of its own counts beside what a strange callee explains', () => {
  const cpu = { ...finding('checkout', '', 6, F.cpu), metric: 'cpu_percent' }
  const slow = { ...finding('checkout', '', 6, F.server), metric: 'latency_seconds' }
  const memory = { ...finding('checkout', '', 6, F.mem), metric: 'memory_bytes' }
  const callee = finding('cart', '', 8)
  const scoreOf = (findings: readonly Finding[]): number => {
    const graph = new CallGraph(100)
    graph.add('checkout', 'cart', 0, true)
    const causes = rankCauses(columns(findings), { graph, changes: [], onsetMs: 0, changeDecayMs: 600_000 })
    return causes.find(one => one.entity === 'checkout')?.score ?? 0
  }
  expect(scoreOf([slow, memory, callee])).toBe(scoreOf([slow, callee]))
  expect(scoreOf([slow, cpu, callee])).toBeGreaterThan(scoreOf([slow, callee]) + 0.5)
})
