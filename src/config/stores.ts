import { ForeshockError } from '../core/errors.ts'
import type { ClusterConfig } from './cluster.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** URL of the PostgreSQL that the index lies in. */
export function postgresUrl(
  { postgres }: Pick<ClusterConfig, 'postgres'>,
  environment: Environment = process.env,
): string {
  if (postgres.urlEnv !== undefined) return secret('cluster.postgres.urlEnv', postgres.urlEnv, environment)
  if (postgres.url !== undefined) return postgres.url
  throw new ForeshockError('FS_CONFIG_INVALID', 'cluster.postgres: name a url, or a urlEnv')
}

function secret(key: string, name: string, environment: Environment): string {
  const value = environment[name]
  if (value) return value
  throw new ForeshockError('FS_CONFIG_INVALID', `${key}: the environment holds no ${name}`)
}
