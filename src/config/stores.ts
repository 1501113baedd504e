import { ForeshockError } from '../core/errors.ts'
import type { ClusterConfig } from './cluster.ts'
import { type Environment, secret } from './secrets.ts'

/** URL of the PostgreSQL that the index lies in. */
export function postgresUrl(
  { postgres }: Pick<ClusterConfig, 'postgres'>,
  environment: Environment = process.env,
): string {
  if (postgres.urlEnv !== undefined) return secret('cluster.postgres.urlEnv', postgres.urlEnv, environment)
  if (postgres.url !== undefined) return postgres.url
  throw new ForeshockError('FS_CONFIG_INVALID', 'cluster.postgres: name a url, or a urlEnv')
}
