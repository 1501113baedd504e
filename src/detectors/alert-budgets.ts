import { ForeshockError } from '../core/errors.ts'
import { DAY_MS } from '../core/local-time.ts'
import type { BudgetReport } from '../core/stages.ts'
import type { Budgeted } from './alert-rules.ts'

/**
 * Budgets of alerts a week → the surprise at which a series' windows count as hot, and what came of it.
 *
 * An anomaly needs `openCount` hot windows, and two opinions may make one hot (point and incident). N series of W windows a
 * week whose windows are hot with probability p by either opinion therefore open at most 2·p·W·N/openCount anomalies a
 * week, whatever the dependence between windows and opinions. Set equal to the budget B:
 *   threshold = −log10 p = log10(2·W·N / (openCount·B)).
 * Tails that are estimated are wrong now and then: a pool that has spent more than its budget over the last weeks is held
 * by twice the orders that it overspent (log10 of spent against promised, at most HELD_MOST), which passes as the weeks do.
 */
const WEEK_MS = 7 * DAY_MS
/** What was achieved is told over this many days. */
const DAYS_KEPT = 28
/** Orders of magnitude that a pool is held back at most. */
const HELD_MOST = 2
/** Orders of the tail for each order overspent: an estimated tail falls slower than it says. */
const HELD_GAIN = 2
/** Alerts counted in before the first: one early alert is no overspending. */
const GRACE_ALERTS = 1
/** No threshold lies below one window in twenty: less is not an alert. */
const LEAST_SURPRISE = 1.3

interface Pool {
  readonly account: Account
  readonly key: string
  readonly place: number
  series: number
  threshold: number
  /** Orders of magnitude it is held back. */
  held: number
  /** Alerts by day number. */
  readonly days: Map<number, number>
  firstMs: number
}

/** Everything that has one budget's name. */
interface Account {
  readonly budget: Budgeted
  readonly pools: Map<string, Pool>
}

export interface SavedPool {
  readonly budget: string
  readonly key: string
  readonly firstMs: number
  readonly days: readonly (readonly [day: number, alerts: number])[]
}

export class AlertBudgets {
  readonly #windowsAWeek: number
  readonly #openCount: number
  readonly #accounts = new Map<string, Account>()
  readonly #pools: (Pool | undefined)[] = []
  readonly #free: number[] = []
  /** What was saved of pools that have no series yet. */
  readonly #saved = new Map<string, SavedPool>()
  #day = Number.NEGATIVE_INFINITY

  constructor(stepMs: number, openCount: number) {
    this.#windowsAWeek = WEEK_MS / stepMs
    this.#openCount = openCount
  }

  /** The pool that a series of an entity draws from; it has one more series from here on. */
  join(budget: Budgeted, entity: string): number {
    let account = this.#accounts.get(budget.name)
    if (!account) {
      account = { budget, pools: new Map() }
      this.#accounts.set(budget.name, account)
    }
    const key = budget.isShared ? '' : entity
    let pool = account.pools.get(key)
    if (!pool) {
      const place = this.#free.pop() ?? this.#pools.length
      pool = { account, key, place, series: 0, threshold: 0, held: 0, days: new Map(), firstMs: Number.NaN }
      const saved = this.#saved.get(`${budget.name}\n${key}`)
      if (saved) {
        pool.firstMs = saved.firstMs
        for (const [day, alerts] of saved.days) pool.days.set(day, alerts)
        this.#saved.delete(`${budget.name}\n${key}`)
      }
      account.pools.set(key, pool)
      this.#pools[place] = pool
    }
    pool.series++
    this.#price(pool)
    return pool.place
  }

  leave(at: number): void {
    const pool = this.#pool(at)
    pool.series--
    this.#price(pool)
    this.#drop(pool)
  }

