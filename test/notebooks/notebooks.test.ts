// Shows the whole way of a data scientist, as the notebooks go it: a running service is fed a simulated world, its windows
// are exported, the notebooks run top to bottom on them in their own pinned environment, and what they trained are packages
// that the service would take.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { foreshock } from '../e2e/command.ts'
import { type RunningService, remove, startForeshock } from '../e2e/service.ts'
import { finished, NOTEBOOKS, notebookPython } from './python.ts'

/** Made once: what it installs may take minutes. */
const LIMIT_MS = 700_000
const DAYS = 1.5
const SERVICES = 2
const METRICS = 6
const WINDOWS = DAYS * 1440
/** Of them those during which notebook 4 compares. */
const COMPARED = 300
const LINES_A_BODY = 6000

const folder = mkdtempSync(join(tmpdir(), 'foreshock-notebooks-'))
const at = (name: string) => join(folder, name)
let service: RunningService | undefined

beforeAll(async () => {
  service = await startForeshock({
    features: { step: '1m', lateness: '1ms', historyWindows: 3000, retention: '36500d' },
    // What is shown here is that it works, also on a machine that has little time for it.
    detection: { models: { timeout: '20s' } },
  })
})
afterAll(async () => {
  await service?.stop()
  if (service) remove(service.folder)
  rmSync(folder, { recursive: true, force: true })
})

/** Sends rows of a long CSV as JSON lines, in order. */
async function feed(url: string, rows: readonly string[]): Promise<void> {
  for (let from = 0; from < rows.length; from += LINES_A_BODY) {
    const lines = rows.slice(from, from + LINES_A_BODY).map(row => {
      const [time, entity, metric, value] = row.split(',')
      return JSON.stringify({
        time: Number(time) * 1000,
        metric,
        labels: { service: entity },
        value: Number(value),
      })
    })
    const answer = await fetch(`${url}/api/samples`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines.join('\n'),
    })
    expect(answer.ok, await answer.text()).toBe(true)
  }
}

describe('notebooks', () => {
  it('explore, train and package what a running service exported', { timeout: LIMIT_MS }, async context => {
    const python = await notebookPython(context)
    const { url } = service!
    const world = [
      'simulate.py',
      '--out',
      at('world.csv'),
      '--faults',
      at('faults.csv'),
      '--services',
      String(SERVICES),
      '--days',
      String(DAYS),
    ]
    const made = await finished(python, world, { cwd: NOTEBOOKS })
    expect(made.code, made.out).toBe(0)
    const [head, ...samples] = readFileSync(at('world.csv'), 'utf8').trimEnd().split('\n')
    expect(samples).toHaveLength(SERVICES * METRICS * WINDOWS)
    // The rest comes while models are compared.
    const kept = SERVICES * METRICS * COMPARED
    await feed(url, samples.slice(0, -kept))
    writeFileSync(at('more.csv'), [head, ...samples.slice(-kept), ''].join('\n'))

    const exported = foreshock(['windows', 'export', '--url', url, '--out', at('windows.parquet')])
    expect(exported.code, exported.err).toBe(0)

    const env = {
      FORESHOCK_WINDOWS: at('windows.parquet'),
      FORESHOCK_PACKAGES: at('packages'),
      FORESHOCK_SMALL: '1',
      FORESHOCK_URL: url,
      FORESHOCK_MORE: at('more.csv'),
      FORESHOCK_FAULTS: at('faults.csv'),
    }
    const run = (...names: string[]) => finished(python, ['run.py', ...names], { cwd: NOTEBOOKS, env })
    const ran = await run(
      '01-explore.ipynb',
      '02-train-service-autoencoder.ipynb',
      '03-train-tfjs-detector.ipynb',
    )
    expect(ran.code, ran.out).toBe(0)
    // The window that is still open, and the first of each series, are not there.
    const [, windows] = /(\d+) windows of 12 series, 60 s each/.exec(ran.out) ?? []
    expect(Number(windows)).toBeGreaterThan(SERVICES * METRICS * (WINDOWS - COMPARED - 5))

    const compared = await run('04-compare-challenger.ipynb')
    expect(compared.code, compared.out).toBe(0)
    const [, rows] = /\d+ windows, (\d+) rows that both had an opinion of/.exec(compared.out) ?? []
    expect(Number(rows)).toBeGreaterThan(0)
    expect(compared.out).toContain('notebook 4 has seen enough')
    expect(compared.out).toMatch(/[1-9]\d* labels taken/)

    for (const name of ['service-autoencoder/1', 'service-autoencoder/2', 'next-window/1']) {
      const own = join(at('packages'), name)
      expect(existsSync(join(own, 'card.json'))).toBe(true)
      const checked = foreshock(['models', 'validate', own])
      expect(checked.code, checked.err + checked.out.toString()).toBe(0)
    }
  })
})
