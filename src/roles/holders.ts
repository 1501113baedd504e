import { partitionOf } from '../bus/partition-of.ts'
import type { Clock } from '../core/clock.ts'
import { ForeshockError } from '../core/errors.ts'
import type { Directory } from '../core/ports.ts'
import type { LiveHolders } from '../serve/forward.ts'

/** An address is taken for true for so long, ms: a part that moves is looked up anew when it does not answer, too. */
const FRESH_MS = 5000
/** How often a stage says where it is reached, and how long that holds, ms. */
export const ANNOUNCE_MS = 5000
export const ANNOUNCED_MS = 20_000

/** Name in the directory of who holds a partition of anomalies. */
export const stageName = (partition: number): string => `stage/${partition}`

/** Who holds the live state of tenants, by the directory; by the last that was heard of it while it is away. */
export class StageHolders implements LiveHolders {
  readonly #directory: Pick<Directory, 'find'>
  readonly #partitions: number
  readonly #clock: Clock
  readonly #known = new Map<number, { readonly url: string; readonly atMs: number }>()

  /** `partitions`: of the topic of anomalies. */
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
      url = await this.#directory.find(stageName(partition))
    } catch (error) {
      if (known !== undefined) return known.url
      throw new ForeshockError(
        'FS_AWAY',
        `where ${stageName(partition)} is cannot be looked up: ${(error as Error).message}`,
      )
    }
    if (url === undefined)
      throw new ForeshockError(
        'FS_AWAY',
        `nobody holds ${stageName(partition)}, which has the live state of tenant ${tenant}, now`,
      )
    this.#known.set(partition, { url, atMs: nowMs })
    return url
  }

  lost(tenant: string, url: string): void {
    const partition = partitionOf(tenant, this.#partitions)
    if (this.#known.get(partition)?.url === url) this.#known.delete(partition)
  }
}
