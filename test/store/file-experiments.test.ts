// Shows that experiments kept in files come back as they were saved, the last save of each, that a crash in the middle
// of a save costs nothing, that a damaged file is told and passed over, and that a full or missing folder is an error
// with its path.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { Experiments } from '../../src/experiments/experiments.ts'
import { FileExperiments } from '../../src/store/file-experiments.ts'
import { PairWorld, plan } from '../experiments/world.ts'

const folder = mkdtempSync(join(tmpdir(), 'foreshock-experiments-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('experiments in files', () => {
  it('come back with all they had seen, and go when they are removed', async () => {
    const dir = join(folder, 'kept')
    const store = new FileExperiments({ dir })
    expect(await store.load()).toEqual([])
    const world = new PairWorld(1)
    const all = await Experiments.open(world.ports({ store }))
    const { id } = await all.start(plan(), 'ann')
    world.run(400, pair => all.observe(pair), { sight: 0 }, { sight: 0 })
    await all.close()
    const again = await Experiments.open(world.ports({ store: new FileExperiments({ dir }) }))
    const { memoryMegabytes: _, ...before } = all.one(id) as never as Record<string, unknown>
    expect(again.one(id)).toMatchObject(before)
    const saved = await store.load()
    expect(saved).toHaveLength(1)
    expect(JSON.stringify(saved[0]).length).toBeLessThan(200_000)
    await store.remove(id)
    expect(readdirSync(dir)).toEqual([])
    await store.remove(id)
  })

  it('survive a save that was cut off, and pass over what is damaged', async () => {
    const dir = join(folder, 'damaged')
    const warnings: string[] = []
    const store = new FileExperiments({ dir, onWarning: text => warnings.push(text) })
    const world = new PairWorld(2)
    const all = await Experiments.open(world.ports({ store }))
    const { id } = await all.start(plan(), 'ann')
    writeFileSync(join(dir, `${id}.json.tmp`), '{"version":1,"rep')
    writeFileSync(join(dir, 'exp_b.json'), '{"version":1,"rep')
    writeFileSync(join(dir, 'exp_c.json'), '{"version":2}')
    expect((await store.load()).map(one => one.report.id)).toEqual([id])
    expect(warnings).toEqual([
      expect.stringMatching(/exp_b.json cannot be read and is passed over/),
      expect.stringMatching(/exp_c.json .* it is of layout 2, known is 1/),
    ])
  })

  it('say where they cannot be written', async () => {
    const file = join(folder, 'file')
    writeFileSync(file, '')
    const store = new FileExperiments({ dir: file })
    const all = await Experiments.open(new PairWorld(3).ports())
    const report = await all.start(plan(), 'ann')
    await expect(store.save({ version: 1, report })).rejects.toMatchObject({
      code: 'FS_IO',
      message: expect.stringContaining(file),
    })
    await expect(store.load()).rejects.toMatchObject({ code: 'FS_IO' })
  })
})
