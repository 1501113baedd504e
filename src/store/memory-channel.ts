import type { Channel } from '../core/ports.ts'

/** The channel of fleets in one process: what is said reaches listeners after the call, as over a network. */
export class MemoryChannel implements Channel {
  readonly #listeners = new Map<string, ((text: string) => void)[]>()

  async publish(topic: string, text: string): Promise<void> {
    const listeners = this.#listeners.get(topic)
    if (listeners) queueMicrotask(() => listeners.forEach(take => void take(text)))
  }

  async subscribe(topic: string, take: (text: string) => void): Promise<void> {
    this.#listeners.set(topic, [...(this.#listeners.get(topic) ?? []), take])
  }

  async close(): Promise<void> {
    this.#listeners.clear()
  }
}
