// Shows how what workers tell of budgets becomes one report: a budget that series of several share is promised once and judged by
// what all have spent; those of entities add up; a budget that only some workers' series have is told as well. And that a model that
// one of them does not ask any more is told of, whichever it is.
import { expect, it } from 'vitest'
import type { ModelState } from '../../src/core/model.ts'
import type { BudgetReport } from '../../src/core/stages.ts'
import { alertingOf, detectorsOf, modelsOf } from '../../src/shards/reports.ts'

const budget = (name: string, more: Partial<BudgetReport>): BudgetReport => ({
  name,
  each: 'budget',
  promisedPerWeek: 5,
  achievedPerWeek: 3,
  pools: 1,
  poolsOverspent: 0,
  series: 10,
  openSurpriseLeast: 4,
  openSurpriseMost: 4,
  ...more,
})
const report = (...budgets: BudgetReport[]) => ({ alerting: { budgets, rules: [], calendar: [] } })

it('adds up what is spent, and promises once what is shared', () => {
  const own = { each: 'entity', pools: 2, promisedPerWeek: 10 } as const
  const told = alertingOf([
    report(budget('all', {}), budget('entity', { ...own, poolsOverspent: 1 })),
    report(
      budget('rare', { openSurpriseLeast: null, openSurpriseMost: null }),
      budget('all', { series: 7, openSurpriseLeast: 3.5 }),
      budget('entity', own),
    ),
  ])
  const of = (name: string) => told?.budgets.find(one => one.name === name)
  expect(told?.budgets.map(({ name }) => name)).toEqual(['all', 'entity', 'rare'])
  // Three each are within five, six are not.
  expect(of('all')).toEqual(
    budget('all', { achievedPerWeek: 6, poolsOverspent: 1, series: 17, openSurpriseLeast: 3.5 }),
  )
  expect(of('entity')).toEqual(
    budget('entity', {
      each: 'entity',
      promisedPerWeek: 20,
      achievedPerWeek: 6,
      pools: 4,
      poolsOverspent: 1,
      series: 20,
    }),
  )
  expect(of('rare')).toEqual(budget('rare', { openSurpriseLeast: null, openSurpriseMost: null }))
})

it('tells of a problem that any of them has', () => {
  const use = { version: 3, digest: 'd', rows: 10, failed: 0, msPerRow: 1, msMax: 1 }
  const problem = 'm@3 gave no answer'
  const state = (why?: string): ModelState => ({
    model: 'm',
    champion: { ...use, ...(why && { problem: why }) },
    previous: null,
    challenger: null,
    covered: 1,
    refused: 0,
    ...(why && { problem: why }),
  })
  const report = (why?: string) => ({
    detectors: [{ id: 'models@1', warmUpWindows: 10, bytes: 0, counts: {}, ...(why && { problem: why }) }],
    pool: {},
    alerting: undefined,
    profileUse: undefined,
    models: [state(why)],
    bytes: 0,
    series: 1,
    rows: 10,
    busySeconds: 0,
  })
  const [well, ill] = [report(), report(problem)]
  for (const all of [
    [well, ill],
    [ill, well],
  ]) {
    expect(modelsOf(all)).toMatchObject([{ problem, champion: { rows: 20, problem } }])
    expect(detectorsOf(all)).toMatchObject([{ problem }])
  }
  expect(modelsOf([well, well])).toEqual([{ ...state(), covered: 2, champion: { ...use, rows: 20 } }])
})
