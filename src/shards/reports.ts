import type { ModelState, ModelUse } from '../core/model.ts'
import type { AlertingReport, BudgetReport, ProfileUse, Scoring } from '../core/stages.ts'
import type { ShardReport } from './words.ts'

type Counts = Readonly<Record<string, number>>

function summed(all: readonly Counts[]): Counts {
  const sums: Record<string, number> = {}
  for (const counts of all)
    for (const [name, count] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + count
  return sums
}

/** Why one of the same in all workers is not asked, in whichever that is. */
function problemOf(same: readonly { readonly problem?: string }[]): { readonly problem?: string } {
  const problem = same.find(one => one.problem !== undefined)?.problem
  return problem === undefined ? {} : { problem }
}

/** The detectors of all workers, which have the same ones. */
export function detectorsOf(reports: readonly ShardReport[]): Scoring['detectors'] {
  return reports[0].detectors.map((one, d) => {
    const same = reports.map(({ detectors }) => detectors[d])
    return {
      ...one,
      bytes: same.reduce((sum, { bytes }) => sum + bytes, 0),
      counts: summed(same.map(({ counts }) => counts)),
      ...problemOf(same),
    }
  })
}

export function poolOf(reports: readonly ShardReport[]): Counts {
  return summed(reports.map(({ pool }) => pool))
}

export function profileUseOf(reports: readonly ShardReport[]): ProfileUse | undefined {
  const uses = reports.flatMap(({ profileUse }) => profileUse ?? [])
  if (uses.length === 0) return undefined
  const names = [...new Set(uses.flatMap(({ profiles }) => profiles.map(({ profile }) => profile)))]
  return {
    profiles: names.map(profile => {
      const same = uses.flatMap(({ profiles }) => profiles.filter(one => one.profile === profile))
      const sum = (of: 'series' | 'bytes') => same.reduce((all, one) => all + one[of], 0)
      return { profile, series: sum('series'), bytes: sum('bytes') }
    }),
    promotions: uses.reduce((sum, { promotions }) => sum + promotions, 0),
    demotions: uses.reduce((sum, { demotions }) => sum + demotions, 0),
  }
}

export function alertingOf(reports: readonly Pick<ShardReport, 'alerting'>[]): AlertingReport | undefined {
  const all = reports.flatMap(({ alerting }) => alerting ?? [])
  if (all.length <= 1) return all[0]
  // A worker knows of the budgets that its series have.
  const names = new Set(all.flatMap(({ budgets }) => budgets.map(({ name }) => name)))
  return {
    budgets: [...names].map(name =>
      budgetOf(all.flatMap(({ budgets }) => budgets.filter(one => one.name === name))),
    ),
    rules: all[0].rules.map((rule, r) => ({
      ...rule,
      series: all.reduce((sum, { rules }) => sum + rules[r].series, 0),
    })),
    calendar: all[0].calendar.map((entry, c) => ({
      ...entry,
      series: all.reduce((sum, { calendar }) => sum + calendar[c].series, 0),
      windows: all.reduce((sum, { calendar }) => sum + calendar[c].windows, 0),
    })),
  }
}

/** One budget as its workers tell of it: one that series of several workers share is promised once. */
function budgetOf(same: readonly BudgetReport[]): BudgetReport {
  const [{ name, each }] = same
  const sum = (of: 'promisedPerWeek' | 'achievedPerWeek' | 'pools' | 'poolsOverspent' | 'series') =>
    same.reduce((total, budget) => total + budget[of], 0)
  const most = (of: 'promisedPerWeek' | 'pools') => Math.max(...same.map(budget => budget[of]))
  const known = (of: 'openSurpriseLeast' | 'openSurpriseMost') => same.flatMap(budget => budget[of] ?? [])
  const [least, highest] = [known('openSurpriseLeast'), known('openSurpriseMost')]
  const isShared = each === 'budget'
  const achievedPerWeek = sum('achievedPerWeek')
  const isOverspent = achievedPerWeek > most('promisedPerWeek')
  return {
    name,
    each,
    promisedPerWeek: isShared ? most('promisedPerWeek') : sum('promisedPerWeek'),
    achievedPerWeek,
    pools: isShared ? most('pools') : sum('pools'),
    poolsOverspent: isShared ? Number(isOverspent) : sum('poolsOverspent'),
    series: sum('series'),
    openSurpriseLeast: least.length === 0 ? null : Math.min(...least),
    openSurpriseMost: highest.length === 0 ? null : Math.max(...highest),
  }
}

function useOf<U extends ModelUse>(uses: readonly (U | null | undefined)[]): U | null {
  const known = uses.filter(use => use !== null && use !== undefined)
  if (known.length === 0) return null
  const rows = known.reduce((sum, use) => sum + use.rows, 0)
  const ms = known.reduce((sum, use) => sum + use.msPerRow * use.rows, 0)
  return {
    ...known[0],
    rows,
    failed: known.reduce((sum, use) => sum + use.failed, 0),
    msPerRow: rows === 0 ? 0 : ms / rows,
    msMax: Math.max(...known.map(use => use.msMax)),
    ...problemOf(known),
  }
}

/** Models of all workers, which follow the same orders. */
export function modelsOf(reports: readonly ShardReport[]): readonly ModelState[] {
  if (reports.length === 0) return []
  if (reports.length === 1) return reports[0].models
  return reports[0].models.map(one => {
    const same = reports.flatMap(({ models }) => models.filter(({ model }) => model === one.model))
    return {
      ...one,
      champion: useOf(same.map(({ champion }) => champion)),
      challenger: useOf(same.map(({ challenger }) => challenger)),
      covered: same.reduce((sum, { covered }) => sum + covered, 0),
      refused: same.reduce((sum, { refused }) => sum + refused, 0),
      ...problemOf(same),
    }
  })
}
