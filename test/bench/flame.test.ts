// Shows that a CPU profile is told by room and drawn: on a profile made by hand whose shares are known, and on one that Node
// takes of a real loop.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { type CpuProfile, flameSvg, roomOf, sharesOf, treeOf } from '../../scripts/flame-graph.ts'

const node = (id: number, functionName: string, url: string, children: number[] = []) => ({
  id,
  callFrame: { functionName, url },
  children,
})
const PROFILE: CpuProfile = {
  nodes: [
    node(1, '(root)', '', [2, 3, 4, 7]),
    node(2, '(idle)', ''),
    node(3, '(garbage collector)', ''),
    node(4, 'run', 'file:///x/dist/pipeline.js', [5, 6]),
    node(5, 'decode', 'file:///x/dist/ingest/intake.js'),
    node(6, 'score', 'file:///x/dist/detectors/ensemble.js', [8]),
    node(7, 'run', 'file:///x/dist/pipeline.js', [9]),
    node(8, 'a<b', 'file:///x/dist/math/fast.js'),
    node(9, 'decode', 'file:///x/dist/ingest/intake.js'),
  ],
  samples: [2, 2, 2, 2, 3, 4, 5, 6, 6, 8, 8, 8, 9, 9],
}

describe('a profile', () => {
  it('is told by room and by function, without idle time', () => {
    const root = treeOf(PROFILE)
    expect(root.total).toBe(10)
    expect(sharesOf(root, 'room')).toEqual([
      { name: 'ingest/', share: 0.3 },
      { name: 'math/', share: 0.3 },
      { name: 'detectors/', share: 0.2 },
      { name: 'garbage collection', share: 0.1 },
      { name: 'pipeline', share: 0.1 },
    ])
    expect(sharesOf(root, 'name')[1]).toEqual({ name: 'decode intake', share: 0.3 })
    // The two runs are one frame.
    expect(root.children.get('run pipeline')?.total).toBe(9)
  })

  it('knows rooms by where scripts lie', () => {
    expect(roomOf('file:///a/src/core/batch.ts', 'f')).toBe('core/')
    expect(roomOf('file:///a/node_modules/@x/y/z.js', 'f')).toBe('@x/y')
    expect(roomOf('wasm://wasm/1234', 'f')).toBe('kernels (wasm)')
    expect(roomOf('node:net', 'f')).toBe('node')
  })

  it('is drawn as boxes whose width is their share', () => {
    const svg = flameSvg(treeOf(PROFILE), 'a & b')
    expect(svg).toContain('a &amp; b')
    expect(svg).toContain('a&lt;b fast')
    expect(svg).toContain('score ensemble (detectors/): 50.0 %')
    const width = (name: string) => Number(new RegExp(`${name}[^]*?width="([\\d.]+)"`).exec(svg)?.[1])
    expect(width('score ensemble') / width('run pipeline')).toBeCloseTo(5 / 9, 1)
  })
})

describe('a profile that Node takes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'foreshock-flame-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('has most of its samples where the time went', () => {
    const file = join(folder, 'hot.mjs')
    writeFileSync(
      file,
      'let x = 0\nfunction hotLoop(n) { for (let i = 0; i < n; i++) x += Math.sqrt(i) }\nfor (let i = 0; i < 60; i++) hotLoop(1e6)\n',
    )
    const done = spawnSync(process.execPath, ['--cpu-prof', `--cpu-prof-dir=${folder}`, file])
    expect(done.status).toBe(0)
    const name = readdirSync(folder).find(one => one.endsWith('.cpuprofile'))!
    const root = treeOf(JSON.parse(readFileSync(join(folder, name), 'utf8')) as CpuProfile)
    const hot = sharesOf(root, 'name').find(one => one.name.startsWith('hotLoop'))
    expect(hot?.share).toBeGreaterThan(0.3)
  })
})
