import { readFileSync } from 'node:fs'
import { ForeshockError } from '../core/errors.ts'
import type { RedisSettings } from '../store/redis-connection.ts'
import type { ClusterConfig } from './cluster.ts'

/** What `RedisConnection` needs of the configuration: files are read, the password is looked up. */
export function redisSettings(
  { redis }: Pick<ClusterConfig, 'redis'>,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): RedisSettings {
  const { url, sentinels, master, nodes, prefix, username, passwordEnv } = redis
  const password = passwordEnv === undefined ? undefined : environment[passwordEnv]
  if (passwordEnv !== undefined && !password) {
    const text = `cluster.redis.passwordEnv: the environment holds no ${passwordEnv}`
    throw new ForeshockError('FS_CONFIG_INVALID', text)
  }
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
  const { ca, cert, key, serverName } = tls
  if ((cert === undefined) !== (key === undefined))
    throw new ForeshockError('FS_CONFIG_INVALID', 'cluster.redis.tls: cert and key belong together')
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
    const text = `cluster.redis.tls.${name}: ${path} cannot be read (${(error as Error).message})`
    throw new ForeshockError('FS_CONFIG_INVALID', text)
  }
}
