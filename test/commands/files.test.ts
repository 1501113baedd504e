// Shows that commands which read and write files say what is wrong with them, and where, and harm none: an output that
// is an input, a disk that is full, a pipe that cannot be read twice, times in any column, columns named twice, steps
// that no window can have, values that are no numbers, a folder that is no record.
import { spawnSync } from 'node:child_process'
import { existsSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { afterAll, describe, expect, it } from 'vitest'
import { addDrillCommand } from '../../src/commands/drill.ts'
import { addLogCommand } from '../../src/commands/log.ts'
import { Output } from '../../src/commands/output.ts'
import { openRecording } from '../../src/commands/recording-pipeline.ts'
import { addReplayCommand } from '../../src/commands/replay.ts'
import { scoreFile } from '../../src/commands/score-file.ts'
import { addWindowsCommand } from '../../src/commands/windows-export.ts'
import { printed } from './printed.ts'

const folder = mkdtempSync(join(tmpdir(), 'foreshock-files-'))
afterAll(() => rmSync(folder, { recursive: true }))

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

/** Five minutes of two services; `order` says where time, entity, metric and value stand. */
function recording(name: string, order: readonly number[], stepS = 60): string {
  const rows = [['timestamp', 'entity', 'metric', 'value']]
  for (let i = 0; i < 5; i++)
    for (const service of ['cart', 'mail'])
      rows.push([String(1_700_000_000 + i * stepS), service, 'latency_seconds', `0.${i + 1}`])
  return file(name, `${rows.map(row => order.map(at => row[at]).join(',')).join('\n')}\n`)
}

const refusal = async (add: (cli: Command) => void, ...words: string[]): Promise<string> => {
  const error = await printed(add, words).then(
    () => undefined,
    cause => cause,
  )
  expect(error).toMatchObject({ code: expect.stringMatching(/^FS_I/) })
  return (error as Error).message
}

const task = (input: string, out: string) => ({ input, out, shape: 'univariate', header: true }) as const
const series = (name: string) =>
  file(
    name,
    `timestamp,value\n${Array.from({ length: 50 }, (_, i) => `${1_700_000_000 + 60 * i},${i % 7}`).join('\n')}\n`,
  )

describe('an output that is an input', () => {
  it('is refused by score and stays as it was, under another name too', async () => {
    const input = series('same.csv')
    const before = readFileSync(input, 'utf8')
    const linked = join(folder, 'linked.csv')
    linkSync(input, linked)
    for (const out of [input, linked]) {
      await expect(scoreFile(task(input, out))).rejects.toThrow(
        /--out .*\.csv: is .*same\.csv, which is read/,
      )
      expect(readFileSync(input, 'utf8')).toBe(before)
    }
    const trained = { ...task(series('other.csv'), input), train: input }
    await expect(scoreFile(trained)).rejects.toThrow(/which is read/)
    expect(readFileSync(input, 'utf8')).toBe(before)
  })

  it('is refused by replay and windows export', async () => {
    const input = recording('same.jsonl', [0, 1, 2, 3])
    const before = readFileSync(input, 'utf8')
    expect(await refusal(addReplayCommand, 'replay', '--input', input, '--out', input)).toMatch(
      /which is read/,
    )
    const words = ['windows', 'export', '--input', input, '--out', input]
    expect(await refusal(addWindowsCommand, ...words)).toMatch(/which is read/)
    expect(readFileSync(input, 'utf8')).toBe(before)
  })
})

describe.skipIf(!existsSync('/dev/full'))('a disk that is full', () => {
  it('is told by score, whenever it is found', async () => {
    await expect(scoreFile(task(series('full.csv'), '/dev/full'))).rejects.toMatchObject({
      code: 'FS_IO',
      message: expect.stringMatching(/\/dev\/full: cannot be written \(ENOSPC/),
    })
  })

  it('is told at the next text and at the end', async () => {
    const out = new Output('/dev/full', [])
    await expect(out.write('x'.repeat(1_000_000))).rejects.toThrow(/ENOSPC/)
    await expect(out.write('more')).rejects.toThrow(/ENOSPC/)
    await expect(out.end()).rejects.toThrow(/ENOSPC/)
  })
})

describe('a recording', () => {
  it('has its times in any column', async () => {
    for (const order of [
      [3, 0, 1, 2],
      [1, 0, 2, 3],
    ]) {
      const { parts } = await openRecording('replay', recording('order.csv', order), {})
      expect(parts.history.stepMs).toBe(60_000)
    }
  })

  it('that is a pipe is not read twice', async () => {
    const pipe = join(folder, 'pipe')
    expect(spawnSync('sh', ['-c', `mkfifo '${pipe}'`]).status).toBe(0)
    await expect(openRecording('replay', pipe, {})).rejects.toThrow(
      /pipe cannot be looked at twice: say --step/,
    )
  })

  it('with a step that no window can have is told so', async () => {
    const far = recording('far.csv', [0, 1, 2, 3], 30 * 86_400)
    await expect(openRecording('replay', far, {})).rejects.toThrow(
      /far\.csv: its times lie 2592000000ms apart: must be at most 24d/,
    )
    await expect(openRecording('replay', far, { step: '1x' })).rejects.toThrow(/^--step 1x: write a duration/)
  })

  it('names no column twice', async () => {
    const twice = file('twice.csv', 'timestamp,a|cpu,b|cpu,a|cpu\n1700000000,1,2,3\n1700000060,1,2,3\n')
    expect(await refusal(addReplayCommand, 'replay', '--input', twice)).toMatch(
      /twice\.csv, row 1: columns 2 and 4 are both a\|cpu/,
    )
  })
})

it('drill names the file that it cannot read', async () => {
  const bad = file('leaves.csv', 'region,real,predict\n"eu" x,1,2\n')
  expect(await refusal(addDrillCommand, 'drill', '--input', bad)).toMatch(
    /leaves\.csv, row 2: has text after/,
  )
})

it('score refuses a column in which nothing is a number, and takes one with gaps and some words', async () => {
  const words = file('words.csv', 'timestamp,value\n1700000000,\n1700000060,high\n1700000120,low\n')
  const out = join(folder, 'words-scored.csv')
  await expect(scoreFile(task(words, out))).rejects.toThrow(
    /words\.csv: row 3: 'high' is not a number, and no row has one in column 2/,
  )
  const cut = file('semicolons.csv', 'timestamp;value\n1700000000;1\n1700000060;2\n')
  await expect(scoreFile(task(cut, out))).rejects.toThrow(
    /semicolons\.csv: row 2: '1700000000;1' is not a number/,
  )
  const some = file('some.csv', 'timestamp,value\n1700000000,\n1700000060,high\n1700000120,5\n')
  expect(await scoreFile(task(some, out))).toEqual({ rows: 4 })
  const gaps = file('gaps.csv', 'timestamp,value\n1700000000,\n1700000060,NaN\n')
  expect(await scoreFile(task(gaps, out))).toEqual({ rows: 3 })
})

it('log verify takes no folder for a record', async () => {
  const empty = join(folder, 'empty')
  mkdirSync(empty)
  expect(await refusal(addLogCommand, 'log', 'verify', '--dir', empty)).toMatch(/empty: there is no record/)
})
