import { every, type Timer } from '../upkeep.ts'

/** Engines are asked this often whether they answer, ms. */
const ASK_MS = 3000
/** An engine that has not answered after this long does not, ms. */
const ANSWER_MS_MAX = 2500

/** Whether an engine answers: rejects when it does not. */
export type Probe = () => Promise<void>

/**
 * Whether this process can do its work, for /readyz: the engines that it needs, asked again and again, and what its roles say
 * of themselves. An engine that is away now and then makes nobody restart anything: /livez is another question. What is away
 * but not needed is told all the same: who is not ready is sent nothing, by Kubernetes for one.
 */
export class Health {
  readonly #probes: Readonly<Record<string, Probe>>
  readonly #needs: (engine: string) => boolean
  readonly #says: (() => readonly string[])[] = []
  readonly #notes: (() => readonly string[])[] = []
  readonly #away = new Map<string, string>()
  readonly #changed: (engine: string, why: string | undefined) => void
  readonly #timer: Timer

  /**
   * `changed` is told when an engine goes away, and when it is back (`why` undefined). `needs`: whether nothing can be done
   * without an engine; all are needed unless given.
   */
  constructor(
    probes: Readonly<Record<string, Probe>>,
    changed: (engine: string, why: string | undefined) => void,
    needs: (engine: string) => boolean = () => true,
  ) {
    this.#probes = probes
    this.#changed = changed
    this.#needs = needs
    this.#timer = every(
      ASK_MS,
      () => this.ask(),
      () => {},
    )
  }

  /** What a role says in the way of being ready; nothing when nothing is. */
  add(says: () => readonly string[]): void {
    this.#says.push(says)
  }

  /** What a role goes on without. */
  addNote(says: () => readonly string[]): void {
    this.#notes.push(says)
  }

  /** `why` also says what is not in the way. */
  ready(): { readonly ready: boolean; readonly why: readonly string[] } {
    const away = [...this.#away]
    const said = this.#says.flatMap(says => says())
    const why = [
      ...away.map(([engine, text]) => `${engine} does not answer: ${text}`),
      ...said,
      ...this.#notes.flatMap(says => says()),
    ]
    return { ready: said.length === 0 && !away.some(([engine]) => this.#needs(engine)), why }
  }

  async ask(): Promise<void> {
    await Promise.all(
      Object.entries(this.#probes).map(async ([engine, probe]) => {
        const why = await answers(probe)
        const before = this.#away.get(engine)
        if (why === undefined) this.#away.delete(engine)
        else this.#away.set(engine, why)
        if ((why === undefined) !== (before === undefined)) this.#changed(engine, why)
      }),
    )
  }

  stop(): void {
    this.#timer.stop()
  }
}

async function answers(probe: Probe): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>(done => {
    timer = setTimeout(() => done(`nothing for ${ANSWER_MS_MAX} ms`), ANSWER_MS_MAX)
  })
  const asked = probe().then(
    () => undefined,
    error => (error as Error).message,
  )
  return Promise.race([asked, late]).finally(() => clearTimeout(timer))
}
