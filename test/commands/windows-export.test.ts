// Shows that `windows export --input` writes every window of a recording exactly as the detectors saw it: values,
// coverage and opinions are compared with those of the assembled pipeline run beside it; anomalies and disruptions that
// the pipeline told of are found in the rows; and bad flags are one clear line.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { parquetReadObjects } from 'hyparquet'
import { afterAll, describe, expect, it } from 'vitest'
import { RecordedWorld } from '../../src/commands/recorded-world.ts'
import { Recording } from '../../src/commands/recording.ts'
import { addWindowsCommand } from '../../src/commands/windows-export.ts'
import type { OpinionBatch } from '../../src/core/batch.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'

const folder = mkdtempSync(join(tmpdir(), 'foreshock-windows-'))
afterAll(() => rmSync(folder, { recursive: true }))
const START_S = 1_700_006_400
const MINUTES = 2000
const FAULT = [1500, 1560] as const

/** Two services at one minute; payments is slow and fails for an hour. A stretch of checkout is missing. */
function recording(): string {
  const random = mulberry32(3)
  const rows = ['timestamp,entity,metric,value']
  for (let t = 0; t < MINUTES; t++) {
    const isFault = t >= FAULT[0] && t < FAULT[1]
    for (const entity of ['checkout', 'payments']) {
      if (entity === 'checkout' && t >= 700 && t < 705) continue
      const wave = 1 + 0.3 * Math.sin((2 * Math.PI * t) / 1440)
      const slow = isFault && entity === 'payments' ? 6 : 1
      rows.push(
        `${START_S + t * 60},${entity},latency_p99,${(0.2 * wave * slow + 0.01 * random()).toFixed(5)}`,
      )
      rows.push(`${START_S + t * 60},${entity},requests,${(100 * wave + 5 * random()).toFixed(3)}`)
    }
  }
  const file = join(folder, 'two.csv')
  writeFileSync(file, `${rows.join('\n')}\n`)
  return file
}

async function run(...args: string[]): Promise<void> {
  const cli = new Command('foreshock').exitOverride()
  addWindowsCommand(cli)
  await cli.parseAsync(['node', 'foreshock', 'windows', 'export', ...args])
}

interface Row {
  readonly time: Date
  readonly key: string
  readonly entity: string
  readonly observed: number | null
  readonly coverage: number
  readonly surprise: number | null
  readonly point: number | null
  readonly anomalous: boolean
  readonly disruption: string | null
}

async function read(file: string): Promise<Row[]> {
  const bytes = readFileSync(file)
  const part = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer
  return (await parquetReadObjects({ file: part })) as unknown as Row[]
}

describe('windows export --input', () => {
  const input = recording()
  const out = join(folder, 'two.parquet')

  it('writes what the detectors saw and said, window by window', async () => {
    await run('--input', input, '--out', out)
    const rows = await read(out)
    const world = new RecordedWorld({ stepMs: 60_000, windows: MINUTES })
    const seen = new Map<string, unknown[]>()
    const { scoring, series } = world.parts
    const judge = scoring.judge.bind(scoring)
    const said = (opinions: OpinionBatch, i: number) =>
      [opinions.surprise[i], opinions.point[i]].map(value => (Number.isNaN(value) ? null : value))
    scoring.judge = (batch, opinions) => {
      for (let i = 0; i < batch.length; i++) {
        const value = batch.observed[i]
        const place = `${series.meta(batch.series[i]).key} ${batch.windowEndMs[i]}`
        const own = [Number.isNaN(value) ? null : value, batch.coverage[i], ...said(opinions, i)]
        seen.set(place, own)
      }
      return judge(batch, opinions)
    }
    const source = new Recording()
    await source.read(input)
    await source.play(world)
    expect(rows).toHaveLength(seen.size)
    for (const { key, time, observed, coverage, surprise, point } of rows)
      expect([observed, coverage, surprise, point]).toEqual(seen.get(`${key} ${time.getTime()}`))
    const gap = rows.filter(row => row.entity === 'checkout' && row.observed === null)
    expect(gap.length).toBeGreaterThan(0)

    const opened = world.events.filter(({ type }) => type === 'opened').map(({ disruption }) => disruption)
    const [fault] = opened.filter(({ entity }) => entity === 'payments')
    expect(fault).toBeDefined()
    const strange = rows.filter(row => row.disruption === fault.id)
    expect(strange.length).toBeGreaterThan(3)
    expect(strange.every(row => row.anomalous)).toBe(true)
    const minutes = strange.map(row => row.time.getTime() / 60_000 - START_S / 60)
    expect(Math.min(...minutes)).toBeGreaterThan(FAULT[0])
  })

  it('narrows by time and globs, and writes lines', async () => {
    const file = join(folder, 'some.ndjson')
    const from = (START_S + 900 * 60) * 1000
    await run(
      '--input',
      input,
      '--out',
      file,
      '--entity',
      'check*',
      '--metric',
      '*p99',
      '--from',
      String(from),
      '--to',
      String(from + 200 * 60_000),
    )
    const rows: Row[] = readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(rows).toHaveLength(200)
    expect(new Set(rows.map(row => row.key))).toEqual(new Set(['latency_p99{service="checkout"}']))
  })

  it.each([
    [['--out', join(folder, 'x.csv')], 'ends in none of'],
    [['--out', '/nowhere/at/all.parquet'], 'cannot be written'],
    [['--out', join(folder, 'x.parquet'), '--from', 'noon'], '--from noon'],
  ])('%j is told what is wrong', async (flags, reason) => {
    await expect(run('--input', input, ...flags)).rejects.toThrow(reason)
  })

  it('says when no service answers', async () => {
    const flags = ['--url', 'http://127.0.0.1:9', '--out', join(folder, 'y.parquet')]
    await expect(run(...flags)).rejects.toThrow('does not answer')
  })
})
