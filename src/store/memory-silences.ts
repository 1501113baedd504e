import { type Clock, systemClock } from '../core/clock.ts'
import type { SharedSilences } from '../core/ports.ts'
import type { Silence } from '../core/silence.ts'

/** Without news for so long the silences of a source lapse, ms: what it silenced may be wanted again. */
export const SILENCES_LAST_MS = 300_000

/** Silences shared in one process. */
export class MemorySilences implements SharedSilences {
  readonly #clock: Clock
  readonly #sources = new Map<string, { readonly atMs: number; readonly silences: readonly Silence[] }>()

  constructor(options: { readonly clock?: Clock } = {}) {
    this.#clock = options.clock ?? systemClock
  }

  async publish(source: string, silences: readonly Silence[]): Promise<void> {
    this.#sources.set(source, { atMs: this.#clock(), silences: structuredClone(silences) })
  }

  async list(): Promise<readonly Silence[]> {
    const nowMs = this.#clock()
    const byId = new Map<string, Silence>()
    for (const { atMs, silences } of this.#sources.values())
      if (nowMs - atMs <= SILENCES_LAST_MS) for (const silence of silences) byId.set(silence.id, silence)
    return [...byId.values()]
  }

  async close(): Promise<void> {}
}
