import { createHash } from 'node:crypto'
import { ForeshockError } from '../core/errors.ts'
import { Turns } from '../core/turns.ts'
import { packageFile } from './model-files.ts'
import { CARD_BYTES_MAX, GOLDEN_BYTES_MAX } from './model-package.ts'
import { PROBE_LIMITS, type ProbeLimits, type ProbeReport, probe } from './model-probe.ts'
import type { ModelHost, ModelSession, RuntimeName } from './model-runtime.ts'
import { ThreadedSession } from './model-session.ts'
import { ModelThread } from './model-thread.ts'

export interface HostOptions {
  /** Runtimes that may be used; all when left out. */
  readonly runtimes?: readonly RuntimeName[]
  /** What a package may take while it is tried. */
  readonly limits?: ProbeLimits
}

/** Opens packages in threads, each tried in a process of its own before. */
export interface ProbingHost extends ModelHost {
  /** Tries a package without opening it; what has passed is not tried again when it is opened. Throws as `open`. */
  check(folder: string): Promise<ProbeReport>
}

/** Each has a thread and its own memory. */
const SESSIONS_MAX = 32
/** Packages whose proof is remembered. */
const PROOFS_MAX = 1000
/** Opening takes a second at most on a machine that is not overloaded, ms. */
const OPEN_MS = 30_000

/** Starts nothing yet. */
export function openHost(options: HostOptions = {}): ProbingHost {
  return new Host(options)
}

class Host implements ProbingHost {
  readonly #options: HostOptions
  readonly #sessions = new Set<ThreadedSession>()
  /** By what was tried: the card, which names the model's digest, and the golden rows. */
  readonly #proofs = new Map<string, ProbeReport>()
  /** One package is tried at a time. */
  readonly #probes = new Turns()
  #opening = 0
  #isClosed = false

  constructor(options: HostOptions) {
    this.#options = options
  }

  check(folder: string): Promise<ProbeReport> {
    return this.#check(folder, true)
  }

  async #check(folder: string, isTimed: boolean): Promise<ProbeReport> {
    const contents = await contentsOf(folder)
    // Who was in time need not show the rest again; not the other way round.
    const untimed = `${contents} untimed`
    const known = () => this.#proofs.get(contents) ?? (isTimed ? undefined : this.#proofs.get(untimed))
    const found = known()
    if (found) return found
    const { runtimes, limits = PROBE_LIMITS } = this.#options
    const report = await this.#probes.take(
      () => known() ?? probe({ folder, isTimed, ...(runtimes && { runtimes }) }, limits),
    )
    if (this.#proofs.size >= PROOFS_MAX) this.#proofs.clear()
    this.#proofs.set(isTimed ? contents : untimed, report)
    return report
  }

  async open(folder: string, accepted?: 'accepted'): Promise<ModelSession> {
    if (this.#isClosed) throw new ForeshockError('FS_MODEL_RUNTIME', 'models are not opened any more')
    if (this.#sessions.size + this.#opening >= SESSIONS_MAX)
      throw new ForeshockError('FS_MODEL_RUNTIME', `${SESSIONS_MAX} models are open, no more than that`)
    this.#opening++
    try {
      const { isProven } = await this.#check(folder, accepted === undefined)
      const { runtimes } = this.#options
      const data = { folder, options: { ...(runtimes && { runtimes }), isProven, isTimed: false } }
      const reopen = () => ModelThread.open(data, OPEN_MS)
      const session: ThreadedSession = new ThreadedSession(await reopen(), reopen, () =>
        this.#sessions.delete(session),
      )
      this.#sessions.add(session)
      if (this.#isClosed) await session.close()
      return session
    } finally {
      this.#opening--
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#sessions].map(session => session.close()))
  }
}

async function contentsOf(folder: string): Promise<string> {
  const hash = createHash('sha256')
  hash.update(await packageFile(folder, 'card.json', CARD_BYTES_MAX))
  hash.update(await packageFile(folder, 'golden.json', GOLDEN_BYTES_MAX))
  return hash.digest('hex')
}
