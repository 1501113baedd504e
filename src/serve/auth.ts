import { createHash, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import { ForeshockError } from '../core/errors.ts'

export type Scope = 'ingest' | 'read' | 'label' | 'models' | 'admin'

/** One API key as configured: only its hash is known. */
export interface ApiKey {
  readonly id: string
  /** `sha256:<hex>`: keys are long and random, as `foreshock key` makes them. */
  readonly hash: string
  readonly scopes: readonly Scope[]
  /** Ties the key to one tenant: it writes to it and sees nothing else. */
  readonly tenant?: string
}

/** Who sent a request. */
export interface Principal {
  readonly id: string
  readonly scopes: ReadonlySet<Scope>
  readonly tenant?: string
}

const ALL_SCOPES: readonly Scope[] = ['ingest', 'read', 'label', 'models', 'admin']
const ANONYMOUS: Principal = { id: 'anonymous', scopes: new Set(ALL_SCOPES) }
/** Longer tokens are refused unread; real ones have some 30 to 100 characters. */
const TOKEN_CHARS_MAX = 512

/** True for addresses that only this machine reaches. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase()
  if (bare === 'localhost' || bare === '::1') return true
  if (isIP(bare) === 4) return bare.startsWith('127.')
  return /^::ffff:127\.\d+\.\d+\.\d+$/.test(bare)
}

/** Throws FS_AUTH_REQUIRED when others could reach a service that asks nobody who they are. */
export function assertBindable(host: string, auth: { readonly keys?: readonly ApiKey[] }): void {
  if (isLoopback(host) || (auth.keys ?? []).length > 0) return
  throw new ForeshockError(
    'FS_AUTH_REQUIRED',
    `refusing to listen on ${host === '' ? 'every address' : host} without API keys: ` +
      'configure auth.keys or bind 127.0.0.1',
  )
}

interface Known {
  readonly principal: Principal
  readonly digest: Buffer
}

function knownKey({ id, hash, scopes, tenant }: ApiKey): Known {
  const [, digest] = /^sha256:([0-9a-f]{64})$/i.exec(hash) ?? []
  if (digest === undefined)
    throw new ForeshockError(
      'FS_CONFIG_INVALID',
      `the hash of API key ${id} must be sha256:<64 hex digits>; \`foreshock key\` makes a key and its hash`,
    )
  const principal = {
    id,
    scopes: new Set(scopes.includes('admin') ? ALL_SCOPES : scopes),
    ...(tenant === undefined ? {} : { tenant }),
  }
  return { principal, digest: Buffer.from(digest, 'hex') }
}

/** What a request says of its sender: headers of HTTP, metadata of gRPC. */
export interface Credentials {
  readonly authorization?: string | undefined
  readonly 'x-api-key'?: string | readonly string[] | undefined
}

function tokenOf(sent: Credentials): string | undefined {
  const own = sent['x-api-key']
  if (typeof own === 'string') return own
  const header = sent.authorization
  if (header === undefined) return undefined
  const [scheme, rest] = [header.slice(0, header.indexOf(' ')), header.slice(header.indexOf(' ') + 1).trim()]
  if (/^bearer$/i.test(scheme)) return rest
  if (!/^basic$/i.test(scheme)) return undefined
  const pair = Buffer.from(rest, 'base64').toString('utf8')
  return pair.includes(':') ? pair.slice(pair.indexOf(':') + 1) : undefined
}

/** Tells requests' senders from their keys, which it knows as hashes only. */
export class Keyring {
  readonly #known: readonly Known[]

  constructor(keys: readonly ApiKey[]) {
    this.#known = keys.map(knownKey)
  }

  get open(): boolean {
    return this.#known.length === 0
  }

  /** The sender, or undefined when no known key was sent. Compares with every key, in constant time each. */
  identify(sent: Credentials): Principal | undefined {
    if (this.open) return ANONYMOUS
    const token = tokenOf(sent)
    if (token === undefined || token === '' || token.length > TOKEN_CHARS_MAX) return undefined
    const digest = createHash('sha256').update(token).digest()
    let found: Principal | undefined
    for (const known of this.#known) if (timingSafeEqual(known.digest, digest)) found = known.principal
    return found
  }
}
