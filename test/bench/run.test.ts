// Shows that the bench runs and says what it found in the shape that a baseline is compared by, and that its section
// of the results replaces itself and nothing else. The bench runs for real, with few series.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Report, section, writeSection } from '../../bench/report.ts'

const ROOT = resolve(import.meta.dirname, '../..')
let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'foreshock-bench-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('bench', () => {
  it('measures scoring, the whole path and its allocation', { timeout: 120_000 }, () => {
    const json = join(folder, 'report.json')
    const args = ['--expose-gc', '--import', 'tsx', join(ROOT, 'bench/run.ts')]
    const table = execFileSync(
      process.execPath,
      [...args, '--quick', '--only', 'tier0,path,heap,against-control', '--json', json],
      { encoding: 'utf8', cwd: ROOT, stdio: ['ignore', 'pipe', 'ignore'] },
    )
    const report = JSON.parse(readFileSync(json, 'utf8')) as Report
    expect(report.schema).toBe(1)
    expect(report.results.map(one => one.id)).toEqual(
      expect.arrayContaining(['tier0.ns', 'tier0.bytes', 'path.4000.ns', 'path.heap', 'goal.1', 'goal.3']),
    )
    for (const one of report.results) {
      expect(one.values.length).toBeGreaterThan(0)
      expect(one.values.every(Number.isFinite)).toBe(true)
      expect(table).toContain(one.what)
    }
    // Goal by goal, those that were not measured too.
    expect(table).toMatch(/^1 .*idiomatic JavaScript.*(met|missed)$/m)
    expect(table).toMatch(/^2 .*VictoriaMetrics.*not measured: not run$/m)
    const scored = report.results.find(one => one.id === 'tier0.ns')!
    expect(scored.median).toBeGreaterThan(10)
  })

  it('replaces its own section of the results only', () => {
    const file = join(folder, 'results.md')
    writeFileSync(
      file,
      '# Results\n\n## Lab\n\nfound\n\n## Speed\n\nold\n\n### Goals\n\nold\n\n### By hand\n\nkept\n\n## Detection\n\ngood\n',
    )
    const results = [{ id: 'x.ns', what: 'a thing', unit: 'ns', atMost: 1, values: [2, 3, 4], median: 3 }]
    const report: Report = {
      schema: 1,
      command: 'npm run bench',
      date: '2026-01-01 00:00',
      commit: 'abc',
      machine: 'm',
      load: [1, 2],
      results,
    }
    writeSection(file, section(report))
    const once = readFileSync(file, 'utf8')
    expect(once).toContain('| a thing | ≤ 1 (missed) | 3.00 | 2.00–4.00 | ns | 3 |')
    expect(once).not.toContain('old')
    expect(once).toMatch(
      /## Lab\n\nfound\n\n## Speed\n[^#]*### Goals\n[\s\S]*\n\n### By hand\n\nkept\n\n## Detection\n\ngood\n$/,
    )
    writeSection(file, section(report))
    expect(readFileSync(file, 'utf8')).toBe(once)
  })
})
