import type { Disruption } from '../core/disruption.ts'
import type { Board, Channel, SharedSilences } from '../core/ports.ts'
import type { Silence } from '../core/silence.ts'
import { alertLabels } from '../publish/alertmanager-sink.ts'
import { silences } from '../publish/silences.ts'
import { every, type Timer } from '../upkeep.ts'

/** The board is read this often, and silences, ms. */
const BOARD_MS = 1000
const SILENCES_MS = 5000

const NEWS = 'board'

/** The board, with a word to every gateway that it is new. Who misses the word reads the board soon anyway. */
export function withNews(board: Board, channel: Channel): Board {
  return {
    publish: async (shard, disruptions) => {
      await board.publish(shard, disruptions)
      await channel.publish(NEWS, shard).catch(() => {})
    },
    list: tenant => board.list(tenant),
    shards: () => board.shards(),
    close: () => board.close(),
  }
}

/**
 * The board of the fleet as a gateway shows it: read again and again, and at once when it is said to be new, so that a
 * question for it costs nothing. While the engine is away it stays as it was last.
 */
export class BoardView {
  readonly #board: Pick<Board, 'list' | 'shards'>
  readonly #silences: Pick<SharedSilences, 'list'>
  readonly #timers: readonly Timer[]
  #shown: readonly Disruption[] = []
  #told: readonly Disruption[] = []
  #active: readonly Silence[] = []
  #problem: string | undefined = 'the board was not read yet'

  constructor(board: Pick<Board, 'list' | 'shards'>, shared: Pick<SharedSilences, 'list'>) {
    this.#board = board
    this.#silences = shared
    const ignore = () => {} // what went wrong is in `problem`
    this.#timers = [
      every(BOARD_MS, () => this.refresh(), ignore),
      every(SILENCES_MS, () => this.refreshSilences(), ignore),
    ]
  }

  /** Open disruptions and those lately resolved of all tenants, highest rank first. */
  get disruptions(): readonly Disruption[] {
    return this.#shown
  }

  /** Why it may not be how things stand; undefined when it is. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** As it is shown: a silence of an Alertmanager shows too. */
  shown(one: Disruption): Disruption {
    if (this.#active.length === 0) return one
    const labels = alertLabels(one)
    return this.#active.some(silence => silences(silence, labels)) ? { ...one, silenced: true } : one
  }

  /** Reads the board at once whenever `withNews` says that it is new. */
  listen(channel: Channel): Promise<void> {
    return channel.subscribe(NEWS, () => void this.refresh())
  }

  async refresh(): Promise<void> {
    try {
      const [told, shards] = await Promise.all([this.#board.list(), this.#board.shards()])
      this.#told = told
      this.#show()
      const stale = shards.filter(one => one.isStale).map(one => one.shard)
      this.#problem = stale.length === 0 ? undefined : `${stale.join(', ')} has said nothing for a while`
    } catch (error) {
      this.#problem = `the board cannot be read: ${(error as Error).message}`
    }
  }

  async refreshSilences(): Promise<void> {
    this.#active = await this.#silences.list()
    this.#show()
  }

  stop(): void {
    for (const timer of this.#timers) timer.stop()
  }

  #show(): void {
    this.#shown = this.#told.map(one => this.shown(one))
  }
}
