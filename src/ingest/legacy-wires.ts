import { TYPE } from './families.ts'
import type { WireSpec } from './point-sink.ts'
import { PLAN } from './wire-records.ts'
import type { WireTable } from './wire-table.ts'

/**
 * Wires of a checkpoint whose identities were hashed another way: each is known by its text until its sender names it
 * again, and then goes on under the identity it has now, with its counts and its group. What is not named again is swept
 * like every idle wire.
 */
export class LegacyWires {
  readonly #byText = new Map<string, number[]>()
  readonly #wires = new Set<number>()

  constructor(table: WireTable) {
    for (let wire = 0; wire < table.length; wire++) {
      const plan = table.plan(wire)
      if (plan === PLAN.free || plan === PLAN.output || plan === PLAN.refused) continue
      const key = keyOf(table.tenant(wire), table.type(wire), table.text(wire))
      const known = this.#byText.get(key)
      if (known) known.push(wire)
      else this.#byText.set(key, [wire])
      this.#wires.add(wire)
    }
  }

  /** A wire of this text that nobody has named yet, or −1; it is given out once. */
  find(table: WireTable, text: string, spec: WireSpec): number {
    const key = keyOf(spec.tenant, spec.type, text)
    const wires = this.#byText.get(key)
    for (let wire = wires?.shift(); wire !== undefined; wire = wires?.shift()) {
      if (this.#wires.delete(wire) && table.plan(wire) !== PLAN.free) return wire
    }
    this.#byText.delete(key)
    return -1
  }

  /** The wire is no more. */
  forget(wire: number): void {
    this.#wires.delete(wire)
  }
}

/** Histograms of a series are a stream apart from its floats, and OTLP's parts are told apart by their type. */
function keyOf(tenant: string, type: number, text: string): string {
  return `${type === TYPE.points ? 'points' : type}/${tenant}/${text}`
}
