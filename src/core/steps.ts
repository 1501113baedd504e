import type { Rest } from './stages.ts'

/** Rows after which whoever goes through a batch in steps ends one: some tens of µs. */
export const STEP_ROWS = 2048

/** Does at once all of what can be done in steps, and says what came of it. */
export function allSteps<T>(steps: Generator<void, T>): T {
  let step = steps.next()
  while (!step.done) step = steps.next()
  return step.value
}

/** The same, resting between two steps. */
export async function restingSteps<T>(steps: Generator<void, T>, rest: Rest | undefined): Promise<T> {
  let step = steps.next()
  for (; !step.done; step = steps.next()) {
    const others = rest?.()
    if (others !== undefined) await others
  }
  return step.value
}
