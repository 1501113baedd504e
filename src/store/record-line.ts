import { sha256 } from '../core/identity.ts'
import type { RecordEntry, RecordLine } from '../core/ports.ts'

/**
 * A line of the record: `{"seq":…,"timeMs":…,"id":…,"prev":…,"hash":…,"entry":…}` with exactly these keys in this
 * order. `hash` is SHA-256 over the very bytes of the line without its hash member, and `prev` is the hash of the
 * line before, so each line vouches for all that came before it.
 */
export const FIRST_PREV = '0'.repeat(64)

const HEAD =
  /^(\{"seq":(\d+),"timeMs":(-?[\d.e+-]+),"id":("(?:[^"\\]|\\.)*"),"prev":"([0-9a-f]{64})"),"hash":"([0-9a-f]{64})"/

export interface SealedLine extends RecordLine {
  readonly prev: string
  readonly hash: string
}

export function sealLine(line: RecordLine, prev: string): { text: string; hash: string } {
  const { seq, timeMs, id, entry } = line
  const head = `{"seq":${seq},"timeMs":${JSON.stringify(timeMs)},"id":${JSON.stringify(id)},"prev":"${prev}"`
  const tail = `,"entry":${JSON.stringify(entry)}}`
  const hash = sha256(head + tail)
  return { text: `${head},"hash":"${hash}"${tail}\n`, hash }
}

/** The line, or what is wrong with it. Its hash is checked against its bytes. */
export function parseLine(text: string): SealedLine | { readonly reason: string; readonly got: string } {
  const match = HEAD.exec(text)
  if (!match) return { reason: 'not a line of the record', got: text.slice(0, 120) }
  const [all, head, seq, timeMs, id, prev, hash] = match
  const tail = text.slice(all.length)
  if (!tail.startsWith(',"entry":')) return { reason: 'not a line of the record', got: tail.slice(0, 120) }
  const computed = sha256(head + tail)
  if (computed !== hash) return { reason: `its content has hash ${computed}`, got: hash }
  let entry: RecordEntry
  try {
    entry = JSON.parse(tail.slice(9, -1))
  } catch {
    return { reason: 'its entry is not JSON', got: tail.slice(0, 120) }
  }
  return { seq: Number(seq), timeMs: Number(timeMs), id: JSON.parse(id), prev, hash, entry }
}
