// Runs cases of the fault suite one after the other and compares each with the same input undisturbed.
import { join } from 'node:path'
import { CASES, type FaultCase, type When } from './cases.ts'
import { type Engines, openEngines } from './engines.ts'
import { inputOf } from './input.ts'
import { compared, type Outcome } from './outcome.ts'
import { run } from './site.ts'
import type { Row } from './table.ts'

export interface SuiteOptions {
  readonly seed: number
  readonly entities: number
  readonly windows: number
  readonly windowsPerSecond: number
  /** Engines are away for so long, ms. */
  readonly awayMs: number
  /** A program built before: `rolling-upgrade` goes from it to the one built now. */
  readonly older?: string
  /** Names of cases; all of them when undefined. */
  readonly only?: readonly string[]
  /** Folder for the logs of all processes, by case. */
  readonly logs?: string
  readonly onRow?: (row: Row) => void
  readonly onStart?: (name: string) => void
}

const STEP_MS = 1000
/** How far in the past the input lies: its event times are the same in every run, whenever that happens. */
const PAST_MS = 6 * 3_600_000

export interface SuiteResult {
  readonly rows: readonly Row[]
  /** What the input gives when nothing is done. */
  readonly undisturbed: { readonly windows: number; readonly events: number; readonly disruptions: number }
}

export async function runSuite(options: SuiteOptions): Promise<SuiteResult> {
  const { seed, entities, windows, awayMs, older } = options
  const baseMs = Math.floor((Date.now() - PAST_MS) / 3_600_000) * 3_600_000
  const input = inputOf({ seed, entities, windows, baseMs, stepMs: STEP_MS })
  const wanted = CASES.filter(one => options.only === undefined || options.only.includes(one.name))
  const engines = await openEngines()
  // Nothing goes on running when the suite is stopped by hand.
  const stopped = () => void engines.close().finally(() => process.exit(130))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stopped)
  try {
    options.onStart?.('undisturbed')
    const logsOf = (name: string) => (options.logs === undefined ? {} : { logs: join(options.logs, name) })
    const { outcome: undisturbed } = await run(engines, {
      input,
      windowsPerSecond: options.windowsPerSecond,
      ...logsOf('undisturbed'),
    })
    const rows: Row[] = []
    for (const one of wanted) {
      options.onStart?.(one.name)
      const own = one.diskBytes === undefined && one.brokers === undefined ? engines : undefined
      // Samples keep coming for as long as an engine is away, and as long again.
      const slow = one.isAway ? windows / ((2 * awayMs) / 1000) : Number.POSITIVE_INFINITY
      const windowsPerSecond = Math.min(options.windowsPerSecond, slow)
      const plain = { input, windowsPerSecond: options.windowsPerSecond, ...logsOf(`${one.name}-against`) }
      const against = one.against
        ? (await run(engines, { ...plain, bodies: one.against })).outcome
        : undisturbed
      const at = { window: Math.floor(windows * 0.45), awayMs, older }
      const row = await rowOf(one, own, against, at, plan => ({
        ...plan,
        input,
        windowsPerSecond,
        ...logsOf(one.name),
      }))
      rows.push(row)
      options.onRow?.(row)
    }
    const disruptions = new Set([...undisturbed.events.keys()].map(id => id.split('.')[0])).size
    return {
      rows,
      undisturbed: { windows: undisturbed.windows.size, events: undisturbed.events.size, disruptions },
    }
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stopped)
    await engines.close()
  }
}

type Filled = Parameters<typeof run>[1]

async function rowOf(
  one: FaultCase,
  shared: Engines | undefined,
  undisturbed: Outcome,
  at: When,
  filled: (plan: ReturnType<FaultCase['plan']>) => Filled,
): Promise<Row> {
  let own: Engines | undefined
  try {
    own = shared ? undefined : await openEngines({ diskBytes: one.diskBytes, brokers: one.brokers })
    const done = await run((shared ?? own) as Engines, filled(one.plan(at)))
    const { outcome, lastedSeconds, recoverySeconds, bodiesAgain, problems } = done
    const comparison = compared(undisturbed, outcome)
    return {
      name: one.name,
      what: one.what,
      comparison,
      lastedSeconds: Math.max(lastedSeconds, 0),
      recoverySeconds: Math.max(recoverySeconds, 0),
      bodiesAgain,
      problems,
    }
  } catch (error) {
    const problems = [`could not be done: ${error instanceof Error ? error.message : String(error)}`]
    return { name: one.name, what: one.what, lastedSeconds: 0, recoverySeconds: 0, bodiesAgain: 0, problems }
  } finally {
    await own?.close()
  }
}
