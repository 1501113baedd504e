import { partitionOf } from '../bus/partition-of.ts'
import type { Clock } from '../core/clock.ts'
import { ForeshockError } from '../core/errors.ts'
import type { Directory } from '../core/ports.ts'
import { type LiveHolders, PART_PREFIX } from '../serve/forward.ts'
import { stagePart } from './stage.ts'

/** An address is taken for true for so long, ms: a part that moves is looked up anew when it does not answer, too. */
const FRESH_MS = 5000
/** Who holds the live state of tenants, by the directory; by the last that was heard of it while it is away. */
export class StageHolders implements LiveHolders {
  readonly #directory: Pick<Directory, 'find'>
  readonly #partitions: number
  readonly #clock: Clock
  readonly #known = new Map<number, { readonly url: string; readonly atMs: number }>()

  /** `partitions`: of the topic of anomalies. `clock`: time that only passes, ms. */
  constructor(directory: Pick<Directory, 'find'>, partitions: number, clock: Clock) {
    this.#directory = directory
    this.#partitions = partitions
    this.#clock = clock
  }

  async find(tenant: string): Promise<string> {
    const partition = partitionOf(tenant, this.#partitions)
    const known = this.#known.get(partition)
    const nowMs = this.#clock()
    if (known !== undefined && nowMs - known.atMs <= FRESH_MS) return known.url
    let url: string | undefined
    try {
      url = await this.#directory.find(stagePart(partition))
    } catch (error) {
      if (known !== undefined) return known.url
      throw new ForeshockError(
        'FS_AWAY',
        `where ${stagePart(partition)} is cannot be looked up: ${(error as Error).message}`,
      )
    }
    if (url === undefined)
      throw new ForeshockError(
        'FS_AWAY',
        `nobody holds ${stagePart(partition)}, which has the live state of tenant ${tenant}, now`,
      )
    // One address serves all parts of a process.
    const base = `${url.replace(/\/$/, '')}${PART_PREFIX}${partition}`
    this.#known.set(partition, { url: base, atMs: nowMs })
    return base
  }

  lost(tenant: string, url: string): void {
    const partition = partitionOf(tenant, this.#partitions)
    if (this.#known.get(partition)?.url === url) this.#known.delete(partition)
  }
}
