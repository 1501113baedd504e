import { createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { Failure, type Handler, type Surroundings } from './handler.ts'

/** Signing keys; a charge uses the one of its user. */
export const KEY_SLOTS = 10
/** The bank's answer takes this long, ms. */
const BANK_WAIT_MS = 8
/** Rounds of key derivation for each charge: a third of a millisecond of real CPU. */
const DERIVATION_ROUNDS = 1000
/** Version 2 derives this many times more rounds and stumbles over one amount in `BUG_MODULUS`. */
const SLOW_RELEASE_FACTOR = 40
const BUG_MODULUS = 6

/**
 * Signs a charge with the user's key and checks the signature against the vault's. A corrupt key signs what
 * does not verify, and the charge fails. Version 2 is the bad release: far slower, and wrong for some amounts.
 */
export function paymentsHandler(around: Surroundings): Handler {
  const vault = Array.from({ length: KEY_SLOTS }, (_, slot) => Buffer.from(`vault key ${slot}`))
  const bad = around.settings.version >= 2
  const rounds = bad ? DERIVATION_ROUNDS * SLOW_RELEASE_FACTOR : DERIVATION_ROUNDS
  return async (_path, body) => {
    const charge = readCharge(body)
    const slot = charge.user % KEY_SLOTS
    await pause(BANK_WAIT_MS * (0.8 + 0.4 * around.random()))
    const key = slot < around.switches.corruptKeys ? Buffer.from('corrupt') : vault[slot]
    const derived = pbkdf2Sync(body, vault[slot], rounds, 32, 'sha256')
    const signature = createHmac('sha256', key).update(derived).digest()
    const expected = createHmac('sha256', vault[slot]).update(derived).digest()
    if (!timingSafeEqual(signature, expected)) throw new Failure(500, 'the signature does not verify')
    if (bad && charge.amount % BUG_MODULUS === 0) throw new Failure(500, 'amount rounded to nothing')
    return JSON.stringify({ charged: charge.amount, signature: signature.toString('hex') })
  }
}

function readCharge(body: string): { user: number; amount: number } {
  try {
    const charge = JSON.parse(body) as { user?: unknown; amount?: unknown } | null
    if (typeof charge?.user === 'number' && typeof charge.amount === 'number')
      return { user: charge.user, amount: charge.amount }
  } catch {
    // Falls through to the same answer: the sender learns that it is no charge.
  }
  throw new Failure(400, 'not a charge: {"user":number,"amount":number}')
}
