// Shows that what ships in models/ keeps what is promised of it: every package passes the checks that a pushed one must pass, is
// within fifty microseconds a window, comes with a README and the script that made it, and names only data that may be
// trained on; one that has not earned a place says that it is an example.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { openHost } from '../../src/detectors/model-host.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const MODELS = join(ROOT, 'models')
/** Weights the combiner by its own figures: see docs/results.md. Others have not been shown to help on public sets. */
const EARNED = ['kpi-combiner']
const MICROSECONDS_MAX = 50

const host = openHost()
afterAll(() => host.close())

/** Of a row. What else the machine does only ever adds to it, so it is asked anew, of a host that knows nothing, while it is too much. */
async function microseconds(folder: string, found: number): Promise<number> {
  let best = found
  for (let again = 0; again < 5 && best > MICROSECONDS_MAX; again++) {
    const anew = openHost()
    const { proof } = await anew.check(folder)
    best = Math.min(best, (1000 * proof.msPer256Rows) / 256)
    await anew.close()
  }
  return best
}

const shipped = readdirSync(MODELS).flatMap(id =>
  readdirSync(join(MODELS, id))
    .filter(version => /^\d+$/.test(version))
    .map(version => [id, version] as const),
)

describe('shipped models', () => {
  it('are there, one of each kind', () => {
    expect(shipped.map(([id]) => id)).toEqual(
      expect.arrayContaining(['kpi-combiner', 'next-window', 'service-peers', 'shape-scorer']),
    )
  })

  it.each(shipped)('%s %s is what its card says, and quick', async (id, version) => {
    const folder = join(MODELS, id, version)
    const { card, proof, isProven } = await host.check(folder)
    expect([card.id, String(card.version)]).toEqual([id, version])
    expect(isProven).toBe(true)
    const first = (1000 * proof.msPer256Rows) / 256
    expect(await microseconds(folder, first)).toBeLessThanOrEqual(MICROSECONDS_MAX)
    expect(card.example === true).toBe(!EARNED.includes(id))
  })

  it.each(shipped)('%s %s says how and of what it was made', (id, version) => {
    const card = JSON.parse(readFileSync(join(MODELS, id, version, 'card.json'), 'utf8'))
    expect(existsSync(join(ROOT, card.training.script))).toBe(true)
    expect(existsSync(join(MODELS, id, 'README.md'))).toBe(true)
    for (const data of card.training.data as string[]) expect(data).toMatch(/train\/|simulate/)
    expect(JSON.stringify(card.training.data)).not.toMatch(/test\/|rca|nab/i)
  })
})
