import type { BudgetWord } from '../detectors/alert-budgets.ts'

interface Part {
  series: number
  /** Alerts that the others were not told of. */
  alerts: number
}

interface Shared {
  readonly budget: BudgetWord['budget']
  /** By worker. */
  readonly parts: readonly Part[]
  isNew: boolean
}

/**
 * Budgets of alerts that series of several workers share. Each worker keeps the account for its own series; between two
 * windows each is told what became of it in the others, so that what was promised holds for all of them together. What is
 * told is what came with the batches of a window, so that it does not depend on how fast anybody is.
 */
export class SharedBudgets {
  readonly #shards: number
  readonly #budgets = new Map<string, Shared>()

  constructor(shards: number) {
    this.#shards = shards
  }

  heard(shard: number, words: readonly BudgetWord[]): void {
    for (const { budget, series, alerts } of words) {
      const shared = this.#of(budget)
      shared.isNew = true
      shared.parts[shard].series = series
      shared.parts[shard].alerts += alerts
    }
  }

  #of(budget: BudgetWord['budget']): Shared {
    const known = this.#budgets.get(budget.name)
    if (known) return known
    const parts = Array.from({ length: this.#shards }, () => ({ series: 0, alerts: 0 }))
    const shared = { budget, parts, isNew: false }
    this.#budgets.set(budget.name, shared)
    return shared
  }

  /** By worker: what it was not told of yet. */
  told(): BudgetWord[][] {
    const told = Array.from({ length: this.#shards }, () => [] as BudgetWord[])
    for (const shared of this.#budgets.values()) {
      if (!shared.isNew) continue
      shared.isNew = false
      const sum = (of: keyof Part) => shared.parts.reduce((all, part) => all + part[of], 0)
      const [series, alerts] = [sum('series'), sum('alerts')]
      for (const [s, part] of shared.parts.entries())
        told[s].push({
          budget: shared.budget,
          series: series - part.series,
          alerts: alerts - part.alerts,
        })
      for (const part of shared.parts) part.alerts = 0
    }
    return told
  }
}
