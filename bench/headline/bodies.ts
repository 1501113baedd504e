import { type FleetShape, fleetOf, METRICS } from './fleet.ts'
import { FACTORS, patchPod, patchTime, type Template, templateOf } from './templates.ts'

/** All bodies of a fleet that is well: one step after the other, in place. */
export class FleetBodies {
  readonly fleet: FleetShape
  readonly stepMs: number
  readonly #templates: Template[] = []

  constructor(series: number, bodySeries: number, stepMs: number) {
    this.fleet = fleetOf(series)
    this.stepMs = stepMs
    const pods = Math.max(1, Math.round(bodySeries / METRICS.length))
    for (let first = 0; first < this.fleet.pods; first += pods)
      this.#templates.push(templateOf(first, Math.min(pods, this.fleet.pods - first), this.fleet))
  }

  get count(): number {
    return this.#templates.length
  }

  /** Body `index` at step `t`, whose samples are of this moment; valid until it is asked for again. */
  body(index: number, t: number, ms: number): Uint8Array {
    const template = this.#templates[index]
    patchTime(template, ms)
    for (let p = 0; p < template.pods; p++) patchPod(template, p, t, this.stepMs / 1000, FACTORS.well)
    return template.block
  }

  /** Samples of body `index`. */
  samples(index: number): number {
    return this.#templates[index].pods * METRICS.length
  }
}
