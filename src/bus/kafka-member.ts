import kafkajs from 'kafkajs'
import type { Broker } from 'kafkajs/src/cluster/index.js'
import { ForeshockError } from '../core/errors.ts'
import type { GroupOptions, PartitionOwner, StreamGroup } from '../core/stream.ts'
import { type Candidate, nextOwners } from './assignment.ts'
import { HeldPartitions } from './held-partitions.ts'
import { codecsReady } from './kafka-codecs.ts'
import type { KafkaCluster } from './kafka-connection.ts'
import { errorType, isHopeless, kafkaError } from './kafka-errors.ts'
import { KafkaFetcher } from './kafka-fetcher.ts'
import { Slabs } from './slabs.ts'

export interface MemberOptions extends GroupOptions {
  /** The topic without the prefix. */
  readonly name: string
  readonly sessionTimeoutMs: number
  readonly failed: (error: unknown) => void
  readonly assigned: (partitions: readonly number[]) => void
  readonly skipped: (partition: number, from: number, to: number) => void
}

const { MemberAssignment, MemberMetadata } = kafkajs.AssignerProtocol

/** Name of how partitions are shared out; members of a group must agree on it. */
const PROTOCOL = 'foreshock-cooperative-1'
/** Heartbeats a session timeout: as many may be lost but one. */
const BEATS_A_SESSION = 10
const BEAT_MAX_MS = 3000
/** Others wait this many session timeouts for a member that is too busy to join again. */
const REBALANCE_SESSIONS = 2
const REJOIN = new Set(['REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION'])
const FORGOTTEN = new Set(['UNKNOWN_MEMBER_ID', 'FENCED_INSTANCE_ID'])
const COMMIT_TRIES = 20
const LEAVE_MS = 2000

/**
 * One member of a consumer group. It holds on to its partitions while the group shares them out anew, and lets go of those
 * that are to move before another member is given them (assignment.ts). What is silent for longer than the session timeout
 * is presumed dead by Kafka; such a member takes nothing more until Kafka has answered it again.
 */
export class KafkaMember implements StreamGroup {
  readonly #cluster: KafkaCluster
  readonly #options: MemberOptions
  readonly #fetcher: KafkaFetcher
  readonly #held: HeldPartitions
  #assigned: ReadonlySet<number> = new Set()
  #memberId = ''
  #generation = -1
  #heardMs = Number.NEGATIVE_INFINITY
  #rejoin = false
  /** Kafka knows this member, as far as is known here. */
  #member = false
  #closing = false
  #left = false
  #live: Promise<void> | undefined
  #changed: () => void = () => {}
  #heard: (() => void)[] = []

