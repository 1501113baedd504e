import { readFileSync } from 'node:fs'
import type { KafkaConnection } from '../bus/kafka-connection.ts'
import type { KafkaStreamsOptions } from '../bus/kafka-streams.ts'
import { ForeshockError } from '../core/errors.ts'
import type { ClusterConfig } from './cluster.ts'

/** What `KafkaStreams` and the topics need of the configuration: files are read, the password is looked up. */
export function kafkaOptions(
  { kafka }: Pick<ClusterConfig, 'kafka'>,
  clientId: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
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
  const { ca, cert, key, serverName } = tls
  if ((cert === undefined) !== (key === undefined)) {
    throw new ForeshockError('FS_CONFIG_INVALID', 'cluster.kafka.tls: cert and key belong together')
  }
  return {
    ...(ca === undefined ? {} : { ca: textOf('ca', ca) }),
    ...(cert === undefined ? {} : { cert: textOf('cert', cert) }),
    ...(key === undefined ? {} : { key: textOf('key', key) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  }
}

function textOf(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const text = `cluster.kafka.tls.${name}: ${path} cannot be read (${(error as Error).message})`
    throw new ForeshockError('FS_CONFIG_INVALID', text)
  }
}

function saslOf(
  sasl: ClusterConfig['kafka']['sasl'],
  environment: Readonly<Record<string, string | undefined>>,
): KafkaConnection['sasl'] | undefined {
  if (sasl === undefined) return undefined
  const { mechanism, username, passwordEnv } = sasl
  const password = environment[passwordEnv]
  if (!password) {
    const text = `cluster.kafka.sasl.passwordEnv: the environment holds no ${passwordEnv}`
    throw new ForeshockError('FS_CONFIG_INVALID', text)
  }
  return { mechanism, username, password }
}
