import type { ModelSession } from './model-runtime.ts'

type Open = (model: string, version: number, digest: string) => Promise<ModelSession>

interface Held {
  readonly session: Promise<ModelSession>
  users: number
}

/**
 * Sessions that several pipelines of a process share, one a version: each has its memory and a thread. What one asks is
 * never joined with what another asks, so that answers do not depend on who else is here.
 */
export class SharedSessions {
  readonly #open: Open
  readonly #held = new Map<string, Held>()

  constructor(open: Open) {
    this.#open = open
  }

  /** A session of a version, the caller's to close; it ends with its last user. */
  async take(model: string, version: number, digest: string): Promise<ModelSession> {
    const key = `${model}@${version} ${digest}`
    const known = this.#held.get(key)
    const held: Held = known ?? { session: this.#open(model, version, digest), users: 0 }
    if (!known) this.#held.set(key, held)
    held.users++
    const leave = async () => {
      if (--held.users > 0) return
      if (this.#held.get(key) === held) this.#held.delete(key)
      await held.session.then(
        session => session.close(),
        () => {},
      )
    }
    try {
      return new Lent(await held.session, leave)
    } catch (error) {
      // Whoever comes next tries anew, also while others still learn of the failure.
      if (this.#held.get(key) === held) this.#held.delete(key)
      throw error
    }
  }
}

class Lent implements ModelSession {
  readonly card: ModelSession['card']
  readonly runtime: ModelSession['runtime']
  readonly #session: ModelSession
  #leave: (() => Promise<void>) | undefined

  constructor(session: ModelSession, leave: () => Promise<void>) {
    this.card = session.card
    this.runtime = session.runtime
    this.#session = session
    this.#leave = leave
  }

  run(input: Float32Array, rows: number, timeoutMs?: number): Promise<Float32Array> {
    return this.#session.run(input, rows, timeoutMs)
  }

  async close(): Promise<void> {
    const leave = this.#leave
    this.#leave = undefined
    await leave?.()
  }
}
