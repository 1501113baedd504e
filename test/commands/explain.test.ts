// Shows what `explain` and `drill` promise on the command line, on made recordings: the cause first with numbers and
// words, the same a minute late, nothing read that the question does not allow, and one clear line for bad input.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mulberry32 } from '../../src/math/mulberry32.ts'

const CLI = join(import.meta.dirname, '../../dist/cli.js')
const START_S = Date.UTC(2026, 0, 5) / 1000
const FAULT_S = START_S + 90 * 60

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'foreshock-explain-'))
  const random = mulberry32(5)
  const near = (value: number): string => (value * (0.95 + 0.1 * random())).toPrecision(4)
  const rows = [
    'timestamp,edge|LatencyP95(s),cart|LatencyP95(s),store|LatencyP95(s),ads|LatencyP95(s),edge|SuccessRate(%)',
  ]
  for (let minute = 0; minute < 120; minute++) {
    const slow = minute >= 90 ? 1 : 0
    const cells = [near(0.2 + slow), near(0.1 + slow), near(0.05 + slow), near(0.08), slow ? near(80) : '100']
    rows.push([START_S + minute * 60, ...cells].join(','))
  }
  writeFileSync(join(folder, 'metrics.csv'), `${rows.join('\n')}\n`)
  // The same until five minutes after the fault, then nonsense.
  const cut = rows.map((row, i) => (i > 97 ? `${row.split(',')[0]},9e5,0,9e5,9e5,0` : row))
  writeFileSync(join(folder, 'future.csv'), `${cut.join('\n')}\n`)
  writeFileSync(join(folder, 'calls.csv'), 'source,target\nedge,cart\ncart,store\nedge,ads\n')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const run = (...args: string[]) =>
  spawnSync(process.execPath, [CLI, ...args], { encoding: 'utf8', cwd: folder })
const explain = (...args: string[]): { at: string; suspects: Record<string, unknown>[] } =>
  JSON.parse(execFileSync(process.execPath, [CLI, 'explain', ...args], { encoding: 'utf8', cwd: folder }))

describe.skipIf(!existsSync(CLI))('explain', () => {
  it('puts the deepest strange callee first and says why, on time and a minute late', () => {
    for (const late of [0, 60]) {
      const at = new Date((FAULT_S + late) * 1000).toISOString()
      const { suspects, ...rest } = explain('--input', 'metrics.csv', '--at', at, '--topology', 'calls.csv')
      expect(rest.at).toBe(at)
      expect(suspects[0]).toMatchObject({ rank: 1, entity: 'store', direction: 'spike' })
      expect(Object.keys(suspects[0])).toEqual([
        'rank',
        'entity',
        'metric',
        'score',
        'onset',
        'direction',
        'observed',
        'expected',
        'why',
      ])
      expect(suspects[0].observed).toBeCloseTo(1.05, 0)
      expect((suspects[0].why as string[])[0]).toMatch(/^p95 latency 1\.\d+ s, expected 5\d(\.\d)? ms/)
      expect(suspects.map(one => one.rank)).toEqual(suspects.map((_, i) => i + 1))
    }
  })

  it('looks at nothing beyond a few windows after the moment', () => {
    const ask = (file: string) => explain('--input', file, '--at', String(FAULT_S), '--topology', 'calls.csv')
    expect(ask('future.csv')).toEqual(ask('metrics.csv'))
  })

  it('says in one line what is wrong', () => {
    const cases: [string[], RegExp][] = [
      [['--input', 'metrics.csv', '--at', 'noon'], /--at noon/],
      [['--input', 'metrics.csv', '--at', '5'], /the recording is from 2026-01-05/],
      [['--input', 'nothing.csv', '--at', '5'], /no such file/],
      [['--input', 'metrics.csv', '--at', String(FAULT_S), '--topology', 'metrics.csv'], /source,target/],
    ]
    for (const [args, reason] of cases) {
      const { status, stderr } = run('explain', ...args)
      expect(stderr.trim().split('\n')).toHaveLength(1)
      expect(stderr).toMatch(reason)
      expect(status).toBe(2)
    }
  })
})

describe.skipIf(!existsSync(CLI))('drill', () => {
  it('finds columns by their usual names, and refuses rows it cannot read with their number', () => {
    const rows = ['region,version,real,predict']
    for (const region of ['eu', 'us'])
      for (const version of ['a', 'b']) rows.push(`${region},${version},${region === 'us' ? 60 : 100},100`)
    writeFileSync(join(folder, 'leaves.csv'), `${rows.join('\n')}\n`)
    const { stdout } = run('drill', '--input', 'leaves.csv')
    expect(JSON.parse(stdout)).toEqual({
      explanations: [{ rank: 1, where: { region: 'us' }, score: 1, share: 1, observed: 120, expected: 200 }],
    })
    writeFileSync(join(folder, 'bad.csv'), `${rows.join('\n')}\neu,a,many,1\n`)
    const bad = run('drill', '--input', 'bad.csv')
    expect(bad.stderr).toMatch(/bad\.csv, row 6: "many" is not a number/)
    expect(bad.status).toBe(2)
  })
})

it.skipIf(existsSync(CLI))('SKIPPED: npm run build makes the program these tests start', () => {
  expect(existsSync(CLI)).toBe(false)
})
