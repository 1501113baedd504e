import type { Anomaly } from './anomaly.ts'
import type { Change } from './change.ts'
import type { Cut, CutSnapshot } from './cut.ts'
import type { Disruption, DisruptionEvent } from './disruption.ts'
import type { Envelope } from './envelope.ts'
import type { Silence } from './silence.ts'
import type { Snapshot } from './snapshot.ts'

/** Where an envelope stands in its source: monotonic; embedded it counts envelopes, on Kafka it is an offset. */
export type Position = number

/** The durable inbox of the pipeline. One contract suite, every adapter passes it. */
export interface Journal {
  /**
   * Takes an envelope; it is in order from here on, but durable only after `sync`. Until then its bytes may be read: they
   * are not to change before.
   */
  append(envelope: Envelope): Position
  /** Resolves when everything up to `position` would survive a power cut; concurrent calls share one fsync. */
  sync(position: Position): Promise<void>
  /** Envelopes after `position`, in order, to the end as it stands. A torn tail ends it without an error. */
  read(after: Position): AsyncIterable<{ position: Position; envelope: Envelope }>
  /** Everything up to `position` will not be read again. */
  commit(position: Position): Promise<void>
  /** Position of the last envelope; 0 when empty. */
  readonly end: Position
  close(): Promise<void>
}

/** Receives every disruption event once it is in the record. Delivery is at least once; ids repeat. */
export interface DisruptionSink {
  readonly name: string
  publish(event: DisruptionEvent): Promise<void>
  /** Events accepted but not yet delivered. */
  readonly pending: number
  close(): Promise<void>
}

export interface Checkpoint {
  readonly position: Position
  readonly savedMs: number
  readonly parts: readonly Snapshot[]
}

/** A checkpoint whose columns may still lie in live memory. */
export interface CheckpointCut extends Omit<Checkpoint, 'parts'> {
  readonly parts: readonly CutSnapshot[]
  /** Left out where everything is a copy already. */
  readonly cut?: Cut | undefined
  /** Asked when all is written: it becomes the newest once this resolves, and never when it rejects. */
  readonly ready?: () => Promise<unknown>
}

/** Atomic: a reader sees the old checkpoint or the new one, never a mixture. */
export interface CheckpointStore {
  /**
   * Takes from a cut what it holds, while its owners go on, and closes it, whatever comes of it. Rejects with FS_OVERLOADED
   * when the cut was given up meanwhile.
   */
  save(checkpoint: CheckpointCut): Promise<void>
  /** What it returns is the caller's to keep: nobody else has its columns. */
  load(): Promise<Checkpoint | undefined>
}

/** Checkpoints of many parts by name, each of one owner at a time. */
export interface CheckpointStores {
  /**
   * Takes a name over and gives its checkpoints: from here on `save` of any former owner rejects with FS_FENCED. Rejects
   * with FS_IO when the store cannot be reached.
   */
  claim(name: string): Promise<CheckpointStore>
  close(): Promise<void>
}

/** The live ranking that every gateway shows. A shard is what one disruption stage holds. */
export interface Board {
  /** Replaces what the shard showed: open and lately resolved ones. */
  publish(shard: string, disruptions: readonly Disruption[]): Promise<void>
  /** Those of all shards, open ones first, highest score first; a tenant's only, when one is named. */
  list(tenant?: string): Promise<readonly Disruption[]>
  /** Shards that were published in the last while, by name: how long ago, and whether that is suspiciously long. */
  shards(): Promise<readonly BoardShard[]>
  close(): Promise<void>
}

export interface BoardShard {
  readonly shard: string
  readonly ageMs: number
  /** It was published too long ago to be taken for how things stand: its owner is away or stuck. */
  readonly isStale: boolean
}

/** Where parts of the fleet are reached. */
export interface Directory {
  /** Says that a part (`stage/3`) is reached at a URL, until `ttlMs` from now. */
  announce(part: string, url: string, ttlMs: number): Promise<void>
  find(part: string): Promise<string | undefined>
  close(): Promise<void>
}

/** Short words to whoever listens now; what is missed is lost, so nothing rests on it. */
export interface Channel {
  publish(topic: string, text: string): Promise<void>
  /** Never rejects: where the engine is away now, it listens from when it is back. `take` must not throw. */
  subscribe(topic: string, take: (text: string) => void): Promise<void>
  close(): Promise<void>
}

/**
 * What tenants may send, counted over all gateways. Never rejects: while the shared count is away each gateway counts for
 * itself, so that a tenant may send up to its quota through every one of them.
 */
export interface QuotaKeeper {
  /**
   * Takes samples out of a tenant's allowance. 0 when they may pass, else the ms after which it is worth coming back. What
   * passes may go into debt, so that one body larger than the allowance is not refused for ever. The rate is above 0.
   */
  takeSamples(tenant: string, samples: number, samplesPerSecond: number): Promise<number>
  /**
   * Counts series, by 64-bit fingerprint, of which a tenant may have so many. Gives the indexes of those refused, none as
   * a rule. Series count for an hour at least and two at most: one that lives on must be counted again every hour.
   */
  countSeries(tenant: string, fingerprints: BigUint64Array, seriesMax: number): Promise<readonly number[]>
  close(): Promise<void>
}

/** Counts over all gateways what comes by key, such as requests of an address. Never rejects, as `QuotaKeeper`. */
export interface RateCounter {
  /** One more of a key: how many in the window of so many ms that began with the first, and how long it goes on. */
  count(key: string, windowMs: number): Promise<{ readonly count: number; readonly leftMs: number }>
  close(): Promise<void>
}

