import { writeFileSync } from 'node:fs'
import { runLabPlan, type StartService } from './lab.ts'
import { labFigures, labRows, labTableText } from './lab-table.ts'

export interface EvaluateLabOptions {
  /** Comma-separated, one run of every fault each. */
  readonly seeds?: string | undefined
  /** Longest time of a fault, seconds. */
  readonly seconds?: string | undefined
  /** One fault, several with commas, or all. */
  readonly fault?: string | undefined
  /** A path for everything as JSON; `-` or `true` for stdout instead of the table. */
  readonly json?: string | boolean | undefined
}

const SEEDS = '1,2,3'

/** `foreshock evaluate lab`: every fault of the lab, over seeds, as a table with intervals. */
export async function evaluateLab(options: EvaluateLabOptions, startService: StartService): Promise<void> {
  const { seeds = SEEDS, seconds, fault = 'all', json } = options
  const report = await runLabPlan(
    { fault, seeds, json: json === true || json === '-', ...(seconds === undefined ? {} : { seconds }) },
    startService,
  )
  const text = JSON.stringify(
    { suite: 'lab', figures: labFigures(report), faults: labRows(report), report },
    null,
    1,
  )
  if (typeof json === 'string' && json !== '-') writeFileSync(json, `${text}\n`)
  if (json === true || json === '-') process.stdout.write(`${text}\n`)
  else process.stdout.write(`\n${labTableText(report)}`)
}
