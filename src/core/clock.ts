/** Wall time, Unix ms. Handed in, so tests and replays set it. */
export type Clock = () => number

export const systemClock: Clock = () => Date.now()

/** Time that only passes, ms since some moment: nobody sets it. */
export const steadyClock: Clock = () => performance.now()
