import { createHash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import { ForeshockError } from '../core/errors.ts'

export type Scope = 'ingest' | 'read' | 'label' | 'models' | 'admin'

/** One API key as configured: only its hash is known. */
export interface ApiKey {
  readonly id: string
  /** `sha256:<hex>` for long random keys, `scrypt:<salt hex>:<hash hex>` for passwords that people choose. */
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
/** Answers of the slow hash kept, so that it runs once a token and not once a request. */
const VERIFIED_MAX = 1000
/** Slow hashes computed at once; more wait their turn, so guesses cannot take the whole thread pool. */
const SCRYPT_CONCURRENT_MAX = 2

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
  /** Present for scrypt keys. */
  readonly salt?: Buffer
}

function knownKey(key: ApiKey): Known {
  const [scheme, ...parts] = key.hash.split(':')
  const principal = {
    id: key.id,
    scopes: new Set(key.scopes.includes('admin') ? ALL_SCOPES : key.scopes),
    ...(key.tenant === undefined ? {} : { tenant: key.tenant }),
  }
  const hex = (text: string | undefined) => /^([0-9a-f]{2})+$/i.test(text ?? '')
  if (scheme === 'sha256' && parts.length === 1 && parts[0].length === 64 && hex(parts[0]))
    return { principal, digest: Buffer.from(parts[0], 'hex') }
  if (scheme === 'scrypt' && parts.length === 2 && hex(parts[0]) && hex(parts[1]) && parts[1].length >= 64)
    return { principal, salt: Buffer.from(parts[0], 'hex'), digest: Buffer.from(parts[1], 'hex') }
  throw new ForeshockError(
    'FS_CONFIG_INVALID',
    `the hash of API key ${key.id} must be sha256:<64 hex digits> or scrypt:<salt hex>:<hash hex>`,
  )
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
  /** Tokens the slow hash has judged, under a digest that means nothing outside this process. */
  readonly #judged = new Map<string, Principal | null>()
  readonly #pepper = randomBytes(32)
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor(keys: readonly ApiKey[]) {
    this.#known = keys.map(knownKey)
  }

  get open(): boolean {
    return this.#known.length === 0
  }

  /** The sender, or undefined when no known key was sent. Compares with every key, in constant time each. */
  async identify(sent: Credentials): Promise<Principal | undefined> {
    if (this.open) return ANONYMOUS
    const token = tokenOf(sent)
    if (token === undefined || token === '' || token.length > TOKEN_CHARS_MAX) return undefined
    const digest = createHash('sha256').update(token).digest()
    let found: Principal | undefined
    for (const known of this.#known) {
      if (known.salt === undefined && timingSafeEqual(known.digest, digest)) found = known.principal
    }
    return found ?? (await this.#identifySlowly(token))
  }

  async #identifySlowly(token: string): Promise<Principal | undefined> {
    const slow = this.#known.filter(known => known.salt !== undefined)
    if (slow.length === 0) return undefined
    const name = createHash('sha256').update(this.#pepper).update(token).digest('base64')
    const before = this.#judged.get(name)
    if (before !== undefined) return before ?? undefined
    if (this.#waiting.length >= 100)
      throw new ForeshockError('FS_OVERLOADED', 'too many keys are being checked at once')
    if (this.#running >= SCRYPT_CONCURRENT_MAX)
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    this.#running++
    let found: Principal | null = null
    try {
      for (const known of slow) {
        const digest = await scryptOf(token, known.salt as Buffer, known.digest.length)
        if (timingSafeEqual(digest, known.digest)) found = known.principal
      }
    } finally {
      this.#running--
      this.#waiting.shift()?.()
    }
    if (this.#judged.size >= VERIFIED_MAX) this.#judged.delete(this.#judged.keys().next().value as string)
    this.#judged.set(name, found)
    return found ?? undefined
  }
}

function scryptOf(token: string, salt: Buffer, bytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) =>
    scrypt(token, salt, bytes, (error, key) => (error ? reject(error) : resolve(key))),
  )
}
