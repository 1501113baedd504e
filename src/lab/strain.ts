import type { Switches } from './settings.ts'

/** Period of the runaway loop, ms: it holds the event loop for its share of each. */
const BURN_PERIOD_MS = 50
/** A leak stops here, so that the lab never endangers the machine it runs on. */
const LEAK_BYTES_MAX = 400 * 1024 * 1024

/** What one retained object takes on the heap, with its number and its place in the array, bytes; about. */
const OBJECT_BYTES = 48

/** The faults that live in the process itself rather than in what it computes: burnt CPU, retained memory. */
export class Strain {
  readonly #switches: Readonly<Switches>
  #retained: { readonly id: number; readonly score: number }[][] = []
  #retainedBytes = 0
  #burning = false

  constructor(switches: Readonly<Switches>) {
    this.#switches = switches
  }

  /** Called when switches were turned. */
  apply(): void {
    if (this.#switches.leakBytesPerRequest === 0) {
      this.#retained = []
      this.#retainedBytes = 0
    }
    if (this.#switches.burnShare > 0 && !this.#burning) {
      this.#burning = true
      this.#burn()
    }
  }

  /** Called for every request. */
  request(): void {
    const bytes = this.#switches.leakBytesPerRequest
    if (bytes === 0 || this.#retainedBytes + bytes > LEAK_BYTES_MAX) return
    // Many small objects, as leaks are: the collector copies and marks them again and again, which costs CPU too.
    const objects = Math.ceil(bytes / OBJECT_BYTES)
    this.#retained.push(
      Array.from({ length: objects }, (_, id) => ({ id, score: (id + this.#retained.length) / 7 })),
    )
    this.#retainedBytes += bytes
  }

  #burn(): void {
    const share = Math.min(0.95, this.#switches.burnShare)
    if (share <= 0) {
      this.#burning = false
      return
    }
    const untilMs = performance.now() + share * BURN_PERIOD_MS
    let spun = 0
    while (performance.now() < untilMs) spun = (spun * 31 + 7) % 1_000_003
    setTimeout(() => this.#burn(), (1 - share) * BURN_PERIOD_MS + (spun & 0)).unref()
  }
}
