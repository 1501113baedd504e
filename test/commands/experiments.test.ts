// Shows `foreshock experiments` against a listening service with real experiments on seeded pairs of scores: start,
// list, status and stop as text and JSON, labels from a file by row, and what is refused with one line and its exit
// code.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { addExperimentsCommand } from '../../src/commands/experiments.ts'
import type { Experiments } from '../../src/experiments/experiments.ts'
import { PairWorld } from '../experiments/world.ts'
import { listen, type Running, world } from '../serve/world.ts'
import { printed } from './printed.ts'

const folder = mkdtempSync(join(tmpdir(), 'foreshock-experiments-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let pairs: PairWorld
let all: Experiments
let server: Running
beforeEach(async () => {
  pairs = new PairWorld(1)
  all = await pairs.open()
  server = await listen({ ...world().deps, experiments: all })
})
afterEach(async () => {
  process.exitCode = 0
  await server.close()
})

const foreshock = (...words: string[]) =>
  printed(addExperimentsCommand, ['experiments', ...words, '--url', server.url])

const START = ['start', 'shape-detector', '--challenger', '2', '--unit', '1m', '--alerts', '400']

describe('foreshock experiments', () => {
  it('starts, watches, labels from a file, and sees the better one promoted', async () => {
    expect(await foreshock('list')).toBe('no experiments\n')
    const started = await foreshock(...START, '--auto-promote', '--p99', '50ms', '--max-duration', '2h')
    const id = /^(exp_\w+) started/.exec(started)?.[1] as string
    expect(all.one(id)?.plan).toMatchObject({
      mode: 'shadow',
      autoPromote: true,
      unitSeconds: 60,
      maxDurationSeconds: 7200,
      guardrails: { p99Ms: 50, alertRatio: 3 },
    })
    pairs.plant(2400, 40)
    pairs.run(2400, pair => all.observe(pair), { sight: 0.005 }, { sight: 0.95 })
    const lines = pairs
      .labels()
      .map(one => `${one.name},${one.fromMs},${new Date(one.toMs).toISOString()},anomalous`)
    const file = join(folder, 'labels.csv')
    writeFileSync(file, ['entity,from,to,kind', ...lines, lines[3]].join('\n'))
    const labelled = await foreshock('label', id, '--input', file)
    expect(labelled).toMatch(/^59 labels taken, 1 refused\n.*labels.csv, row 61: it overlaps what anonymous/)
    await all.tick()
    const status = await foreshock('status')
    expect(status).toMatch(/probation: the challenger is better: of 59 anomalous intervals/)
    expect(status).toMatch(/found, of 59 anomalies +\d+ +\d+\n/)
    expect(status).toMatch(/better: challenger is better; advantage of the challenger 0\.\d+ a unit/)
    expect(JSON.parse(await foreshock('list', '--json')).items[0]).toMatchObject({ id, status: 'probation' })
  })

  it('starts a canary and stops it by hand', async () => {
    const { id } = JSON.parse(await foreshock(...START, '--canary', '0.2', '--json'))
    expect(pairs.orders[0]).toMatchObject({ op: 'canary', share: 0.2 })
    const stopped = await foreshock('stop', id, '--why', 'enough seen', '--promote')
    expect(stopped).toContain(`${id}  promoted: enough seen`)
    expect(pairs.champion).toBe(2)
  })

  it('refuses in one line what cannot be', async () => {
    const file = (content: string) => {
      writeFileSync(join(folder, 'wrong.csv'), content)
      return join(folder, 'wrong.csv')
    }
    await expect(foreshock('status')).rejects.toThrow('there are no experiments')
    await expect(foreshock('status', 'exp_0')).rejects.toThrow(/404 there is no experiment exp_0/)
    await expect(foreshock(...START, '--p99', 'fast')).rejects.toThrow(/--p99 fast: write a duration/)
    await expect(foreshock(...START, '--alpha', 'x')).rejects.toThrow('--alpha x: must be a number')
    await expect(foreshock(...START, '--alpha', '2')).rejects.toThrow(/400 .*alpha/)
    await expect(foreshock(...START, '--champion', '9')).rejects.toThrow(/champion: version 1 is, not 9/)
    const label = (content: string) => foreshock('label', 'exp_0', '--input', file(content))
    await expect(label('entity,to,kind\n')).rejects.toThrow(/no column from/)
    await expect(label('entity,from,to,kind\na,1,2,odd\n')).rejects.toThrow(/row 2: kind "odd"/)
    await expect(label('entity,from,to,kind\n,1,2,normal\n')).rejects.toThrow(/either a series or an entity/)
    await expect(label('entity,from,to,kind\na,soon,2,normal\n')).rejects.toThrow(/row 2: from "soon"/)
    await server.close()
    await expect(foreshock('list')).rejects.toMatchObject({ code: 'FS_IO' })
  })
})
