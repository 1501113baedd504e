import { ForeshockError } from '../core/errors.ts'
import { DAY_MS } from '../core/local-time.ts'
import type { BudgetReport } from '../core/stages.ts'
import type { Budgeted } from './alert-rules.ts'
import { LEAST_SURPRISE, offsetAfter, WEEK_MS } from './budget-threshold.ts'

/**
 * Budgets of alerts a week → the surprise at which a series' windows count as hot, and what came of it.
 *
 * An anomaly needs `openCount` hot windows, and two opinions may make one hot (point and incident). N series of W windows a
 * week whose windows are hot with probability p by either opinion therefore open at most 2·p·W·N/openCount anomalies a
 * week, whatever the dependence between windows and opinions. Set equal to the budget B:
 *   threshold = −log10 p = log10(2·W·N / (openCount·B)).
 * That is where it starts; tails that are estimated are wrong, and bounds are not reached, so that each alert raises it and
 * time lowers it until the count is what was promised: see budget-threshold.ts.
 */
/** What was achieved is told over this many days. */
const DAYS_KEPT = 28

interface Pool {
  readonly account: Account
  readonly key: string
  readonly place: number
  series: number
  /** Series that draw from it in other ledgers. */
  elsewhere: number
  /** Own series that others were told of, and own alerts that they were not. */
  toldSeries: number
  untold: number
  /** Other ledgers have told of it. */
  isHeard: boolean
  /** Where the tail alone would put the threshold. */
  fair: number
  /** Orders of magnitude that the threshold lies above that. */
  offset: number
  /** Alerts by day number. */
  readonly days: Map<number, number>
  firstMs: number
}

/** Everything that has one budget's name. */
interface Account {
  readonly budget: Budgeted
  readonly pools: Map<string, Pool>
}

/** What became of a shared budget in one ledger, for the others that it is shared with. */
export interface BudgetWord {
  readonly budget: Budgeted
  readonly series: number
  /** Alerts since the word before. */
  readonly alerts: number
}

export interface SavedPool {
  readonly budget: string
  readonly key: string
  readonly firstMs: number
  /** At the last window passed. */
  readonly offset: number
  readonly atMs: number
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
  /** The last window passed; the first has nothing before it. */
  #nowMs = Number.NaN

  constructor(stepMs: number, openCount: number) {
    this.#windowsAWeek = WEEK_MS / stepMs
    this.#openCount = openCount
  }

  /** The pool that a series of an entity draws from; it has one more series from here on. */
  join(budget: Budgeted, entity: string): number {
    const pool = this.#poolOf(budget, budget.isShared ? '' : entity)
    pool.series++
    this.#price(pool)
    return pool.place
  }

  #poolOf(budget: Budgeted, key: string): Pool {
    let account = this.#accounts.get(budget.name)
    if (!account) {
      account = { budget, pools: new Map() }
      this.#accounts.set(budget.name, account)
    }
    const known = account.pools.get(key)
    if (known) return known
    const place = this.#free.pop() ?? this.#pools.length
    const none = { series: 0, elsewhere: 0, toldSeries: 0, untold: 0, isHeard: false, fair: 0, offset: 0 }
    const pool: Pool = { account, key, place, ...none, days: new Map(), firstMs: Number.NaN }
    const saved = this.#saved.get(`${budget.name}\n${key}`)
    if (saved) {
      pool.firstMs = saved.firstMs
      // Time went on while it had no series.
      const elapsedMs = Math.max(0, this.#nowMs - saved.atMs)
      pool.offset = offsetAfter.time(saved.offset, budget.alertsPerWeek, elapsedMs)
      for (const [day, alerts] of saved.days) pool.days.set(day, alerts)
      this.#saved.delete(`${budget.name}\n${key}`)
    }
    account.pools.set(key, pool)
    this.#pools[place] = pool
    return pool
  }

  /** What became of shared budgets since the last time; undefined when nothing did. */
  words(): BudgetWord[] | undefined {
    let words: BudgetWord[] | undefined
    for (const { budget, pools } of this.#accounts.values()) {
      if (!budget.isShared) continue
      for (const pool of pools.values()) {
        if (pool.series === pool.toldSeries && pool.untold === 0) continue
        words ??= []
        words.push({ budget, series: pool.series, alerts: pool.untold })
        pool.toldSeries = pool.series
        pool.untold = 0
      }
    }
    return words
  }

