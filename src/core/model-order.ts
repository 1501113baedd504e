import type { ModelOrder } from './model.ts'

const DIGEST = /^sha256:[0-9a-f]{64}$/
const TEXT_MAX = 2000

/** The bytes of an envelope of kind `model`. */
export function encodeModelOrder(order: ModelOrder): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(order))
}

/** The other way round; the reason when they are no order. */
export function modelOrderOf(bytes: Uint8Array): ModelOrder | string {
  let found: unknown
  try {
    found = JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return 'not a model order: no JSON'
  }
  if (typeof found !== 'object' || found === null) return 'not a model order: no object'
  const { op, model, by, why, version, digest, share } = found as Record<string, unknown>
  if (!isText(model) || !isText(by)) return 'not a model order: it names no model, or nobody who ordered it'
  if (why !== undefined && !isText(why)) return "not a model order: 'why' is no text"
  const ordered = { model, by, ...(why === undefined ? {} : { why }) }
  if (op === 'withdraw' || op === 'rollback' || op === 'retire') return { op, ...ordered }
  if (op !== 'promote' && op !== 'shadow' && op !== 'canary') return `not a model order: '${String(op)}'`
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1)
    return 'not a model order: it names no version'
  if (typeof digest !== 'string' || !DIGEST.test(digest)) return 'not a model order: it names no digest'
  if (op !== 'canary') return { op, ...ordered, version, digest }
  if (typeof share !== 'number' || !(share >= 0 && share <= 1)) return 'a canary has a share of 0 to 1'
  return { op, ...ordered, version, digest, share }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= TEXT_MAX
}
