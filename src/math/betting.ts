/**
 * A confidence sequence by betting for the mean of numbers in [−1, 1], given one at a time: Waudby-Smith and Ramdas,
 * "Estimating means of bounded random variables by betting" (JRSS B 86(1), 2024), the hedged capital process with
 * the bets they call aGRAPA (section B.3). For each mean on a grid two gamblers bet, one that the mean lies above it,
 * one that it lies below. Were that mean the true one, neither could expect to win, and by Ville's inequality neither
 * would ever multiply its stake by 2/α with a chance above α/2: a gambler that does refutes the mean, whenever one
 * looks, and however often one looked before. Rests on this alone: given all that came before, no number's
 * expectation lies on the wrong side; numbers need not be independent or alike.
 *
 * Deviations: numbers lie in [−1, 1] and not in [0, 1], so that the prior variance 1/4 becomes 1. The grid is as fine
 * as GRID_STEP; bounds are rounded outward to it.
 */

/** Means on the grid, from −1 to 1. */
const MEANS = 81
const GRID_STEP = 2 / (MEANS - 1)
const ZERO = (MEANS - 1) / 2
/** Most of a gambler's capital that one number can take (`c` of the paper, which uses 1/2 and 3/4). */
const AT_STAKE_MAX = 0.75

/** All that is known so far; JSON-safe. */
export interface BettingState {
  readonly count: number
  readonly sum: number
  readonly squares: number
  /** Logarithms of capital, and the largest it ever was, per mean of the grid. */
  readonly above: readonly number[]
  readonly below: readonly number[]
  readonly aboveMax: readonly number[]
  readonly belowMax: readonly number[]
}

export class BettedMean {
  readonly #limit: number
  #count = 0
  #sum = 0
  /** Sum of squared distances from the mean as it was estimated each time. */
  #squares = 0
  readonly #above = new Float64Array(MEANS)
  readonly #below = new Float64Array(MEANS)
  readonly #aboveMax = new Float64Array(MEANS)
  readonly #belowMax = new Float64Array(MEANS)

  /** `alpha`: chance, at most, that any statement ever made is wrong; 0..1. */
  constructor(alpha: number, from?: BettingState) {
    this.#limit = Math.log(2 / alpha)
    if (!from) return
    this.#count = from.count
    this.#sum = from.sum
    this.#squares = from.squares
    this.#above.set(from.above)
    this.#below.set(from.below)
    this.#aboveMax.set(from.aboveMax)
    this.#belowMax.set(from.belowMax)
  }

  /** `x` in [−1, 1]; what lies beyond is cut to it, since a larger stake could be lost than there is. */
  add(x: number): void {
    const value = Math.max(-1, Math.min(1, x))
    // What is bet rests on the past alone.
    const mean = this.#sum / (this.#count + 1)
    const variance = (1 + this.#squares) / (this.#count + 1)
    for (let j = 0; j < MEANS; j++) {
      const m = (j - ZERO) * GRID_STEP
      const distance = mean - m
      const bet = distance / (variance + distance * distance)
      if (bet > 0) {
        const stake = Math.min(bet, AT_STAKE_MAX / (1 + m))
        this.#above[j] += Math.log1p(stake * (value - m))
        if (this.#above[j] > this.#aboveMax[j]) this.#aboveMax[j] = this.#above[j]
      } else if (bet < 0) {
        const stake = Math.min(-bet, AT_STAKE_MAX / (1 - m))
        this.#below[j] += Math.log1p(stake * (m - value))
        if (this.#below[j] > this.#belowMax[j]) this.#belowMax[j] = this.#below[j]
      }
    }
    this.#count++
    this.#sum += value
    const after = this.#sum / (this.#count + 1)
    this.#squares += (value - after) * (value - after)
  }

  get count(): number {
    return this.#count
  }

  /** NaN while there is nothing. */
  get mean(): number {
    return this.#sum / this.#count
  }

  /** e-values against "not above 0" and "not below 0": what a stake of 1 has become; at most 1e300. */
  get evidence(): { readonly above: number; readonly below: number } {
    return { above: capital(this.#above[ZERO]), below: capital(this.#below[ZERO]) }
  }

  /** Which side of 0 the mean lies on; what was once said stands. */
  get side(): 'above' | 'below' | 'open' {
    const above = this.#aboveMax[ZERO] >= this.#limit
    const below = this.#belowMax[ZERO] >= this.#limit
    // Both at once would mean that the differences changed their nature; nothing is claimed then.
    if (above === below) return 'open'
    return above ? 'above' : 'below'
  }

  /** Holds the mean at all times together with a chance of 1 − α. */
  get interval(): { readonly lower: number; readonly upper: number } {
    let low = 0
    while (low < MEANS && this.#aboveMax[low] >= this.#limit) low++
    let high = MEANS - 1
    while (high >= 0 && this.#belowMax[high] >= this.#limit) high--
    return {
      lower: Math.max(-1, (low - 1 - ZERO) * GRID_STEP),
      upper: Math.min(1, (high + 1 - ZERO) * GRID_STEP),
    }
  }

  state(): BettingState {
    return {
      count: this.#count,
      sum: this.#sum,
      squares: this.#squares,
      above: [...this.#above],
      below: [...this.#below],
      aboveMax: [...this.#aboveMax],
      belowMax: [...this.#belowMax],
    }
  }
}

function capital(log: number): number {
  return Math.exp(Math.min(690, log))
}
