import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { Failure, type Handler, type Surroundings } from './handler.ts'
import { seededRandom } from './random.ts'

/** Records held: enough to be real, few enough to start at once. About 1.5 kB each. */
export const ITEMS = 1000
export const USERS = 500
const FIELDS_PER_RECORD = 24

interface Stored {
  text: string
  sha256: string
}

/**
 * A small key-value service. Every operation holds a connection (the service's slots) while the disk takes its
 * time, then checks the record's digest; a write is parsed, rewritten and digested anew.
 */
export function storeHandler(around: Surroundings): Handler {
  const records = fill()
  return async (path, body) => {
    const key = path.slice('/kv/'.length)
    const stored = records.get(key)
    if (!stored) throw new Failure(404, `no record ${key}`)
    // A disk's time varies by a fifth from one operation to the next.
    await pause(around.switches.diskWaitMs * (0.8 + 0.4 * around.random()))
    if (digest(stored.text) !== stored.sha256) throw new Failure(500, `record ${key} is damaged`)
    if (body === '') return stored.text
    const text = JSON.stringify(parsed(body))
    stored.text = text
    stored.sha256 = digest(text)
    return JSON.stringify({ key, bytes: text.length })
  }
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    throw new Failure(400, 'the record is not JSON')
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function fill(): Map<string, Stored> {
  const random = seededRandom(1)
  const records = new Map<string, Stored>()
  for (const [kind, count] of [
    ['item', ITEMS],
    ['user', USERS],
  ] as const) {
    for (let index = 0; index < count; index++) {
      const key = `${kind}-${index}`
      const fields: Record<string, string> = {}
      for (let field = 0; field < FIELDS_PER_RECORD; field++)
        fields[`field${field}`] = random().toString(36).repeat(4)
      const text = JSON.stringify({ key, fields })
      records.set(key, { text, sha256: digest(text) })
    }
  }
  return records
}