  /** Lets a pool go that has neither series nor alerts that still count. */
  #drop(pool: Pool): void {
    if (pool.series > 0 || pool.days.size > 0) return
    pool.account.pools.delete(pool.key)
    this.#pools[pool.place] = undefined
    this.#free.push(pool.place)
  }

  #pool(at: number): Pool {
    const pool = this.#pools[at]
    if (!pool) throw new ForeshockError('FS_ASSERTION', `there is no budget pool ${at}`)
    return pool
  }

  /** Surprise at which a window of a series of the pool is hot. */
  threshold(at: number): number {
    return this.#pool(at).threshold
  }

  /** An alert: the first anomaly of an entity in the pool. */
  spend(at: number, timeMs: number): void {
    const { days } = this.#pool(at)
    const day = Math.floor(timeMs / DAY_MS)
    days.set(day, (days.get(day) ?? 0) + 1)
  }

  /** Once a window: pools begin to count, and once a day what is owed is worked out anew. */
  pass(timeMs: number): void {
    const day = Math.floor(timeMs / DAY_MS)
    if (day === this.#day) return
    this.#day = day
    for (const [name, { days }] of this.#saved) {
      if (days.every(([old]) => old <= day - DAYS_KEPT)) this.#saved.delete(name)
    }
    for (const pool of this.#pools) {
      if (!pool) continue
      for (const old of pool.days.keys()) if (old <= day - DAYS_KEPT) pool.days.delete(old)
      // Of whole days only: what a restart in the middle of a day works out again is the same.
      const due = pool.account.budget.alertsPerWeek * weeksOf(pool, day * DAY_MS)
      const spent = spentBy(pool) - (pool.days.get(day) ?? 0)
      const over = HELD_GAIN * Math.log10((spent + GRACE_ALERTS) / (due + GRACE_ALERTS))
      pool.held = Math.max(0, Math.min(HELD_MOST, over))
      this.#price(pool)
      this.#drop(pool)
    }
  }

  /** A series has its first window: its pool is counted from here. */
  begin(at: number, timeMs: number): void {
    const pool = this.#pool(at)
    if (Number.isNaN(pool.firstMs)) pool.firstMs = timeMs
  }

  #price(pool: Pool): void {
    const { alertsPerWeek } = pool.account.budget
    const windows = 2 * this.#windowsAWeek * Math.max(1, pool.series)
    const fair = Math.log10(windows / (this.#openCount * alertsPerWeek))
    pool.threshold = Math.max(LEAST_SURPRISE, fair) + pool.held
  }

  /** By name of budget. */
  report(timeMs: number): BudgetReport[] {
    return [...this.#accounts.values()].map(({ budget, pools }) => {
      const live = [...pools.values()].filter(pool => pool.series > 0)
      const perWeek = live.map(pool => spentBy(pool) / weeksOf(pool, timeMs))
      const thresholds = live.map(pool => pool.threshold)
      return {
        name: budget.name,
        each: budget.isShared ? 'budget' : 'entity',
        promisedPerWeek: budget.alertsPerWeek * live.length,
        achievedPerWeek: perWeek.reduce((sum, one) => sum + one, 0),
        pools: live.length,
        poolsOverspent: live.filter((_, i) => perWeek[i] > budget.alertsPerWeek).length,
        series: live.reduce((sum, pool) => sum + pool.series, 0),
        openSurpriseLeast: thresholds.length === 0 ? null : Math.min(...thresholds),
        openSurpriseMost: thresholds.length === 0 ? null : Math.max(...thresholds),
      }
    })
  }

  saved(): SavedPool[] {
    const out: SavedPool[] = [...this.#saved.values()]
    for (const { budget, pools } of this.#accounts.values()) {
      for (const [key, { firstMs, days }] of pools) {
        if (!Number.isNaN(firstMs)) out.push({ budget: budget.name, key, firstMs, days: [...days] })
      }
    }
    return out
  }

  /** Before any series has joined. */
  restore(saved: readonly SavedPool[]): void {
    for (const one of saved) this.#saved.set(`${one.budget}\n${one.key}`, one)
  }

  bytes(): number {
    return 500 * (this.#pools.length + this.#saved.size)
  }
}

function spentBy({ days }: Pool): number {
  let sum = 0
  for (const alerts of days.values()) sum += alerts
  return sum
}

/** Weeks that a pool was counted, 1 at least: a first hour says nothing about a week. */
function weeksOf({ firstMs }: Pool, timeMs: number): number {
  if (Number.isNaN(firstMs) || Number.isNaN(timeMs)) return 1
  return Math.max(1, Math.min(DAYS_KEPT / 7, (timeMs - firstMs) / WEEK_MS))
}