  /**
   * What became of shared budgets in all other ledgers: their series, and their alerts since the last time. Between two windows
   * all ledgers that hear of each other so have one threshold, that of a single one.
   */
  hear(words: readonly BudgetWord[]): void {
    for (const { budget, series, alerts } of words) {
      const pool = this.#poolOf(budget, '')
      pool.isHeard = true
      pool.elsewhere = series
      // It is on the clock from here, as it is there.
      if (Number.isNaN(pool.firstMs)) pool.firstMs = this.#nowMs
      for (let k = 0; k < alerts; k++) pool.offset = offsetAfter.alert(pool.offset)
      this.#price(pool)
    }
  }

  leave(at: number): void {
    const pool = this.#pool(at)
    pool.series--
    this.#price(pool)
    this.#drop(pool)
  }

  /** Lets a pool go that has neither series nor alerts that still count. */
  #drop(pool: Pool): void {
    // What others know of is kept: it is as much as was configured, and that it has no series is still to be told.
    if (pool.series > 0 || pool.days.size > 0 || pool.toldSeries > 0 || pool.isHeard) return
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
    return thresholdOf(this.#pool(at))
  }

  /** An alert: the first anomaly of an entity in the pool. */
  spend(at: number, timeMs: number): void {
    const pool = this.#pool(at)
    const day = Math.floor(timeMs / DAY_MS)
    pool.days.set(day, (pool.days.get(day) ?? 0) + 1)
    pool.untold++
    pool.offset = offsetAfter.alert(pool.offset)
  }

  /** Once a window or more: time lowers thresholds, and what is too old to be told is dropped. */
  pass(timeMs: number): void {
    const elapsedMs = Math.min(
      WEEK_MS,
      Math.max(0, timeMs - (Number.isNaN(this.#nowMs) ? timeMs : this.#nowMs)),
    )
    this.#nowMs = timeMs
    if (elapsedMs > 0)
      for (const pool of this.#pools)
        if (pool && !Number.isNaN(pool.firstMs))
          pool.offset = offsetAfter.time(pool.offset, pool.account.budget.alertsPerWeek, elapsedMs)
    const day = Math.floor(timeMs / DAY_MS)
    if (day === this.#day) return
    this.#day = day
    for (const [name, { days }] of this.#saved) {
      if (days.every(([old]) => old <= day - DAYS_KEPT)) this.#saved.delete(name)
    }
    for (const pool of this.#pools) {
      if (!pool) continue
      for (const old of pool.days.keys()) if (old <= day - DAYS_KEPT) pool.days.delete(old)
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
    const windows = 2 * this.#windowsAWeek * Math.max(1, pool.series + pool.elsewhere)
    pool.fair = Math.log10(windows / (this.#openCount * alertsPerWeek))
  }

  /** By name of budget. */
  report(timeMs: number): BudgetReport[] {
    return [...this.#accounts.values()].map(({ budget, pools }) => {
      const live = [...pools.values()].filter(pool => pool.series > 0)
      const perWeek = live.map(pool => spentBy(pool) / weeksOf(pool, timeMs))
      // One an entity: more than a call may take arguments.
      const thresholds = live.map(thresholdOf)
      const extreme = (of: (a: number, b: number) => number) =>
        live.length === 0 ? null : thresholds.reduce((a, b) => of(a, b))
      return {
        name: budget.name,
        each: budget.isShared ? 'budget' : 'entity',
        promisedPerWeek: budget.alertsPerWeek * live.length,
        achievedPerWeek: perWeek.reduce((sum, one) => sum + one, 0),
        pools: live.length,
        poolsOverspent: live.filter((_, i) => perWeek[i] > budget.alertsPerWeek).length,
        series: live.reduce((sum, pool) => sum + pool.series, 0),
        openSurpriseLeast: extreme(Math.min),
        openSurpriseMost: extreme(Math.max),
      }
    })
  }

  saved(): SavedPool[] {
    const out: SavedPool[] = [...this.#saved.values()]
    for (const { budget, pools } of this.#accounts.values()) {
      for (const [key, { firstMs, offset, days }] of pools) {
        if (!Number.isNaN(firstMs))
          out.push({ budget: budget.name, key, firstMs, offset, atMs: this.#nowMs, days: [...days] })
      }
    }
    return out
  }

  /** Before any series has joined. */
  restore(saved: readonly SavedPool[]): void {
    for (const one of saved) {
      this.#saved.set(`${one.budget}\n${one.key}`, one)
      this.#nowMs = one.atMs
    }
  }

  bytes(): number {
    return 500 * (this.#pools.length + this.#saved.size)
  }
}

function thresholdOf({ fair, offset }: Pool): number {
  return Math.max(LEAST_SURPRISE, fair + offset)
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
