import { PLAN } from './wire-records.ts'
import { ROW_REFUSED, type WireTable } from './wire-table.ts'

/** Between two looks at all wires, s. */
const LOOK_S = 60
/** Of a level nothing is known between two samples, so nothing is lost with its wire: Prometheus calls what is silent for longer stale, s. */
const LEVEL_IDLE_S = 300

/** Makes room in a full table of wires: for those that were not seen for long others may come. */
export class IdleWires {
  /** Arrival at the last look, Unix s. */
  lookedS = 0
  readonly #idleS: number

  /** `idleMs`: how long a wire may be silent of which something is known, such as a count. */
  constructor(idleMs: number) {
    this.#idleS = idleMs / 1000
  }

  /** Tells of each wire that is to go. At most once a minute of arrival, since it looks at all of them. */
  look(table: WireTable, nowS: number, drop: (wire: number) => void): void {
    // The clock may have been set back.
    if (Math.abs(nowS - this.lookedS) < LOOK_S) return
    this.lookedS = nowS
    for (let wire = 0; wire < table.length; wire++) {
      const plan = table.plan(wire)
      if (plan === PLAN.free || plan === PLAN.output) continue
      const silentS = nowS - table.seenS(wire)
      // Seen before the clock was set back: from now on it counts.
      if (silentS < 0) table.setSeenS(wire, nowS)
      else if (silentS > Math.min(this.#idleS, idleOf(plan, table.row(wire)))) drop(wire)
    }
  }
}

/** How long a wire keeps its place at most, s: one of which nothing was taken gives it to the next that comes. */
function idleOf(plan: number, row: number): number {
  if (plan === PLAN.refused || row === ROW_REFUSED) return LOOK_S
  return plan === PLAN.gauge || plan === PLAN.drop ? LEVEL_IDLE_S : Number.POSITIVE_INFINITY
}
