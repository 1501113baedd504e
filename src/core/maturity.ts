/** Windows after which what is said of a series is half as sure as it will be. */
const HALF_SURE_WINDOWS = 60

/** How much is learned of a series after some windows, 0..1: a quarter after 20, .96 after a day of minutes. */
export function maturity(windows: number): number {
  return windows > 0 ? windows / (windows + HALF_SURE_WINDOWS) : 0
}
