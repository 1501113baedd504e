// What src/bus/kafka-* uses of kafkajs below its public surface: brokers asked directly. kafkajs's own consumer cannot wait
// for a partition's owner before it goes to another member, nor read partitions outside a group, and its producer mixes up
// sequence numbers when sends overlap; see docs/kafka.md.
declare module 'kafkajs/src/cluster/index.js' {
  import type { Socket } from 'node:net'

  export interface BrokerAddress {
    readonly host: string
    readonly port: number
  }
  export interface Connection {
    /** Undefined before the first attempt. */
    readonly socket?: Socket
    readonly clientId: string
    connect(): Promise<unknown>
    isConnected(): boolean
    /** Says who this is, where that is asked for and has not been done. */
    authenticate(): Promise<void>
    nextCorrelationId(): number
    /** Not null while the broker is told who this is. */
    readonly authHandlers: object | null
    /** Of an answer that is not whole yet. */
    readonly bytesBuffered: number
    readonly requestQueue: {
      readonly inflight: ReadonlyMap<number, unknown>
      /** Requests that wait to be sent. */
      readonly pending: readonly unknown[]
      scheduleCheckPendingRequests(): void
      /** Sends a request, later if brokers or limits want that. */
      push(asked: {
        readonly entry: {
          readonly apiKey: number
          readonly apiName: string
          readonly apiVersion: number
          readonly correlationId: number
          resolve(answer: { readonly payload: Buffer }): void
          reject(error: Error): void
        }
        readonly expectResponse: boolean
        sendRequest(): void
      }): void
      /** Sends nothing more for so long. */
      maybeThrottle(ms: number): void
      fulfillRequest(answer: { size: number; correlationId: number; payload: Buffer }): void
    }
    processData(bytes: Buffer): void
  }
  export interface Broker {
    readonly nodeId: number
    readonly connectionPool: {
      readonly pool: readonly Connection[]
      /** Connected. */
      getConnection(index: number): Promise<Connection>
      /** The first connection but for fetches, which have the second to themselves. */
      send<Answer>(asked: {
        readonly request: object
        readonly response: {
          decode(bytes: Buffer): Promise<Answer>
          parse(decoded: Answer): Promise<Answer>
        }
      }): Promise<Answer>
    }
    /** What the broker speaks, by the number of the request. */
    readonly versions: Readonly<Record<number, { minVersion: number; maxVersion: number } | undefined>> | null
    disconnect(): Promise<void>
    initProducerId(request: {
      transactionalId?: string
      transactionTimeout: number
    }): Promise<{ producerId: string; producerEpoch: number }>
    addPartitionsToTxn(request: {
      transactionalId: string
      producerId: string
      producerEpoch: number
      topics: { topic: string; partitions: number[] }[]
    }): Promise<unknown>
    endTxn(request: {
      transactionalId: string
      producerId: string
      producerEpoch: number
      transactionResult: boolean
    }): Promise<unknown>
    joinGroup(request: {
      groupId: string
      sessionTimeout: number
      rebalanceTimeout: number
      memberId: string
      groupProtocols: { name: string; metadata: Buffer }[]
    }): Promise<{
      generationId: number
      leaderId: string
      memberId: string
      members: { memberId: string; memberMetadata: Buffer }[]
    }>
    syncGroup(request: {
      groupId: string
      generationId: number
      memberId: string
      groupAssignment: { memberId: string; memberAssignment: Buffer }[]
    }): Promise<{ memberAssignment: Buffer }>
    heartbeat(request: { groupId: string; groupGenerationId: number; memberId: string }): Promise<unknown>
    leaveGroup(request: { groupId: string; memberId: string }): Promise<unknown>
    offsetCommit(request: {
      groupId: string
      groupGenerationId: number
      memberId: string
      topics: {
        topic: string
        partitions: { partition: number; offset: string; metadata: string | null }[]
      }[]
    }): Promise<unknown>
    offsetFetch(request: {
      groupId: string
      topics: { topic: string; partitions: { partition: number }[] }[]
    }): Promise<{
      responses: { topic: string; partitions: { partition: number; offset: string }[] }[]
    }>
  }
  // biome-ignore lint/style/noDefaultExport: it is what kafkajs exports
  export default class Cluster {
    constructor(options: object)
    connect(): Promise<void>
    disconnect(): Promise<void>
    isConnected(): boolean
    removeBroker(address: BrokerAddress): void
    refreshMetadata(): Promise<void>
    refreshMetadataIfNecessary(): Promise<void>
    addTargetTopic(topic: string): Promise<void>
    findBroker(node: { nodeId: string | number }): Promise<Broker>
    findControllerBroker(): Promise<Broker>
    findTopicPartitionMetadata(
      topic: string,
    ): readonly { readonly partitionId: number; readonly leader: number }[]
    findGroupCoordinator(request: { groupId: string; coordinatorType?: number }): Promise<Broker>
    fetchTopicsOffset(
      topics: { topic: string; partitions: { partition: number }[]; fromBeginning: boolean }[],
    ): Promise<{ topic: string; partitions: { partition: number; offset: string }[] }[]>
  }
}
declare module 'kafkajs/src/protocol/requests/fetch/v11/request.js' {
  // biome-ignore lint/style/noDefaultExport: it is what kafkajs exports
  export default function fetchRequest(asked: {
    replicaId: number
    maxWaitTime: number
    minBytes: number
    maxBytes: number
    isolationLevel: number
    topics: {
      topic: string
      partitions: { partition: number; fetchOffset: string; maxBytes: number }[]
    }[]
  }): object
}
declare module 'kafkajs/src/protocol/error.js' {
  export function createErrorFromCode(code: number): Error
}
declare module 'snappyjs' {
  export function compress(input: Uint8Array): Uint8Array
  export function uncompress(input: Uint8Array, limit?: number): Uint8Array
  const snappy: { readonly compress: typeof compress; readonly uncompress: typeof uncompress }
  // biome-ignore lint/style/noDefaultExport: it is what snappyjs exports
  export default snappy
}
