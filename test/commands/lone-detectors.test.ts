// Shows that `score --detector` takes each of the detectors that know no daily shape, by its id with and without the
// version, with an opinion on every row once warm; that help names every one with a line; and that parts cannot be
// left out of them.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { LONE_DETECTORS } from '../../src/commands/lone-detectors.ts'
import { scoreCommand } from '../../src/commands/score.ts'
import { detectorHelp, univariateChoice } from '../../src/commands/score-detectors.ts'

const folder = mkdtempSync(join(tmpdir(), 'foreshock-lone-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const ROWS = 900
const SPIKE = 800
const values = Array.from(
  { length: ROWS },
  (_, t) => 50 + 8 * Math.sin(t / 9) + Math.sin(17 * t) + (t === SPIKE ? 40 : 0),
)

describe('a detector for suspects, alone', () => {
  it.each(LONE_DETECTORS.map(({ id }) => id))('%s scores a file', async id => {
    const input = join(folder, 'in.csv')
    const out = join(folder, 'out.csv')
    const lines = values.map((value, t) => `${1_700_000_000 + 60 * t},${value}`)
    writeFileSync(input, `timestamp,value\n${lines.join('\n')}\n`)
    expect(await scoreCommand({ input, out, detector: id.replace('@1', '') })).toBe(0)
    const rows = readFileSync(out, 'utf8').trimEnd().split('\n').slice(1)
    expect(rows).toHaveLength(ROWS)
    const points = rows.map(row => Number(row.split(',')[4] || Number.NaN))
    expect(points.slice(300).every(point => point >= 0)).toBe(true)
    if (id === 'flatline@1') expect(Math.max(...points.slice(300))).toBe(0)
    else expect(points[SPIKE]).toBeGreaterThan(2 * Math.max(...points.slice(300, SPIKE)))
  })

  it('is named in the help', () => {
    for (const { id, about } of LONE_DETECTORS) expect(detectorHelp()).toContain(`${id.padEnd(18)} ${about}`)
    expect(detectorHelp()).toContain('full@1')
  })

  it('has no parts', () => {
    expect(() => univariateChoice('rcf', ['shapes'])).toThrow(
      expect.objectContaining({ code: 'FS_INPUT_INVALID' }),
    )
  })
})
