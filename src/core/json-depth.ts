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