/** Silences that whoever asks the Alertmanagers shares with whoever shows disruptions. */
export interface SharedSilences {
  /** Replaces those of a source, an Alertmanager's URL; without news they lapse after a while. */
  publish(source: string, silences: readonly Silence[]): Promise<void>
  /** Of all sources, each id once. */
  list(): Promise<readonly Silence[]>
  close(): Promise<void>
}

/** A model package as a fleet keeps it, without its bytes. */
export interface KeptPackage {
  readonly model: string
  readonly version: number
  /** Of the model's bytes, as its card says, and of every byte of the package. */
  readonly digest: string
  readonly packageDigest: string
  readonly bytes: number
  readonly files: readonly string[]
  readonly card: Readonly<Record<string, unknown>>
  /** ISO 8601. */
  readonly pushedAt: string
  readonly pushedBy: string
  /** In whose name it was pushed. */
  readonly tenant: string
}

/** A package as it is listed: what was removed is listed too, as its number never comes to mean another one. */
export interface ListedPackage extends KeptPackage {
  readonly isRemoved: boolean
  /** Counts what happens to packages: each has the number of what happened to it last. */
  readonly change: number
}

/** Where the processes of a fleet fetch model packages. Everything rejects with FS_IO while its engine is away. */
export interface PackageStore {
  /** What changed after a change, in the order of the changes; everything from 0 on. */
  list(afterChange: number): Promise<readonly ListedPackage[]>
  /**
   * Takes the tar of a package in, all of it or nothing. False when it has the very same. Rejects with FS_CONFLICT when the
   * number means another package or there is no room, with FS_QUOTA when its tenant has so many other models already.
   */
  put(one: KeptPackage, tar: AsyncIterable<Uint8Array>, modelsMax?: number): Promise<boolean>
  /** The tar of a package; rejects with FS_NOT_FOUND. */
  fetch(model: string, version: number): AsyncIterable<Uint8Array>
  /** Lets the bytes go and remembers the number. Nothing happens where there is none. */
  remove(model: string, version: number): Promise<void>
  close(): Promise<void>
}

export type RecordEntry =
  | { readonly type: 'disruption'; readonly event: DisruptionEvent }
  | { readonly type: 'anomaly'; readonly event: 'opened' | 'closed'; readonly anomaly: Anomaly }
  | { readonly type: 'change'; readonly change: Change }
  | { readonly type: 'audit'; readonly who: string; readonly action: string; readonly detail: unknown }

export interface RecordLine {
  readonly seq: number
  readonly timeMs: number
  /** Content-derived; appending a known id again changes nothing. */
  readonly id: string
  readonly entry: RecordEntry
}

/** Append-only, hash-chained. */
export interface RecordLog {
  /** Resolves when durable. False when the id is known already: replays append nothing twice. */
  append(id: string, timeMs: number, entry: RecordEntry): Promise<boolean>
  read(fromSeq?: number): AsyncIterable<RecordLine>
  close(): Promise<void>
}

/** A page, latest detected first, and where the next one begins; null at the end. */
export interface Page<T> {
  readonly items: T[]
  readonly next: string | null
}

/** How far an index is in one partition of the record. */
export interface IndexPosition {
  /** Sequence number of the last line applied. */
  readonly seq: number
  /** Offset of the message after it, where the record is a topic; else 0. */
  readonly offset: number
}

/** Where lines of the record come from. */
export interface RecordSource {
  readonly partition: number
  /** Offset of the message after the last of the lines. */
  readonly offset: number
  /** The record itself has no line between what was applied last and these. */
  readonly afterGap?: boolean
}

/**
 * Answers queries over the record; built from it, rebuildable from it. Everything rejects with FS_IO while its engine
 * cannot be reached, and queries with FS_INPUT_INVALID for a cursor that was not given out. One contract suite, every
 * adapter passes it.
 */
export interface RecordIndex {
  disruption(id: string): Promise<Disruption | undefined>
  disruptions(query: DisruptionQuery): Promise<Page<Disruption>>
  anomalies(query: AnomalyQuery): Promise<Page<Anomaly>>
  /** Other disruptions of the same tenant that look like this one, most similar first; none of an unknown one. */
  similar(id: string, limit: number): Promise<Similar[]>
  /** The newest changes, newest first; a tenant's only, when one is named. */
  changes(limit: number, tenant?: string): Promise<Change[]>
  /**
   * Takes lines of one partition in their order, all or none of them; those it has are passed over. Without a source they
   * are of partition 0, the only one of an embedded record. Rejects with FS_CONFLICT when lines are missing between the
   * last applied and these, unless the source says that there are none.
   */
  apply(lines: readonly RecordLine[], source?: RecordSource): Promise<void>
  /** How far it is, by partition of the record. */
  position(): Promise<ReadonlyMap<number, IndexPosition>>
  close(): Promise<void>
}

/** A disruption beside another. */
export interface Similar {
  readonly disruption: Disruption
  /** 0..1. */
  readonly similarity: number
  /** What both have, in words: `entity checkout`, `suspect payments`, `metric latency_seconds:p99`. */
  readonly shared: readonly string[]
}

export interface DisruptionQuery {
  readonly tenant?: string
  readonly status?: Disruption['status']
  readonly severity?: Disruption['severity']
  readonly entity?: string
  readonly fromMs?: number
  readonly toMs?: number
  readonly cursor?: string
  readonly limit: number
}

export interface AnomalyQuery {
  readonly tenant?: string
  readonly status?: Anomaly['status']
  readonly entity?: string
  readonly series?: string
  readonly fromMs?: number
  readonly toMs?: number
  readonly cursor?: string
  readonly limit: number
}
