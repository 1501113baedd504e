import type { BadDirection, SeriesMeta } from '../core/series.ts'
import { matcherOf, type SeriesMatch } from '../core/series-match.ts'

/** Least move that counts, both parts together; what is left out keeps the floor of the metric kind. */
export interface LeastMove {
  /** In the series' unit. */
  readonly absolute?: number | undefined
  /** Of what was expected. */
  readonly relative?: number | undefined
}

/** What the configuration says of the series that it matches; every field may be left to other rules. */
export interface AlertRule extends SeriesMatch {
  /** Alerts a week, shared by the series of an entity that the rule gives them to. */
  readonly budget?: number | undefined
  readonly openSurprise?: number | undefined
  readonly closeSurprise?: number | undefined
  readonly direction?: BadDirection | undefined
  readonly atLeast?:
    | { readonly up?: LeastMove | undefined; readonly down?: LeastMove | undefined }
    | undefined
  /** How long a series rests after an anomaly closed, ms. */
  readonly refractoryMs?: number | undefined
  readonly ignore?: boolean | undefined
}

/** A budget that all series share which it matches. */
export interface NamedBudget extends SeriesMatch {
  readonly name: string
  readonly alertsPerWeek: number
}

const RULINGS_MAX = 65_000
/** Labels of a group that count towards its rank, and what lies between ranks. */
const NAMED_MOST = 50
const RANK_STEP = 100

/** What holds for a series when all rules are taken together; undefined is the default. */
export interface Ruling {
  readonly openSurprise: number | undefined
  readonly closeSurprise: number | undefined
  readonly direction: BadDirection | undefined
  readonly up: LeastMove
  readonly down: LeastMove
  readonly refractoryMs: number | undefined
  readonly ignore: boolean
  readonly budget: Budgeted | undefined
  /** Places of the rules that match, and of the calendar entries. */
  readonly rules: readonly number[]
  readonly events: readonly number[]
}

export interface Budgeted {
  readonly name: string
  readonly alertsPerWeek: number
  /** True: one for all its series; false: one for each entity. */
  readonly isShared: boolean
}

/** What of the configuration names series. */
export interface RuleBook {
  readonly rules: readonly AlertRule[]
  /** Alerts a week of each entity that no other budget is for. */
  readonly budget?: number | undefined
  readonly budgets: readonly NamedBudget[]
  /** Calendar entries: whom each is about. */
  readonly events: readonly SeriesMatch[]
}

/**
 * Which ruling a series has. Rules that name a series go before those that name a group, these before those that name a
 * metric, these before those that name a tenant only; among equals the one that names more, then the one that stands first. Every field is taken from the first
 * rule that sets it, so a rule with a budget alone leaves direction and floors to the others.
 */
export class Rulings {
  readonly all: Ruling[] = []
  readonly #book: RuleBook
  readonly #order: readonly number[]
  readonly #matchers: readonly ((meta: SeriesMeta) => boolean)[]
  readonly #budgets: readonly ((meta: SeriesMeta) => boolean)[]
  readonly #events: readonly ((meta: SeriesMeta) => boolean)[]
  readonly #known = new Map<string, number>()

  constructor(book: RuleBook) {
    this.#book = book
    this.#order = book.rules.map((_, i) => i).sort((a, b) => rank(book.rules[a]) - rank(book.rules[b]))
    this.#matchers = book.rules.map(matcherOf)
    this.#budgets = book.budgets.map(matcherOf)
    this.#events = book.events.map(matcherOf)
  }

  /** Place in `all` of the series' ruling. */
  of(meta: SeriesMeta): number {
    const rules = this.#order.filter(i => this.#matchers[i](meta))
    const budget = this.#budgets.findIndex(matches => matches(meta))
    const events = this.#events.flatMap((matches, i) => (matches(meta) ? [i] : []))
    const key = `${rules.join()}/${budget}/${events.join()}`
    let place = this.#known.get(key)
    if (place === undefined) {
      // So many combinations of rules that a column of 16 bits cannot tell them apart: the last one stands for the rest.
      if (this.all.length >= RULINGS_MAX) return RULINGS_MAX - 1
      place = this.all.length
      this.#known.set(key, place)
      this.all.push(this.#make(rules, budget, events))
    }
    return place
  }

  #make(matching: readonly number[], shared: number, events: readonly number[]): Ruling {
    const rules = matching.map(i => this.#book.rules[i])
    const first = <T>(pick: (rule: AlertRule) => T | undefined): T | undefined => {
      for (const rule of rules) {
        const value = pick(rule)
        if (value !== undefined) return value
      }
      return undefined
    }
    const side = (name: 'up' | 'down'): LeastMove => ({
      absolute: first(rule => rule.atLeast?.[name]?.absolute),
      relative: first(rule => rule.atLeast?.[name]?.relative),
    })
    return {
      openSurprise: first(rule => rule.openSurprise),
      closeSurprise: first(rule => rule.closeSurprise),
      direction: first(rule => rule.direction),
      up: side('up'),
      down: side('down'),
      refractoryMs: first(rule => rule.refractoryMs),
      ignore: first(rule => rule.ignore) ?? false,
      budget: this.#budgetOf(matching, shared),
      rules: [...matching].sort((a, b) => a - b),
      events,
    }
  }

  #budgetOf(matching: readonly number[], shared: number): Budgeted | undefined {
    const { rules, budgets, budget } = this.#book
    const own = matching.find(i => rules[i].budget !== undefined)
    if (own !== undefined)
      return { name: ruleName(rules[own], own), alertsPerWeek: rules[own].budget ?? 0, isShared: false }
    if (shared >= 0) {
      const { name, alertsPerWeek } = budgets[shared]
      return { name, alertsPerWeek, isShared: true }
    }
    return budget === undefined ? undefined : { name: 'entity', alertsPerWeek: budget, isShared: false }
  }
}

/** How metrics and the API call a rule. */
export function ruleName({ series, tenant, metric, group }: AlertRule, at: number): string {
  const owners = typeof group === 'string' ? group : group === undefined ? '' : JSON.stringify(group)
  const holder = tenant === undefined ? '' : `tenant ${tenant}`
  const parts = [series, owners, metric, holder].filter(part => part !== undefined && part !== '')
  return `rule ${at + 1}: ${parts.join(' ')}`
}

/** Series before group before metric before tenant alone, then by how much is named; of labels each counts. */
function rank({ series, tenant, metric, group }: AlertRule): number {
  const owners = group === undefined ? 0 : typeof group === 'string' ? 1 : Object.keys(group).length
  const also = [series, metric, tenant].filter(part => part !== undefined).length
  const first = [series, group, metric].findIndex(part => part !== undefined)
  return (first < 0 ? 3 : first) * RANK_STEP - also - Math.min(owners, NAMED_MOST)
}
