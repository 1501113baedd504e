import type { Config } from './config/schema.ts'
import { ForeshockError } from './core/errors.ts'
import type { Logger } from './core/logger.ts'
import { VERSION } from './core/version.ts'
import type { ApiKey } from './serve/auth.ts'
import type { HttpService, ServeOptions } from './serve/deps.ts'

/** A running service. */
export interface Service {
  /** Where it listens, such as `http://127.0.0.1:4318`. */
  readonly url: string
  /** Takes nothing more, finishes what is waiting, saves a checkpoint, closes everything. */
  stop(): Promise<void>
}

export function apiKeys(config: Config): ApiKey[] {
  return config.auth.keys.map(({ name, hash, scopes, tenant }) => ({
    id: name,
    hash,
    scopes,
    ...(tenant === undefined ? {} : { tenant }),
  }))
}

/** How HTTP is served to whoever comes from outside. */
export function serveOptions(config: Config, logger: Logger): ServeOptions {
  const { maxBodyBytes, maxArrivingBytes, requestsPerMinute } = config.server
  return {
    keys: apiKeys(config),
    logger,
    version: VERSION,
    bodyBytesMax: maxBodyBytes,
    bodiesBytesMax: maxArrivingBytes,
    ...(requestsPerMinute === undefined ? {} : { requestsPerMinuteMax: requestsPerMinute }),
  }
}

export async function listen(app: HttpService, { server }: Config): Promise<void> {
  try {
    await app.listen({ host: server.host, port: server.port })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'EADDRINUSE' && code !== 'EADDRNOTAVAIL' && code !== 'EACCES') throw error
    throw new ForeshockError(
      'FS_CONFIG_INVALID',
      `cannot listen on ${server.host}:${server.port} (${message}); set server.host and server.port, or FORESHOCK_SERVER_PORT`,
    )
  }
}

export function urlOf(host: string, port: number): string {
  const shown = host === '0.0.0.0' || host === '::' ? 'localhost' : host
  return `http://${shown.includes(':') ? `[${shown}]` : shown}:${port}`
}
