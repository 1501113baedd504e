import { createHash } from 'node:crypto'

/** A short id that derives from content: the first 80 bits of SHA-256, in base32 without vowels' mischief. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'

export function contentId(prefix: string, ...parts: readonly (string | number)[]): string {
  const digest = createHash('sha256').update(JSON.stringify(parts)).digest()
  let text = ''
  for (let bit = 0; bit < 80; bit += 5) {
    const byte = bit >> 3
    const pair = (digest[byte] << 8) | digest[byte + 1]
    text += ALPHABET[(pair >> (11 - (bit & 7))) & 31]
  }
  return `${prefix}_${text}`
}

export function sha256(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex')
}
