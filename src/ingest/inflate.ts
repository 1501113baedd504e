import { gunzipSync } from 'node:zlib'
import { SNAPPY_SLACK, snappyDecode, snappyLength } from '../math/snappy.ts'

export interface Inflated {
  readonly bytes: Uint8Array
  readonly length: number
  /** '' when all is well. */
  readonly failure: '' | 'too-large' | 'corrupt'
}

/** Whether the length that a snappy block of so many bytes declares is to be believed, and to be had. */
export function snappyClaim(length: number, bytes: number, limit: number): Inflated['failure'] {
  if (length < 0) return 'corrupt'
  if (length > limit) return 'too-large'
  // No element makes more than 64 bytes of its 3 (a copy), so a longer claim is a lie not worth a buffer.
  return length > 64 + bytes * 22 ? 'corrupt' : ''
}

const NOTHING = new Uint8Array(0)

/** Bodies → plain bytes, never more than `limit` of them; the snappy output buffer is reused. */
export class Inflater {
  readonly #limit: number
  #buffer = new Uint8Array(64 * 1024)

  /** `limit`: bytes. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** The result is lent until the next call. */
  inflate(encoding: 'identity' | 'gzip' | 'snappy', bytes: Uint8Array): Inflated {
    if (encoding === 'identity') return this.#whole(bytes)
    if (encoding === 'gzip') return this.#gunzip(bytes)
    const length = snappyLength(bytes)
    const claim = snappyClaim(length, bytes.length, this.#limit)
    if (claim !== '') return { bytes: NOTHING, length: 0, failure: claim }
    if (this.#buffer.length < length + SNAPPY_SLACK) {
      this.#buffer = new Uint8Array(Math.max(length + SNAPPY_SLACK, this.#buffer.length * 2))
    }
    const decoded = snappyDecode(bytes, this.#buffer)
    return { bytes: this.#buffer, length: Math.max(0, decoded), failure: decoded < 0 ? 'corrupt' : '' }
  }

  /** Bytes held. */
  get held(): number {
    return this.#buffer.length
  }

  #whole(bytes: Uint8Array): Inflated {
    const failure = bytes.length > this.#limit ? 'too-large' : ''
    return { bytes, length: bytes.length, failure }
  }

  #gunzip(bytes: Uint8Array): Inflated {
    try {
      const plain = gunzipSync(bytes, { maxOutputLength: this.#limit })
      return { bytes: plain, length: plain.length, failure: '' }
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      return { bytes: NOTHING, length: 0, failure: code === 'ERR_BUFFER_TOO_LARGE' ? 'too-large' : 'corrupt' }
    }
  }
}
