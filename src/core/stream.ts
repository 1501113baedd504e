/**
 * A partitioned, ordered, durable log that many processes share: Kafka in a cluster, memory in tests. One contract suite,
 * every adapter passes it. Whatever decides a result is decided by the order of one partition.
 */

/** What is written. */
export interface StreamMessage {
  /** Decides the partition where none is given (`partitionOf`); null only where one is. */
  readonly key: string | null
  readonly value: Uint8Array
  readonly headers: Readonly<Record<string, string>>
  /** When it came about, Unix ms; parts of a millisecond are dropped. */
  readonly timestampMs: number
  readonly partition?: number
}

/** What is read: where it stands is part of it. */
export interface StoredMessage {
  readonly topic: string
  readonly partition: number
  /** Monotonic in its partition, with gaps. */
  readonly offset: number
  /** As it was written; foreign producers write any bytes, those that are no UTF-8 text come as null. */
  readonly key: string | null
  readonly value: Uint8Array
  readonly headers: Readonly<Record<string, string>>
  readonly timestampMs: number
  /** Why the batch that stood here cannot be read; `value` is the batch as it came. Only given to who `takesFaults`. */
  readonly fault?: string
}

export interface StreamProducer {
  /**
   * Resolves when every message is held by all in-sync replicas; messages of one partition stand in the order given, each
   * once. Rejects with FS_IO when that cannot be had within the retries configured; some may then be written.
   */
  send(topic: string, messages: readonly StreamMessage[]): Promise<void>
  close(): Promise<void>
}

/** A producer of all-or-nothing sends, of which there is one a name: opening it shuts out any older one. */
export interface StreamTransactor {
  /** All or none are read by others. Rejects with FS_FENCED once a newer one of the same name was opened. */
  send(messages: readonly { readonly topic: string; readonly message: StreamMessage }[]): Promise<void>
  close(): Promise<void>
}

/**
 * What a member of a group does with the partitions it is given. Calls for one partition never overlap. When `assigned` or
 * `take` rejects, the partition is let go and, after a while, assigned to the same member again, for as long as it is its.
 */
export interface PartitionOwner {
  /** A partition is given to this member: restores what is known of it. Resolves to the offset to read from next. */
  assigned(partition: number): Promise<number | 'first'>
  /** Messages in their order; the next come when it resolves. `end` is the offset after the partition's last message. */
  take(partition: number, messages: readonly StoredMessage[], end: number): Promise<void>
  /**
   * It is to be let go, and `revoked` follows as soon as `take` resolves, which may be before the last of its messages: who
   * has the partition next reads on from where this one says it got to.
   */
  leaving?(partition: number): void
  /**
   * It goes to another member, or this one leaves; when this resolves, nothing more may be written in its name. `orderly`:
   * nobody else holds it until then, so what was learned may still be saved. Otherwise another may hold it already (this
   * one was silent for too long), or `assigned` or `take` has failed and `assigned` will be called again.
   */
  revoked(partition: number, orderly: boolean): Promise<void>
}

export interface GroupOptions {
  readonly topic: string
  /** Members of one group share the partitions. */
  readonly group: string
  /** Stays the same over restarts of this member (a host name): a member that returns is given the same partitions. */
  readonly member: string
  /** Takes batches that the engine cannot read as messages with a `fault`; otherwise reading stands still before them. */
  readonly takesFaults?: boolean
  /** Lends the values of messages: whoever takes them copies what is needed beyond `take`, since their memory is used again. */
  readonly lends?: boolean
}

/** One member of a consumer group. */
export interface StreamGroup {
  /** Joins; resolves once the first assignment is known. */
  run(owner: PartitionOwner): Promise<void>
  /** Tells the engine how far a partition is, for lag shown outside; what decides is the owner's own position. */
  commit(partition: number, nextOffset: number): Promise<void>
  /** How far the group has told that it is; undefined when it never did. For owners that keep no position of their own. */
  committed(partition: number): Promise<number | undefined>
  /** Takes no messages of a partition until `resume`: what follows it cannot keep up. */
  pause(partition: number): void
  resume(partition: number): void
  /** Partitions held now, ascending. */
  readonly partitions: readonly number[]
  /** Leaves; every partition is revoked first. */
  close(): Promise<void>
}

export interface Streams {
  /** Partitions of a topic; rejects with FS_BUS_TOPIC that says what to do when there is none of the name. */
  partitions(topic: string): Promise<number>
  /** Offset of the first message still held, and of the one that comes next. */
  range(topic: string, partition: number): Promise<{ readonly first: number; readonly end: number }>
  /** Idempotent: a send that is repeated after a broken connection stands once. */
  producer(): Promise<StreamProducer>
  transactor(name: string): Promise<StreamTransactor>
  group(options: GroupOptions): StreamGroup
  /** Messages of a partition from an offset to the end as it stood at the call, aborted ones left out. */
  read(topic: string, partition: number, from: number): AsyncIterable<StoredMessage>
  /**
   * Every message of all partitions that is written from now on, to each who follows, until closed; it belongs to no
   * group. With `from`, those from these offsets on (by partition) first.
   */
  follow(
    topic: string,
    take: (message: StoredMessage) => Promise<void> | void,
    from?: readonly number[],
  ): Promise<{ close(): Promise<void> }>
  /** Rejects with FS_IO when the engine cannot be reached. */
  check(): Promise<void>
  close(): Promise<void>
}

/** The topics, under the prefix configured. Names here are without it. */
export const TOPICS = {
  /** Key `<tenant>/<entity>`: a partition owns all series of its entities. */
  samples: 'samples',
  /** Key `<tenant>`: windows of every samples partition, and CloudEvents of anomalies. */
  anomalies: 'anomalies',
  /** CloudEvents binary, key = disruption id. */
  disruptions: 'disruptions',
  changes: 'changes',
  /** Compacted: the latest word on models, maintenance windows and the like, by key. */
  control: 'control',
  deadLetters: 'dead-letters',
  /** The hash-chained record; as many partitions as `anomalies`. */
  record: 'record',
} as const
export type TopicName = (typeof TOPICS)[keyof typeof TOPICS]

/** Headers of messages that Foreshock itself writes. */
export const HEADERS = {
  /** What the value is: one of CONTENT. A message without it comes from a foreign producer. */
  content: 'foreshock-content',
  tenant: 'foreshock-tenant',
  /** `<topic>/<partition>/<offset>/<n>` of the message that this one was made of: repeated relays are dropped by it. */
  origin: 'foreshock-origin',
} as const
export const CONTENT = {
  columns: 'columns',
  tick: 'tick',
  model: 'model',
  maintenance: 'maintenance',
  change: 'change',
  audit: 'audit',
  window: 'window',
  seal: 'seal',
} as const
