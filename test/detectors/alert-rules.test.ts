// Shows that rules and budgets which name a tenant hold for its series only, by globs as elsewhere, and which goes first.
import { expect, it } from 'vitest'
import { calendarOf, policyOptions } from '../../src/alerting.ts'
import { parseConfig } from '../../src/config.ts'
import { type SeriesMeta, seriesKey } from '../../src/core/series.ts'
import { Rulings, ruleName } from '../../src/detectors/alert-rules.ts'

const meta = (tenant: string, metric = 'cpu'): SeriesMeta => ({
  key: seriesKey(metric, { service: 's' }, tenant),
  tenant,
  metric,
  labels: { service: 's' },
  entity: 's',
  unit: '',
  kind: 'other',
  bad: 'up',
})

function rulings(detection: object): Rulings {
  const options = policyOptions(parseConfig({ detection }).detection)
  if (!options) throw new Error('nothing is configured')
  return new Rulings({ ...options, events: options.calendar })
}

it('keeps the rules of a tenant to its series', () => {
  const book = rulings({
    rules: [
      { tenant: 'acme', openSurprise: 7, direction: 'up' },
      { tenant: 'team-*', ignore: true },
      { tenant: 'acme', metric: 'cpu', openSurprise: 5 },
      { metric: 'cpu', openSurprise: 6 },
    ],
  })
  const of = (tenant: string, metric?: string) => book.all[book.of(meta(tenant, metric))]
  // What names the metric and the tenant goes before the metric alone, and both before the tenant alone.
  expect(of('acme')).toMatchObject({ openSurprise: 5, direction: 'up', ignore: false, rules: [0, 2, 3] })
  expect(of('acme', 'disk')).toMatchObject({ openSurprise: 7, direction: 'up', rules: [0] })
  expect(of('other')).toMatchObject({ openSurprise: 6, direction: undefined, rules: [3] })
  expect(of('team-red', 'disk')).toMatchObject({ ignore: true, rules: [1] })
  expect(of('default', 'disk').rules).toEqual([])
})

it('keeps the budget of a tenant to its series', () => {
  const book = rulings({
    budget: 9,
    budgets: [
      { name: 'acme', alertsPerWeek: 2, tenant: 'acme' },
      { name: 'teams', alertsPerWeek: 4, tenant: 'team-*', metric: 'cpu' },
    ],
  })
  const of = (tenant: string, metric?: string) => book.all[book.of(meta(tenant, metric))].budget
  expect(of('acme')).toEqual({ name: 'acme', alertsPerWeek: 2, isShared: true })
  expect(of('team-red')).toEqual({ name: 'teams', alertsPerWeek: 4, isShared: true })
  expect(of('team-red', 'disk')).toEqual({ name: 'entity', alertsPerWeek: 9, isShared: false })
  expect(of('acme2')).toEqual({ name: 'entity', alertsPerWeek: 9, isShared: false })
})

it('is named with its tenant, and holds for calendars too', () => {
  expect(ruleName({ tenant: 'acme', metric: 'cpu' }, 1)).toBe('rule 2: cpu tenant acme')
  const calendar = [{ name: 'x', from: '2026-01-01', tenant: 'acme' }]
  expect(calendarOf(parseConfig({ detection: { calendar } }).detection)[0]).toMatchObject({ tenant: 'acme' })
  expect(() => parseConfig({ detection: { rules: [{ tenant: '' }] } })).toThrow('tenant')
})
