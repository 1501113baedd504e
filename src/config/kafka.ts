import type { KafkaConnection } from '../bus/kafka-connection.ts'
import type { KafkaStreamsOptions } from '../bus/kafka-streams.ts'
import type { ClusterConfig } from './cluster.ts'
import { type Environment, secret, tlsOptions } from './secrets.ts'

/** What `KafkaStreams` and the topics need of the configuration: files are read, the password is looked up. */
export function kafkaOptions(
  { kafka }: Pick<ClusterConfig, 'kafka'>,
  clientId: string,
  environment: Environment = process.env,
): KafkaStreamsOptions {
  const { brokers, prefix, compression, sessionTimeout } = kafka
  const tls = tlsOf(kafka.tls)
  const sasl = saslOf(kafka.sasl, environment)
  return {
    brokers,
    clientId,
    prefix,
    compression,
    sessionTimeoutMs: sessionTimeout,
    ...(tls === undefined ? {} : { tls }),
    ...(sasl === undefined ? {} : { sasl }),
  }
}

function tlsOf(tls: ClusterConfig['kafka']['tls']): KafkaConnection['tls'] | undefined {
  if (typeof tls === 'boolean') return tls ? true : undefined
  return tlsOptions('cluster.kafka.tls', tls)
}

function saslOf(
  sasl: ClusterConfig['kafka']['sasl'],
  environment: Environment,
): KafkaConnection['sasl'] | undefined {
  if (sasl === undefined) return undefined
  const { mechanism, username, passwordEnv } = sasl
  const password = secret('cluster.kafka.sasl.passwordEnv', passwordEnv, environment)
  return { mechanism, username, password }
}
