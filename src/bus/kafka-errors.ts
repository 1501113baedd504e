import { type ErrorCode, ForeshockError } from '../core/errors.ts'

/** PRODUCER_FENCED, which kafkajs does not know by name. */
const PRODUCER_FENCED = 90
const CODES: Readonly<Record<string, ErrorCode>> = {
  UNKNOWN_TOPIC_OR_PARTITION: 'FS_BUS_TOPIC',
  INVALID_TOPIC_EXCEPTION: 'FS_BUS_TOPIC',
  MESSAGE_TOO_LARGE: 'FS_INPUT_TOO_LARGE',
  RECORD_LIST_TOO_LARGE: 'FS_INPUT_TOO_LARGE',
  INVALID_PRODUCER_EPOCH: 'FS_FENCED',
  TRANSACTION_COORDINATOR_FENCED: 'FS_FENCED',
}
/** What trying again does not help against, with what does. */
const HOPELESS: Readonly<Record<string, string>> = {
  SASL_AUTHENTICATION_FAILED: 'check cluster.kafka.sasl',
  UNSUPPORTED_SASL_MECHANISM: 'the brokers do not offer cluster.kafka.sasl.mechanism',
  ILLEGAL_SASL_STATE: 'the brokers expect cluster.kafka.sasl',
  TOPIC_AUTHORIZATION_FAILED: 'the user may not read or write this topic: give it an ACL',
  GROUP_AUTHORIZATION_FAILED: 'the user may not use this consumer group: give it an ACL',
  CLUSTER_AUTHORIZATION_FAILED: 'the user may not do this on the cluster: give it an ACL',
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: 'the user may not use this transactional id: give it an ACL',
  UNSUPPORTED_VERSION: 'the brokers are of a version that is not spoken here',
  UNSUPPORTED_COMPRESSION_TYPE: 'the brokers do not take cluster.kafka.compression',
  OUT_OF_ORDER_SEQUENCE_NUMBER: 'the producer begins anew',
  UNKNOWN_PRODUCER_ID: 'the producer begins anew',
  INVALID_PRODUCER_ID_MAPPING: 'the producer begins anew',
  INVALID_TXN_STATE: 'the transactor has to be opened anew',
  INCONSISTENT_GROUP_PROTOCOL:
    'another program uses this consumer group: choose another cluster.kafka.prefix',
}

interface EngineError {
  readonly name?: unknown
  readonly type?: unknown
  readonly code?: unknown
  readonly cause?: unknown
  readonly originalError?: unknown
  readonly host?: unknown
  readonly port?: unknown
}

/** The innermost error that the engine gave. */
function innermost(error: unknown): EngineError {
  let at = error as EngineError
  for (let depth = 0; depth < 5; depth++) {
    const inner = (at.originalError ?? at.cause) as EngineError | undefined
    if (typeof inner !== 'object' || inner === null) break
    at = inner
  }
  return at
}

const errorName = (error: unknown): string => String(innermost(error).name ?? '')

/** The broker that an error says cannot be reached. */
export function goneBroker(error: unknown): { host: string; port: number } | undefined {
  const { host, port } = innermost(error)
  const lost = errorName(error).startsWith('KafkaJSConnection')
  return lost && typeof host === 'string' && typeof port === 'number' ? { host, port } : undefined
}

/** Kafka's name of the error, '' when it is none of Kafka's. */
export function errorType(error: unknown): string {
  if (error instanceof ForeshockError && error.cause === undefined) return ''
  const { type, code } = innermost(error)
  if (code === PRODUCER_FENCED) return 'INVALID_PRODUCER_EPOCH'
  return typeof type === 'string' ? type : ''
}

/** Trying again cannot help. */
export function isHopeless(error: unknown): boolean {
  if (error instanceof ForeshockError && error.code !== 'FS_IO') return true
  const type = errorType(error)
  return type in HOPELESS || type in CODES || errorName(error) === 'KafkaJSSASLAuthenticationError'
}

/** What Kafka or the way to it answered, as one of ours. */
export function kafkaError(error: unknown, doing: string): ForeshockError {
  if (error instanceof ForeshockError) return error
  const type = errorType(error)
  const inner = innermost(error)
  const text = inner instanceof Error ? inner.message : String(error)
  const sasl =
    errorName(error) === 'KafkaJSSASLAuthenticationError' ? HOPELESS.SASL_AUTHENTICATION_FAILED : undefined
  const remedy = HOPELESS[type] ?? sasl
  const message = `Kafka: ${doing}: ${text}${remedy === undefined ? '' : `; ${remedy}`}`
  return new ForeshockError(CODES[type] ?? 'FS_IO', message, { cause: error })
}
