// Shows that docs/scale.md says what its script computes, that the numbers follow from the unit costs stated (they
// scale with the series, and each with its own cost), and that what it says breaks first does so by these numbers.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { fleetOf, MARKS, PLAN, tables, UNITS } from '../../scripts/scale.ts'
import { ROOT } from './files.ts'

const page = readFileSync(join(ROOT, 'docs/scale.md'), 'utf8')

it('the page holds what is computed', () => {
  const [from, to] = [page.indexOf(MARKS[0]), page.indexOf(MARKS[1])]
  expect(page.slice(from + MARKS[0].length, to).trim()).toBe(tables())
})

it('what is needed grows with the series', () => {
  const [small, large] = [fleetOf(10e6), fleetOf(100e6)]
  for (const name of [
    'gatewayCores',
    'scorerCores',
    'stageBytes',
    'kafkaBytes',
    'redisBytes',
    'partitions',
  ] as const)
    expect(large[name] / small[name], name).toBeCloseTo(10, 6)
})

it('follows from the costs of one', () => {
  const fleet = fleetOf(10e6)
  const perSecond = 10e6 / PLAN.stepS
  expect(fleet.gatewayCores * PLAN.usedShare * 1e9).toBeCloseTo(perSecond * UNITS.gatewayNs.value, 0)
  expect(fleet.scorerBytes).toBe(10e6 * UNITS.scorerBytes.value)
  expect(fleet.kafkaBytes).toBeCloseTo(
    PLAN.replication * 86_400 * perSecond * (UNITS.sampleBytes.value + 3 * UNITS.reportBytes.value),
    0,
  )
  expect(fleet.scorers * PLAN.processBytes).toBeGreaterThanOrEqual(fleet.scorerBytes)
  expect(fleet.stages * PLAN.processBytes).toBeGreaterThanOrEqual(fleet.stageBytes)
})

it('memory of the stage is what ends the largest tenant, before its cores', () => {
  const { largestTenant } = fleetOf(10e6)
  const byMemory = PLAN.processBytes / UNITS.stageBytes.value
  expect(largestTenant).toBe(Math.floor(byMemory))
  expect(page).toContain('Memory ends it first')
})
