import type { RedisSettings } from '../store/redis-connection.ts'
import type { ClusterConfig } from './cluster.ts'
import { type Environment, secret, tlsOptions } from './secrets.ts'

/** What `RedisConnection` needs of the configuration: files are read, the password is looked up. */
export function redisSettings(
  { redis }: Pick<ClusterConfig, 'redis'>,
  environment: Environment = process.env,
): RedisSettings {
  const { url, sentinels, master, nodes, prefix, username, passwordEnv } = redis
  const password =
    passwordEnv === undefined ? undefined : secret('cluster.redis.passwordEnv', passwordEnv, environment)
  const tls = tlsOf(redis.tls)
  return {
    prefix,
    ...(url === undefined ? {} : { url }),
    ...(sentinels === undefined || master === undefined ? {} : { sentinels, master }),
    ...(nodes === undefined ? {} : { nodes }),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls }),
  }
}

function tlsOf(tls: ClusterConfig['redis']['tls']): RedisSettings['tls'] {
  if (typeof tls === 'boolean') return tls ? {} : undefined
  return tlsOptions('cluster.redis.tls', tls)
}
