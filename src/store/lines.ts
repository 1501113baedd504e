import { createReadStream } from 'node:fs'

export interface TextLine {
  /** UTF-8 text without its newline. */
  readonly text: string
  /** Byte at which it begins. */
  readonly offset: number
  /** Byte after its newline, or after its last byte when it has none. */
  readonly endByte: number
  /** False for a last line without a newline. */
  readonly terminated: boolean
}

/**
 * Lines of a file up to `endByte`, split at newlines only: `node:readline` also splits at U+2028, which JSON
 * leaves unescaped.
 */
export async function* readLines(path: string, endByte = Number.POSITIVE_INFINITY): AsyncGenerator<TextLine> {
  if (endByte <= 0) return
  let held: Buffer[] = []
  let heldBytes = 0
  let offset = 0
  for await (const chunk of createReadStream(path, { end: endByte - 1, highWaterMark: 1_048_576 })) {
    const bytes = chunk as Buffer
    let start = 0
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, start)) {
      const part = bytes.subarray(start, at)
      const text = heldBytes === 0 ? part.toString() : Buffer.concat([...held, part]).toString()
      const next = offset + heldBytes + part.length + 1
      yield { text, offset, endByte: next, terminated: true }
      offset = next
      held = []
      heldBytes = 0
      start = at + 1
    }
    if (start < bytes.length) {
      held.push(bytes.subarray(start))
      heldBytes += bytes.length - start
    }
  }
  if (heldBytes > 0) {
    yield { text: Buffer.concat(held).toString(), offset, endByte: offset + heldBytes, terminated: false }
  }
}
