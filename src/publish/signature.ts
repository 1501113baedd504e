import { createHmac } from 'node:crypto'
import { ForeshockError } from '../core/errors.ts'

/** Standard Webhooks 1.0.0, https://github.com/standard-webhooks/standard-webhooks, symmetric scheme `v1`. */
const SECRET_PREFIX = 'whsec_'
/** Key lengths the specification allows, in bytes. */
const KEY_BYTES_MIN = 24
const KEY_BYTES_MAX = 64

/** Keys of a space-separated list of `whsec_` secrets. Throws FS_CONFIG_INVALID, never showing a secret. */
export function webhookKeys(secrets: string): readonly Buffer[] {
  const keys = secrets
    .split(/\s+/)
    .filter(secret => secret !== '')
    .map(secret => {
      const base64 = secret.slice(SECRET_PREFIX.length)
      const key = Buffer.from(base64, 'base64')
      const wellFormed = secret.startsWith(SECRET_PREFIX) && /^[A-Za-z0-9+/]+={0,2}$/.test(base64)
      if (!wellFormed || key.length < KEY_BYTES_MIN || key.length > KEY_BYTES_MAX) {
        throw new ForeshockError(
          'FS_CONFIG_INVALID',
          `a webhook secret is ${SECRET_PREFIX} followed by ${KEY_BYTES_MIN} to ${KEY_BYTES_MAX} bytes in base64`,
        )
      }
      return key
    })
  if (keys.length === 0) throw new ForeshockError('FS_CONFIG_INVALID', 'a webhook needs a secret')
  return keys
}

/** Headers of one attempt: one signature per key, so that a receiver may hold the old or the new secret. */
export function webhookHeaders(
  keys: readonly Buffer[],
  id: string,
  nowMs: number,
  body: string,
): Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string> {
  // The specification forbids full stops here: they delimit the signed content.
  const safeId = id.replaceAll('.', '_')
  const timestamp = String(Math.floor(nowMs / 1000))
  const signatures = keys.map(key => {
    const hmac = createHmac('sha256', key).update(`${safeId}.${timestamp}.${body}`)
    return `v1,${hmac.digest('base64')}`
  })
  return { 'webhook-id': safeId, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') }
}
