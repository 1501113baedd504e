import { basename } from 'node:path'
import { HEAD_FILE, readHead, recordSegments } from './file-record.ts'
import { readLines } from './lines.ts'
import { FIRST_PREV, parseLine } from './record-line.ts'

export interface RecordBreak {
  readonly file: string
  /** From 1; 0 when the whole file is meant. */
  readonly line: number
  readonly reason: string
  readonly expected: string
  readonly got: string
}

export interface RecordReport {
  readonly segments: number
  /** Entries that chain without a gap from the beginning. */
  readonly entries: number
  /** Sequence number and hash of the last of them. */
  readonly seq: number
  readonly hash: string
  /**
   * Whether the head file agrees: `matches`; `behind` (it vouches for a part only, as after a power cut);
   * `missing` (removal of the last entries could not be seen).
   */
  readonly anchor: 'matches' | 'behind' | 'missing'
  /** An unfinished last line, as a crash leaves it; it was never acknowledged. */
  readonly tornTail: boolean
  /** The first place where the chain does not hold; undefined when it all holds. */
  readonly firstBreak?: RecordBreak
}

/** Checks every hash and link of a record from its first line. Throws FS_IO when the folder cannot be read. */
export async function verifyRecord(
  dir: string,
  progress: (entries: number) => void = () => {},
): Promise<RecordReport> {
  const segments = await recordSegments(dir)
  const head = await readHead(dir)
  let seq = 0
  let hash = FIRST_PREV
  let hashAtAnchor = head?.seq === 0 ? hash : ''
  let tornTail = false
  let firstBreak: RecordBreak | undefined
  for (const [i, path] of segments.entries()) {
    const file = basename(path)
    let number = 0
    for await (const { text, terminated } of readLines(path)) {
      number++
      const line = parseLine(text)
      const bad = 'reason' in line || !terminated
      if (bad && !terminated && i === segments.length - 1) {
        tornTail = true
        break
      }
      firstBreak =
        'reason' in line
          ? {
              file,
              line: number,
              reason: line.reason,
              expected: 'a whole line whose hash matches',
              got: line.got,
            }
          : linkBreak(file, number, line, seq, hash)
      if (firstBreak || 'reason' in line) break
      seq = line.seq
      hash = line.hash
      if (seq === head?.seq) hashAtAnchor = hash
      if (seq % 10_000 === 0) progress(seq)
    }
    if (firstBreak) break
  }
  if (!firstBreak && head && head.seq > seq) {
    firstBreak = {
      file: HEAD_FILE,
      line: 0,
      reason: 'the last entries are missing from the record',
      expected: `entry ${head.seq} with hash ${head.hash}`,
      got: `an end at entry ${seq}`,
    }
  } else if (!firstBreak && head && hashAtAnchor !== head.hash) {
    firstBreak = {
      file: HEAD_FILE,
      line: 0,
      reason: `entry ${head.seq} is not the one that was acknowledged`,
      expected: head.hash,
      got: hashAtAnchor,
    }
  }
  const anchor = !head ? 'missing' : head.seq === seq ? 'matches' : 'behind'
  const report = { segments: segments.length, entries: seq, seq, hash, anchor, tornTail } as const
  return firstBreak ? { ...report, firstBreak } : report
}

/** What is wrong with how a line follows the one before, if anything. */
export function linkBreak(
  file: string,
  number: number,
  line: { readonly seq: number; readonly prev: string },
  seq: number,
  hash: string,
): RecordBreak | undefined {
  if (line.seq !== seq + 1) {
    const got = `sequence number ${line.seq}`
    return {
      file,
      line: number,
      reason: 'entries are missing or repeated',
      expected: `sequence number ${seq + 1}`,
      got,
    }
  }
  if (line.prev !== hash) {
    return {
      file,
      line: number,
      reason: 'it does not follow the line before',
      expected: hash,
      got: line.prev,
    }
  }
  return undefined
}
