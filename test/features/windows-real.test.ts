// Shows windows over recorded series as they are, with their gaps, doubled and out-of-order rows: every row of the
// Numenta files is in exactly one window, and shuffling their arrival within the lateness changes nothing. Reads
// $FORESHOCK_DATA/nab (../shared/data by default) and skips when it is not there.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { add, drain, rig, rowsOf, type Sample } from './windowing.ts'

const folder = join(resolve(process.env.FORESHOCK_DATA ?? '../shared/data'), 'nab', 'data')
const files = existsSync(folder)
  ? readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter(name => name.endsWith('.csv.gz'))
      .sort()
  : []

const STEP = 300_000

function samplesOf(file: string): Sample[] {
  const lines = gunzipSync(readFileSync(join(folder, file)))
    .toString()
    .trim()
    .split('\n')
    .slice(1)
  return lines.map((line): Sample => {
    const [time, value] = line.split(',')
    return [0, Date.parse(`${time.trim().replace(' ', 'T').slice(0, 19)}Z`), Number(value)]
  })
}

function rowsFrom(samples: readonly Sample[], batchLength: number) {
  const { windows, rejects } = rig({ stepMs: STEP, latenessMs: 2 * STEP, batchRows: 1024 }, 1)
  const out = []
  for (let at = 0; at < samples.length; at += batchLength) {
    add(windows, samples.slice(at, at + batchLength), samples.at(-1)?.[1])
    out.push(...drain(windows))
  }
  windows.finish()
  out.push(...drain(windows))
  return { rows: rowsOf(out), rejects: rejects.counts() }
}

if (files.length === 0) process.stderr.write(`windows-real: no recorded series at ${folder}, skipped\n`)

describe.skipIf(files.length === 0)('recorded series', () => {
  it('every row is in one window, whatever the order of arrival', () => {
    for (const file of files.filter((_, i) => i % 6 === 0)) {
      const samples = samplesOf(file).sort((a, b) => a[1] - b[1])
      const { rows, rejects } = rowsFrom(samples, 1000)
      expect(rejects).toEqual({})
      const seen = rows.filter(row => row.coverage > 0)
      const windows = new Set(samples.map(([, t]) => (Math.floor(t / STEP) + 1) * STEP))
      expect(seen.map(row => row.endMs)).toEqual([...windows])
      const shuffled = samples
        .map((sample, i) => ({ sample, at: sample[1] + ((i * 7919) % 101) * (STEP / 60) }))
        .sort((a, b) => a.at - b.at)
        .map(({ sample }) => sample)
      expect(rowsFrom(shuffled, 333)).toEqual({ rows, rejects })
    }
  })
})
