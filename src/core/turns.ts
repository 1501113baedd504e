import { ForeshockError } from './errors.ts'

/**
 * Work that is done one after the other, in the order in which it was asked for. What fails is heard of by who asked, and
 * holds nobody up who comes after.
 */
export class Turns {
  readonly #most: number
  readonly #what: string
  #last: Promise<unknown> = Promise.resolve()
  #open = 0

  /** `most`: pieces of work that may be open at once, of `what`. */
  constructor(most = Number.POSITIVE_INFINITY, what = '') {
    this.#most = most
    this.#what = what
  }

  /** Rejects as the work does, and with FS_OVERLOADED where there is too much of it. */
  async take<T>(work: () => T | Promise<T>): Promise<T> {
    if (this.#open >= this.#most) throw new ForeshockError('FS_OVERLOADED', `${this.#most} ${this.#what}`)
    this.#open++
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    try {
      return await done
    } finally {
      this.#open--
    }
  }

  /** Resolves when all is done that was asked for until now. */
  async rest(): Promise<void> {
    await this.#last
  }
}
