// Shows that `foreshock score` keeps its contract on made files: columns, one row out per row in and in order, gaps,
// odd clocks, causal prefixes, same bytes twice, history learned but not scored, folders, gzip, and bad input that
// ends in exit 2 with one line naming file, row and reason.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { scoreCommand, stepOf } from '../../src/commands/score.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'

const folder = mkdtempSync(join(tmpdir(), 'foreshock-score-'))
afterAll(() => rmSync(folder, { recursive: true }))
const HEADER = 'timestamp,value,score,surprise,point,incident,expected,lower,upper,alert,severity'
const STEP_S = 300
const START_S = 1_700_000_000

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, name.endsWith('.gz') ? gzipSync(text) : text)
  return path
}

function rows(days: number, spikeAt = -1, seed = 1): string[] {
  const random = mulberry32(seed)
  return Array.from({ length: days * 288 }, (_, t) => {
    const value = 50 + 10 * Math.sin((2 * Math.PI * t) / 288) + random() + (t === spikeAt ? 60 : 0)
    return `${START_S + t * STEP_S},${value.toFixed(4)}`
  })
}

async function scored(input: string, options: Partial<Parameters<typeof scoreCommand>[0]> = {}) {
  const out = join(folder, 'out.csv')
  expect(await scoreCommand({ input, out, ...options })).toBe(0)
  return readFileSync(out, 'utf8').trimEnd().split('\n')
}

async function refused(options: Parameters<typeof scoreCommand>[0]): Promise<string> {
  const said: string[] = []
  const spy = vi.spyOn(process.stderr, 'write').mockImplementation(text => said.push(String(text)) > 0)
  try {
    expect(await scoreCommand({ out: join(folder, 'refused.csv'), ...options })).toBe(2)
  } finally {
    spy.mockRestore()
  }
  expect(said).toHaveLength(1)
  expect(said[0].trimEnd()).not.toContain('\n')
  return said[0]
}