  constructor(cluster: KafkaCluster, options: MemberOptions) {
    this.#cluster = cluster
    this.#options = options
    this.#held = new HeldPartitions({
      member: options.member,
      wanted: () => this.#fetcher.wake(),
      failed: options.failed,
      sure: () => this.#sure(),
    })
    this.#fetcher = new KafkaFetcher({
      cluster,
      topic: options.topic,
      name: options.name,
      takesFaults: options.takesFaults ?? false,
      wanted: () =>
        [...this.#held.workers()].flatMap(({ partition, position }) =>
          position === undefined ? [] : [{ partition, from: position }],
        ),
      slabs: options.lends ? new Slabs() : undefined,
      take: ({ partition, from, messages, next, end, giveBack }) =>
        this.#held.worker(partition)?.offer(from, messages, next, end, giveBack),
      skipped: options.skipped,
      failed: options.failed,
    })
  }

  get partitions(): readonly number[] {
    return this.#held.partitions
  }

  async run(owner: PartitionOwner): Promise<void> {
    this.#held.run(owner)
    await new Promise<void>((joined, refused) => {
      this.#live = this.#stay(joined, refused)
    })
  }

  async commit(partition: number, nextOffset: number): Promise<void> {
    const { topic, group } = this.#options
    const topics = [{ topic, partitions: [{ partition, offset: String(nextOffset), metadata: null }] }]
    for (let failures = 0; ; failures++) {
      this.#held.fence(partition)
      try {
        const coordinator = await this.#cluster.groupCoordinator(group)
        await coordinator.offsetCommit({
          groupId: group,
          groupGenerationId: this.#generation,
          memberId: this.#memberId,
          topics,
        })
        return
      } catch (error) {
        if (isHopeless(error) || failures >= COMMIT_TRIES || this.#left)
          throw kafkaError(error, 'committing an offset')
        await this.#cluster.pause(100)
      }
    }
  }

  async committed(partition: number): Promise<number | undefined> {
    const { topic, group: groupId } = this.#options
    const topics = [{ topic, partitions: [{ partition }] }]
    for (let failures = 0; ; failures++) {
      try {
        const coordinator = await this.#cluster.groupCoordinator(groupId)
        const { responses } = await coordinator.offsetFetch({ groupId, topics })
        const offset = Number(responses[0]?.partitions[0]?.offset ?? -1)
        return offset < 0 ? undefined : offset
      } catch (error) {
        if (isHopeless(error) || failures >= COMMIT_TRIES || this.#left)
          throw kafkaError(error, 'looking up a committed offset')
        await this.#cluster.pause(100)
      }
    }
  }

  pause(partition: number): void {
    this.#held.pause(partition)
  }

  resume(partition: number): void {
    this.#held.resume(partition)
  }

  async close(): Promise<void> {
    if (!this.#closing) {
      this.#closing = true
      this.#assigned = new Set()
      await Promise.all(this.#held.partitions.map(partition => this.#letGo(partition, true)))
      await this.#settled()
      this.#left = true
      this.#changed()
      // A join may be waiting for members that do not answer.
      await Promise.race([this.#live, this.#cluster.pause(LEAVE_MS)])
      await this.#fetcher.stop()
      await this.#leave()
      await this.#cluster.close()
    }
    await this.#live
  }

  async #leave(): Promise<void> {
    if (this.#memberId === '') return
    try {
      const coordinator = await this.#cluster.groupCoordinator(this.#options.group)
      await coordinator.leaveGroup({ groupId: this.#options.group, memberId: this.#memberId })
    } catch {
      // Kafka finds out by itself when the session times out.
    }
  }

  /** Joins, stays, joins again, until closed. */
  async #stay(joined: () => void, refused: (error: unknown) => void): Promise<void> {
    let everJoined = false
    for (let failures = 0; !this.#left; ) {
      try {
        await codecsReady()
        await this.#cluster.open(this.#options.topic)
        const coordinator = await this.#cluster.groupCoordinator(this.#options.group)
        const returned = this.#member
        if (!returned) await this.#join(coordinator)
        everJoined = true
        joined()
        await this.#beat(coordinator, returned, () => {
          failures = 0
        })
        this.#member = false
      } catch (error) {
        const type = errorType(error)
        this.#answered()
        if (REJOIN.has(type) || FORGOTTEN.has(type)) this.#member = false
        if (REJOIN.has(type)) continue
        if (FORGOTTEN.has(type)) {
          // Others were given what this one held, and what it was about to let go.
          this.#memberId = ''
          this.#assigned = new Set()
          for (const partition of this.#held.owned) void this.#letGo(partition, false)
          continue
        }
        if (!everJoined && isHopeless(error)) {
          this.#left = true
          await this.#cluster.close()
          return refused(kafkaError(error, `joining group ${this.#options.group}`))
        }
        if (this.#left) return
        this.#options.failed(kafkaError(error, `staying in group ${this.#options.group}`))
        await this.#cluster.recover(error, failures++)
      }
    }
    refused(new ForeshockError('FS_IO', `this member of ${this.#options.group} was closed`))
  }

  async #join(coordinator: Broker): Promise<void> {
    const { topic, group, member, sessionTimeoutMs } = this.#options
    this.#rejoin = false
    const userData = Buffer.from(JSON.stringify({ name: member, owned: this.#held.owned }))
    const metadata = MemberMetadata.encode({ version: 0, topics: [topic], userData })
    const joined = await coordinator.joinGroup({
      groupId: group,
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: REBALANCE_SESSIONS * sessionTimeoutMs,
      memberId: this.#memberId,
      groupProtocols: [{ name: PROTOCOL, metadata }],
    })
    this.#memberId = joined.memberId
    this.#generation = joined.generationId
    const leads = joined.leaderId === joined.memberId
    const { memberAssignment } = await coordinator.syncGroup({
      groupId: group,
      generationId: joined.generationId,
      memberId: joined.memberId,
      groupAssignment: leads ? await this.#shareOut(joined.members) : [],
    })
    this.#member = true
    this.#heardNow()
    const decoded = MemberAssignment.decode(memberAssignment)
    this.#apply(this.#closing ? [] : (decoded?.assignment[topic] ?? []))
  }

  async #shareOut(
    members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[],
  ): Promise<{ memberId: string; memberAssignment: Buffer }[]> {
    const { topic } = this.#options
    await this.#cluster.open(topic)
    const candidates = members.map(({ memberId, memberMetadata }) => candidateOf(memberId, memberMetadata))
    const owners = nextOwners(candidates, this.#cluster.partitions(topic))
    return [...owners].map(([memberId, partitions]) => ({
      memberId,
      memberAssignment: MemberAssignment.encode({
        version: 0,
        assignment: { [topic]: partitions },
        userData: Buffer.alloc(0),
      }),
    }))
  }

  #apply(partitions: readonly number[]): void {
    this.#assigned = new Set(partitions)
    const going = this.#held.partitions.filter(partition => !this.#assigned.has(partition))
    if (going.length > 0) {
      // The next round gives them to those they are meant for.
      void Promise.all(going.map(partition => this.#letGo(partition, true))).then(() => this.#askAnew())
    }
    this.#takeUp()
    this.#options.assigned([...this.#assigned].sort((a, b) => a - b))
  }

  #askAnew(): void {
    this.#rejoin = true
    this.#changed()
  }

  #takeUp(): void {
    if (!this.#closing) this.#held.takeUp(this.#assigned)
  }

  async #letGo(partition: number, orderly: boolean): Promise<void> {
    await this.#held.letGo(partition, orderly)
    this.#takeUp()
  }

  async #settled(): Promise<void> {
    while (this.#held.isLettingGo) await this.#cluster.pause(5)
  }

  /** Heartbeats until the group is to be joined again, which is thrown by Kafka or asked for here. */
  async #beat(coordinator: Broker, atOnce: boolean, answered: () => void): Promise<void> {
    const { group, sessionTimeoutMs } = this.#options
    const everyMs = Math.min(sessionTimeoutMs / BEATS_A_SESSION, BEAT_MAX_MS)
    for (let now = atOnce; !this.#left && !this.#rejoin; now = false) {
      if (!now)
        await new Promise<void>(changed => {
          const timer = setTimeout(changed, everyMs)
          this.#changed = () => {
            clearTimeout(timer)
            changed()
          }
          if (this.#left || this.#rejoin) this.#changed()
        })
      if (this.#left || this.#rejoin) return
      await coordinator.heartbeat({
        groupId: group,
        groupGenerationId: this.#generation,
        memberId: this.#memberId,
      })
      answered()
      this.#heardNow()
    }
  }

  #heardNow(): void {
    this.#heardMs = performance.now()
    this.#answered()
  }

  #answered(): void {
    const waiting = this.#heard
    this.#heard = []
    for (const one of waiting) one()
  }

  /** Kafka has heard of this member within the session timeout, so nobody else was given what it holds. */
  async #sure(): Promise<boolean> {
    const fresh = () => performance.now() - this.#heardMs < this.#options.sessionTimeoutMs
    if (fresh()) return true
    await new Promise<void>(heard => {
      this.#heard.push(heard)
      setTimeout(heard, BEAT_MAX_MS).unref()
    })
    return fresh()
  }
}

/** A member of another program has no name and no partitions that this one knows of. */
function candidateOf(id: string, metadata: Buffer): Candidate {
  try {
    const { userData } = MemberMetadata.decode(metadata) ?? {}
    const { name, owned } = JSON.parse(String(userData)) as { name?: unknown; owned?: unknown }
    const partitions = Array.isArray(owned) ? owned.filter(one => Number.isInteger(one)) : []
    return { id, name: typeof name === 'string' ? name : id, owned: partitions }
  } catch {
    return { id, name: id, owned: [] }
  }
}
