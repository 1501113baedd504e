/** What nests deeper is not parsed: from here on its time grows faster than its length. */
export const JSON_DEPTH_MAX = 100_000

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = Buffer.from('"\\[]{}')

/**
 * Whether JSON in UTF-8 nests deeper than `JSON_DEPTH_MAX`: to parse 64 MiB of brackets takes half a minute, in which nothing else
 * goes on, and to look through as much a quarter of a second. Says nothing of what is no JSON.
 */
export function nestsTooDeep(bytes: Uint8Array): boolean {
  // Each level takes a byte.
  if (bytes.length <= JSON_DEPTH_MAX) return false
  let depth = 0
  let isText = false
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]
    if (isText) {
      if (byte === BACKSLASH) i++
      else if (byte === QUOTE) isText = false
    } else if (byte === QUOTE) isText = true
    else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      if (++depth > JSON_DEPTH_MAX) return true
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth--
  }
  return false
}

const STRICT = new TextDecoder('utf-8', { fatal: true })

/**
 * The value of JSON in UTF-8. A text says what is wrong with it, to be read behind what it is: `is no JSON: …`, `nests deeper
 * than …`. Another decoder may take what is no UTF-8.
 */
export function parseJson(
  bytes: Uint8Array,
  decoder: { decode(bytes: Uint8Array): string } = STRICT,
): { readonly value: unknown } | string {
  if (nestsTooDeep(bytes)) return `nests deeper than ${JSON_DEPTH_MAX}`
  try {
    return { value: JSON.parse(decoder.decode(bytes)) }
  } catch (error) {
    return `is no JSON: ${(error as Error).message.slice(0, 200)}`
  }
}