describe('foreshock score, one series', () => {
  it.each(['tiny', 'compact@1', 'full@1', 'combiner@1'])(
    '%s finds a spike and keeps every row',
    async detector => {
      const spike = 5 * 288 + 100
      const input = rows(6, spike)
      const lines = await scored(file('a.csv', `timestamp,value\n${input.join('\n')}\n`), { detector })
      expect(lines[0]).toBe(HEADER)
      expect(lines).toHaveLength(input.length + 1)
      for (const [i, line] of input.entries()) expect(lines[i + 1].startsWith(`${line},`)).toBe(true)
      // No opinion on the first samples: everything is empty. Then level and spread speak, softly.
      expect(lines[1]).toBe(`${input[0]},,,,,,,,,`)
      expect(lines[20]).toBe(`${input[19]},,,,,,,,,`)
      expect(lines[30].split(',')[3]).not.toBe('')
      const cells = lines[spike + 1].split(',')
      expect(cells[9]).toBe('incident')
      expect(['warning', 'minor', 'major', 'critical']).toContain(cells[10])
      expect(Number(cells[6])).toBeLessThan(70)
      const alerts = lines.slice(1).filter(line => !['', '0'].includes(line.split(',')[9]))
      expect(alerts.length).toBeLessThan(6)
      for (const line of lines.slice(1)) {
        const [, , score, surprise] = line.split(',')
        if (surprise === '') continue
        expect(Number(score)).toBeGreaterThanOrEqual(0)
        expect(Number(score)).toBeLessThanOrEqual(100)
      }
    },
  )

  it('gives the same bytes twice, and a shorter file the same prefix', async () => {
    const input = rows(4, 900)
    const whole = await scored(file('b.csv', `timestamp,value\n${input.join('\n')}\n`))
    expect(await scored(join(folder, 'b.csv'))).toEqual(whole)
    for (const length of [3, 15, 30, 500, 1000]) {
      const cut = await scored(file('c.csv', `timestamp,value\n${input.slice(0, length).join('\n')}\n`))
      expect(cut).toEqual(whole.slice(0, length + 1))
    }
  })

  it('reads times of every kind alike, finds columns by name and never the label', async () => {
    const input = rows(3)
    const plain = await scored(file('d.csv', `timestamp,value\n${input.join('\n')}\n`))
    const opinions = (lines: string[]) => lines.slice(1).map(line => line.split(',').slice(2).join(','))
    const rewrite = (to: (ms: number) => string) =>
      input.map(line => {
        const [time, value] = line.split(',')
        return `1,${value},${to(Number(time) * 1000)}`
      })
    for (const to of [
      (ms: number) => String(ms),
      (ms: number) => new Date(ms).toISOString(),
      (ms: number) => new Date(ms).toISOString().slice(0, 19).replace('T', ' '),
    ]) {
      const lines = await scored(file('e.csv.gz', `label,value,time\n${rewrite(to).join('\n')}\n`))
      expect(opinions(lines)).toEqual(opinions(plain))
    }
  })

  it('takes gaps, text, repeated and backward times without dropping a row or speaking of NaN', async () => {
    const input = rows(4)
    input[600] = `${START_S + 600 * STEP_S},`
    input[601] = `${START_S + 601 * STEP_S},NaN`
    input[602] = `${START_S + 602 * STEP_S},what`
    input[603] = `${START_S + 602 * STEP_S},50`
    input[604] = `${START_S + 100 * STEP_S},50`
    input[605] = 'never,50'
    input[606] = `${START_S + 606 * STEP_S}`
    const lines = await scored(file('f.csv', `timestamp,value\n${input.join('\r\n')}\r\n`))
    expect(lines).toHaveLength(input.length + 1)
    expect(lines[601]).toBe(`${START_S + 600 * STEP_S},,,,,,,,,,`)
    expect(lines[603]).toBe(`${START_S + 602 * STEP_S},,,,,,,,,,`)
    expect(lines[606]).toBe('never,50,,,,,,,,,')
    expect(lines.join('\n')).not.toMatch(/NaN|Infinity|undefined/)
    expect(lines[700].split(',')[3]).not.toBe('')
  })

  it('goes on after the clock is set back by a week', async () => {
    const input = [...rows(3), ...rows(4).slice(0, 600)]
    const lines = await scored(file('back.csv', `timestamp,value\n${input.join('\n')}\n`))
    expect(lines).toHaveLength(input.length + 1)
    expect(lines.at(-1)?.split(',')[3]).not.toBe('')
    expect(lines.slice(-400).filter(line => line.split(',')[9] === 'incident').length).toBeLessThan(2)
  })

  it('learns from history that it does not score', async () => {
    const input = rows(6, 5 * 288 + 10)
    const train = file('train.csv', `timestamp,value\n${input.slice(0, 4 * 288).join('\n')}\n`)
    const test = file('test.csv', `timestamp,value\n${input.slice(4 * 288).join('\n')}\n`)
    const whole = await scored(file('whole.csv', `timestamp,value\n${input.join('\n')}\n`))
    const lines = await scored(test, { train })
    const opinion = (line: string) => line.split(',').slice(0, 9)
    expect(lines.slice(1).map(opinion)).toEqual(whole.slice(1 + 4 * 288).map(opinion))
  })

  it('scores every file of a folder as it would alone', async () => {
    const names = ['x.csv', 'y.csv', 'deep/z.csv.gz']
    mkdirSync(join(folder, 'in/deep'), { recursive: true })
    for (const [i, name] of names.entries())
      file(`in/${name}`, `timestamp,value\n${rows(3, 700, i).join('\n')}\n`)
    const out = join(folder, 'outs')
    expect(await scoreCommand({ input: join(folder, 'in'), out })).toBe(0)
    for (const name of names) {
      const raw = readFileSync(join(out, name))
      const text = (name.endsWith('.gz') ? gunzipSync(raw) : raw).toString()
      expect(text.trimEnd().split('\n')).toEqual(await scored(join(folder, 'in', name)))
    }
    // A history of another name would be passed over, and nothing said.
    const train = join(folder, 'in', 'x.csv')
    expect(await refused({ input: join(folder, 'in'), out, train })).toContain('a folder of histories')
  })

  it('refuses what it cannot read, on one line', async () => {
    const garbage = join(folder, 'garbage.csv')
    writeFileSync(
      garbage,
      Uint8Array.from({ length: 4000 }, (_, i) => (i * 7919) & 255),
    )
    expect(await refused({ input: garbage })).toContain(garbage)
    expect(await refused({ input: join(folder, 'none.csv') })).toContain('no such file')
    expect(await refused({ input: file('empty.csv', '') })).toContain('row 1')
    expect(await refused({ input: file('bare.csv', '1,2\n3,4\n') })).toContain('--header none')
    expect(await refused({ input: file('words.csv', 'timestamp,value\nnoon,4\n') })).toMatch(/row 2.*noon/)
    expect(await refused({ input: join(folder, 'words.csv'), detector: 'oracle' })).toContain('compact@1')
    expect(await refused({ input: join(folder, 'words.csv'), step: 'soon' })).toContain('--step')
    const cut = gzipSync(`timestamp,value\n${rows(3).join('\n')}`).subarray(0, 3000)
    writeFileSync(join(folder, 'cut.csv.gz'), cut)
    expect(await refused({ input: join(folder, 'cut.csv.gz') })).toMatch(/cut\.csv\.gz.*row \d+/)
  })

  it('reads steps with units', () => {
    expect(['300', '5m', '500ms', '1h'].map(stepOf)).toEqual([300_000, 300_000, 500, 3_600_000])
  })
})

