import { readFileSync } from 'node:fs'
import { ForeshockError } from '../core/errors.ts'

/** What engines are reached with that does not stand in the configuration itself: passwords and keys. */

export type Environment = Readonly<Record<string, string | undefined>>

/** The value of an environment variable. Throws FS_CONFIG_INVALID naming the key that asks for it when there is none. */
export function secret(key: string, name: string, environment: Environment): string {
  const value = environment[name]
  if (value) return value
  throw new ForeshockError('FS_CONFIG_INVALID', `${key}: the environment holds no ${name}`)
}

interface TlsFiles {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
  readonly serverName?: string | undefined
}

/** The texts of the files named, as Node's `tls` takes them. Throws FS_CONFIG_INVALID naming the key below `section`. */
export function tlsOptions(
  section: string,
  { ca, cert, key, serverName }: TlsFiles,
): { ca?: string; cert?: string; key?: string; servername?: string } {
  if ((cert === undefined) !== (key === undefined))
    throw new ForeshockError('FS_CONFIG_INVALID', `${section}: cert and key belong together`)
  const textOf = (name: string, path: string): string => {
    try {
      return readFileSync(path, 'utf8')
    } catch (error) {
      const text = `${section}.${name}: ${path} cannot be read (${(error as Error).message})`
      throw new ForeshockError('FS_CONFIG_INVALID', text)
    }
  }
  return {
    ...(ca === undefined ? {} : { ca: textOf('ca', ca) }),
    ...(cert === undefined ? {} : { cert: textOf('cert', cert) }),
    ...(key === undefined ? {} : { key: textOf('key', key) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  }
}
