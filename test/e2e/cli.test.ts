// Shows the command line as users meet it: help of every command; exit codes with one clear line on bad input; score
// gives one row out per row in, the same bytes twice, and the same prefix for a truncated file, through files,
// folders, pipes and gzip, on synthetic series and on public recordings; replay finds the fault of the example and
// runs a recorded day of real faults; log verify finds one changed byte.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { foreshock, recording } from './command.ts'
import { seeded } from './fleet.ts'
import { INCIDENT_CONFIG, Incident } from './incident.ts'
import { remove, startForeshock } from './service.ts'

const EXAMPLES = resolve(import.meta.dirname, '../../examples')
const folder = mkdtempSync(join(tmpdir(), 'foreshock-cli-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const at = (name: string) => join(folder, name)
const file = (name: string, content: string | Buffer): string => {
  writeFileSync(at(name), content)
  return at(name)
}
const rowsOf = (bytes: Buffer) => bytes.toString().trimEnd().split('\n')

/** `columns` metrics with a daily rhythm at five minutes, gaps, and a fault near the end. */
function series(rows: number, columns: number): string {
  const random = seeded(7)
  const names = columns === 1 ? ['value'] : Array.from({ length: columns }, (_, i) => `m${i}`)
  const lines = [['timestamp', ...names].join(',')]
  for (let row = 0; row < rows; row++) {
    const day = Math.sin((2 * Math.PI * row) / 288)
    const cells = names.map((_, i) => {
      if (random() < 0.003) return i % 2 === 0 ? '' : 'NaN'
      const fault = row > rows * 0.9 && row < rows * 0.92 ? 8 : 0
      return (10 + i + 3 * day + random() + fault).toFixed(3)
    })
    lines.push([1_790_000_000 + row * 300, ...cells].join(','))
  }
  return `${lines.join('\n')}\n`
}

describe('help', () => {
  it.each([
    [[], ['serve', 'lab', 'score', 'replay', 'log', 'key']],
    [['serve'], ['--config']],
    [['lab'], ['--fault', '--seconds', '--report']],
    [['score'], ['--input', '--shape', '--out', '--detector', '--step', '--train', '--header']],
    [['replay'], ['--input', '--topology', '--changes', '--speed', '--out']],
    [['log'], ['verify']],
    [
      ['log', 'verify'],
      ['--dir', '--json'],
    ],
    [['key'], ['--json']],
  ])('of %j', (command, words) => {
    const { code, out, err } = foreshock([...command, '--help'])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    for (const word of words) expect(out.toString()).toContain(word)
  })
})

describe('bad input and usage', () => {
  const binary = Buffer.from(Array.from({ length: 4000 }, (_, i) => (i * 73 + (i >> 3)) & 0xff))
  const fleet = 'timestamp,entity,metric,value\n'
  const cases: readonly [string, readonly string[], RegExp][] = [
    ['score: a missing file', ['score', '--input', at('none.csv')], /none\.csv: no such file/],
    ['score: no text', ['score', '--input', file('a.csv', binary)], /a\.csv: row \d+: .*no text/],
    ['score: an empty file', ['score', '--input', file('b.csv', '')], /b\.csv: row 1: the file is empty/],
    [
      'score: no time',
      ['score', '--input', file('c.csv', 'timestamp,value\nx,1\n')],
      /c\.csv: row 2: .*time 'x'/,
    ],
    ['score: no header', ['score', '--input', file('d.csv', '1,2\n3,4\n')], /d\.csv: row 1: .*--header none/],
    [
      'score: broken gzip',
      ['score', '--input', file('e.csv.gz', Buffer.from([31, 139, 9, 9]))],
      /e\.csv\.gz: /,
    ],
    ['score: an unknown flag', ['score', '--input', at('b.csv'), '--bogus'], /unknown option '--bogus'/],
    ['score: no input named', ['score'], /--input/],
    ['score: a folder without --out', ['score', '--input', folder], /needs --out/],
    [
      'score: an unknown detector',
      ['score', '--input', at('c.csv'), '--detector', 'x'],
      /unknown detector 'x'/,
    ],
    ['replay: a missing file', ['replay', '--input', at('none.csv')], /none\.csv: there is no such file/],
    ['replay: no text', ['replay', '--input', at('a.csv')], /a\.csv/],
    ['replay: an empty file', ['replay', '--input', at('b.csv')], /b\.csv, row 1: has no row/],
    [
      'replay: ragged rows',
      ['replay', '--input', file('f.csv', `${fleet}1790000000,a,m,1\n1790000060,a\n`)],
      /f\.csv, row 3: has 2 fields, the header has 4/,
    ],
    [
      'replay: a value that is no number',
      ['replay', '--input', file('g.csv', `${fleet}1790000000,a,m,1\n1790000060,a,m,high\n`)],
      /g\.csv, row 3: .*"high" is not a number/,
    ],
    [
      'replay: a missing topology',
      ['replay', '--input', join(EXAMPLES, 'fleet.csv'), '--topology', at('none.csv')],
      /none\.csv/,
    ],
    [
      'serve: an unknown key',
      ['serve', '--config', file('h.yaml', 'server: { prot: 1 }\n')],
      /h\.yaml: server: unknown key "prot"/,
    ],
    ['serve: a missing file', ['serve', '--config', at('none.yaml')], /none\.yaml: cannot be read/],
    [
      'serve: open to the world',
      ['serve', '--config', file('i.yaml', 'server: { host: 0.0.0.0 }\n')],
      /without API keys/,
    ],
    ['log verify: no record', ['log', 'verify', '--dir', at('none')], /none: there is no record/],
    ['lab: no such fault', ['lab', '--fault', 'gremlins'], /--fault gremlins: there is no such fault/],
    ['an unknown command', ['predict'], /unknown command 'predict'/],
  ]
  it.each(cases)('%s', (_, args, line) => {
    const { code, err } = foreshock(args, { cwd: folder })
    expect(err).toMatch(line)
    expect(code).toBe(2)
    // One line, apart from the hint to --help that usage mistakes bring.
    expect(err.replace('(foreshock --help lists the commands)\n', '').trimEnd()).not.toContain('\n')
  })

  it('says 1 where the machine is at fault: an output that cannot be written', () => {
    const args = ['--input', join(EXAMPLES, 'fleet.csv'), '--out', join(at('a.csv'), 'x')]
    for (const command of ['score', 'replay']) {
      const { code, err } = foreshock([command, ...args])
      expect(code).toBe(1)
      expect(err.trimEnd().split('\n').length).toBe(1)
    }
  })
})

describe('score', () => {
  for (const [shape, columns, width] of [
    ['univariate', 1, 11],
    ['multivariate', 6, 8],
  ] as const) {
    it(`gives a row a row, the same bytes twice and the same prefix: ${shape}`, { timeout: 40_000 }, () => {
      const text = series(1500, columns)
      const whole = file(`${shape}.csv`, text)
      const score = (input: string, stdin?: Buffer) => {
        const { code, out, err } = foreshock(['score', '--input', input, '--shape', shape], {
          ...(stdin && { input: stdin }),
        })
        expect({ code, err }).toEqual({ code: 0, err: '' })
        return out
      }
      const first = score(whole)
      const rows = rowsOf(first)
      expect(rows.length).toBe(1501)
      expect(new Set(rows.map(row => row.split(',').length))).toEqual(new Set([width]))
      const times = (all: string[]) => all.slice(1).map(row => row.split(',')[0])
      expect(times(rows)).toEqual(times(rowsOf(Buffer.from(text))))
      const alerts = rows.slice(1).filter(row => /,(point|incident),(warning|minor|major|critical)/.test(row))
      expect(alerts.length).toBeGreaterThan(0)

      expect(score(whole).equals(first)).toBe(true)
      expect(score('-', Buffer.from(text)).equals(first)).toBe(true)
      expect(score(file(`${shape}.csv.gz`, gzipSync(text))).equals(first)).toBe(true)
      for (const kept of [1, 700, 1370]) {
        const cut = `${text
          .split('\n')
          .slice(0, kept + 1)
          .join('\n')}\n`
        const prefix = `${rows.slice(0, kept + 1).join('\n')}\n`
        expect(score(file('cut.csv', cut)).toString()).toBe(prefix)
      }
    })
  }

  it('takes a folder, each file for itself, and writes gzip where it is asked', { timeout: 40_000 }, () => {
    mkdirSync(at('in/deep'), { recursive: true })
    writeFileSync(at('in/one.csv'), series(600, 1))
    writeFileSync(at('in/deep/two.csv'), series(900, 1))
    writeFileSync(at('in/three.csv.gz'), gzipSync(series(600, 1)))
    const run = foreshock(['score', '--input', at('in'), '--out', at('out')])
    expect({ code: run.code, err: run.err }).toEqual({ code: 0, err: '' })
    expect(readdirSync(at('out'), { recursive: true }).sort()).toEqual([
      'deep',
      'deep/two.csv',
      'one.csv',
      'three.csv.gz',
    ])
    const one = readFileSync(at('out/one.csv'))
    expect(gunzipSync(readFileSync(at('out/three.csv.gz'))).equals(one)).toBe(true)
    expect(foreshock(['score', '--input', at('in/one.csv')]).out.equals(one)).toBe(true)
  })

  it('keeps a ragged row as a row: what is missing is a gap, what is more is not read', () => {
    const { code, out } = foreshock([
      'score',
      '--input',
      file('r.csv', 'time,value\n1790000000,1,9\n1790000060\n'),
    ])
    expect(code).toBe(0)
    expect(rowsOf(out).slice(1)).toEqual(['1790000000,1,,,,,,,,,', '1790000060,,,,,,,,,,'])
  })
})

describe('score on recordings', () => {
  const sets = [
    { path: 'nab/data/realKnownCause/machine_temperature_system_failure.csv.gz', args: [] },
    { path: 'kpi/test', args: [] },
    { path: 'smd/test/machine-2-1.csv.gz', args: ['--shape', 'multivariate', '--header', 'none'] },
  ]
  it.for(sets)(
    '$path: a row a row, same bytes, same prefix',
    { timeout: 120_000 },
    ({ path, args }, context) => {
      const there = recording(path, context)
      const input = /\.gz$/.test(there) ? there : join(there, readdirSync(there).sort()[0])
      // Enough to pass every warm-up; the whole set belongs to `foreshock evaluate`.
      const all = gunzipSync(readFileSync(input)).toString().trimEnd().split('\n').slice(0, 12_000)
      const header = args.includes('none') ? 0 : 1
      const score = (lines: string[]) => {
        const { code, out, err } = foreshock(['score', '--input', '-', ...args], {
          input: Buffer.from(`${lines.join('\n')}\n`),
        })
        expect({ code, err }).toEqual({ code: 0, err: '' })
        return out
      }
      const first = score(all)
      const rows = rowsOf(first)
      expect(rows.length - 1).toBe(all.length - header)
      expect(rows.filter(row => /,(0|point|incident),/.test(row)).length).toBeGreaterThan(all.length / 2)
      expect(score(all).equals(first)).toBe(true)
      const kept = Math.floor(all.length * 0.6)
      expect(score(all.slice(0, kept)).toString()).toBe(`${rows.slice(0, kept - header + 1).join('\n')}\n`)
    },
  )
})

interface EventLine {
  readonly type: string
  readonly id: string
  readonly revision: number
  readonly entity: string
  readonly suspects: readonly { readonly entity: string }[]
}
const eventsOf = (bytes: Buffer) => rowsOf(bytes).map(line => JSON.parse(line) as EventLine)

describe('replay', () => {
  it('opens one disruption on the example, with its true cause first, and resolves it', () => {
    const args = ['replay', '--input', join(EXAMPLES, 'fleet.csv'), '--topology', join(EXAMPLES, 'calls.csv')]
    const first = foreshock(args)
    expect({ code: first.code, err: first.err }).toEqual({ code: 0, err: '' })
    const events = eventsOf(first.out)
    expect(events[0].type).toBe('io.foreshock.disruption.opened.v1')
    expect(events[0].suspects[0].entity).toBe('store')
    expect(new Set(events.map(event => event.id)).size).toBe(1)
    expect(events.at(-1)?.type).toBe('io.foreshock.disruption.resolved.v1')
    expect(foreshock(args).out.equals(first.out)).toBe(true)
  })

  it('runs a recorded day of real faults with its dependency file', { timeout: 120_000 }, context => {
    const input = recording('rca/nezha/series/online-boutique-2022-08-22.csv.gz', context)
    const topology = recording('rca/nezha/dependency-online-boutique.csv.gz', context)
    const { code, out, err } = foreshock(['replay', '--input', input, '--topology', topology, '--json'])
    expect(code).toBe(0)
    const summary = JSON.parse(err) as { samples: number; rejected: number; opened: number }
    expect(summary.samples).toBeGreaterThan(10_000)
    expect(summary.rejected).toBe(0)
    const events = eventsOf(out)
    const opened = events.filter(event => event.type === 'io.foreshock.disruption.opened.v1')
    expect(opened.length).toBe(summary.opened)
    // 24 faults were injected that day; what share is found is measured elsewhere.
    expect(opened.length).toBeGreaterThan(5)
    for (const event of opened) expect(event.suspects.length).toBeGreaterThan(0)
  })
})

describe('log verify', () => {
  it('finds one changed byte', { timeout: 40_000 }, async () => {
    const service = await startForeshock(INCIDENT_CONFIG)
    try {
      const incident = new Incident(4)
      await incident.learn(service.url)
      await incident.strike(service.url)
      await service.stop()
      const dir = join(service.folder, 'data', 'record')
      const sound = foreshock(['log', 'verify', '--dir', dir])
      expect({ code: sound.code, err: sound.err }).toEqual({ code: 0, err: '' })
      expect(sound.out.toString()).toMatch(/chain unbroken/)
      const segment = join(
        dir,
        readdirSync(dir)
          .filter(name => name.endsWith('.jsonl'))
          .sort()[0],
      )
      const bytes = readFileSync(segment)
      const letter = bytes.indexOf('opened')
      expect(letter).toBeGreaterThan(0)
      bytes[letter] ^= 1
      writeFileSync(segment, bytes)
      const broken = foreshock(['log', 'verify', '--dir', dir])
      expect(broken.code).toBe(1)
      expect(broken.out.toString()).toMatch(/broken at .*:\d+: /)
    } finally {
      await service.kill()
      remove(service.folder)
    }
  })
})