describe('foreshock score, many metrics of one entity', () => {
  const random = mulberry32(9)
  const bare = Array.from({ length: 3 * 96 }, (_, t) => {
    const load = 5 + Math.sin((2 * Math.PI * t) / 96) + 0.1 * random()
    const isBroken = t >= 250 && t < 260
    const cells = [load, 2 * load + 0.1 * random(), isBroken ? 20 : load + 0.1 * random(), 7, 100 - load]
    return cells.map(v => v.toFixed(4)).join(',')
  })

  it('finds the metric that no longer fits the others', async () => {
    const lines = await scored(file('bare.csv', `${bare.join('\n')}\n`), {
      shape: 'multivariate',
      header: 'none',
      step: '900',
    })
    expect(lines[0]).toBe('timestamp,score,surprise,point,incident,alert,severity,top')
    expect(lines).toHaveLength(bare.length + 1)
    expect(lines[1]).toBe('0,,,,,,,')
    const [time, , surprise, point, incident, alert, severity, top] = lines[253].split(',')
    expect(time).toBe(String(252 * 900))
    // Both are the surprise against the entity's own loudest moments: one evidence, unlike the surprise.
    expect(incident).toBe(point)
    expect(Number(point)).toBeGreaterThan(1.8)
    expect(Number(surprise)).toBeGreaterThan(4)
    expect(['point', 'incident']).toContain(alert)
    expect(severity).not.toBe('')
    expect(top.split(';')[0]).toBe('3')
  })

  it('reads names and times, ignores text and labels, fills missing metrics, and learns from history', async () => {
    const header = 'time,host,cpu,disk,net,fixed,free,label'
    const text = (from: number, to: number) =>
      `${header}\n${bare
        .slice(from, to)
        .map((line, i) => `${START_S + (from + i) * 900},web-1,${line},1`)
        .map((line, i) => (i % 50 === 7 ? line.replace(/^([^,]*,[^,]*,)[^,]*/, '$1') : line))
        .join('\n')}\n`
    const input = file('m-test.csv', text(150, 288))
    const train = file('m-train.csv', text(0, 150))
    const lines = await scored(input, { shape: 'multivariate', train })
    expect(lines).toHaveLength(139)
    expect(lines[1].split(',')[1]).not.toBe('')
    const row = lines[1 + 252 - 150].split(',')
    expect(row.at(-1)?.split(';')[0]).toBe('net')
    expect(lines.join('\n')).not.toMatch(/NaN|host|label/)
  })
})
