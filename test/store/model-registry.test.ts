// The registry puts packages on disk whole and never changes them; the ledger keeps who is champion and what was ordered.
// Shown with real files: pushes good and bad, caps, removal, restarts, leftovers of crashes, damage, and kill -9 at random
// moments of a program that pushes, orders and removes without end.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { ForeshockError } from '../../src/core/errors.ts'
import { ModelLedger } from '../../src/store/model-ledger.ts'
import { ModelRegistry, type Pushed, type RegistryOptions } from '../../src/store/model-registry.ts'
import { inPieces, PACKAGE_FILES, type PackageText, rawTar, tarOf, writePackage } from './model-packages.ts'

const root = mkdtempSync(join(tmpdir(), 'foreshock-registry-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let made = 0
const folder = () => join(root, String(made++))
const open = (dir: string, more: Partial<RegistryOptions> = {}) => ModelRegistry.open({ dir, ...more })

async function push(registry: ModelRegistry, text: PackageText = {}, more: Partial<Pushed> = {}) {
  const { id: model = 'echo', version = 1 } = text
  const from = writePackage(folder(), text)
  const archive = inPieces(await tarOf(from, PACKAGE_FILES, true))
  return registry.push({ model, version, archive, by: 'ann', timeMs: 5, check: async () => {}, ...more })
}
const codeOf = (cause: unknown) => (cause as ForeshockError).code

describe('the registry', () => {
  it('keeps what was pushed over a restart, newest version first', async () => {
    const dir = folder()
    const registry = await open(dir)
    const first = await push(registry, { version: 1 })
    await push(registry, { version: 10, model: 'others' })
    await push(registry, { version: 2 })
    expect(first.isNew).toBe(true)
    expect(first.stored).toMatchObject({ model: 'echo', version: 1, source: 'pushed', pushedBy: 'ann' })
    const again = await open(dir)
    expect(again.versions('echo')).toEqual(registry.versions('echo'))
    expect(again.versions('echo').map(one => one.version)).toEqual([10, 2, 1])
    expect(readFileSync(join(first.stored.folder, 'model.onnx'), 'utf8')).toBe('bytes')
  })

  it('takes the same package twice as one, and refuses another one under its number', async () => {
    const registry = await open(folder())
    const { stored } = await push(registry)
    let checks = 0
    const check = async () => void checks++
    const same = await push(registry, {}, { check })
    expect(same).toEqual({ stored, isNew: false })
    expect(checks).toBe(0)
    expect(codeOf(await push(registry, { model: 'other' }).catch(cause => cause))).toBe('FS_CONFLICT')
    expect(readFileSync(join(stored.folder, 'model.onnx'), 'utf8')).toBe('bytes')
  })

  it('refuses what is not what its address and card say, and leaves nothing behind', async () => {
    const dir = folder()
    const registry = await open(dir)
    const raw = (entries: Parameters<typeof rawTar>[0]) => ({ archive: inPieces(rawTar(entries)) })
    const card = (more: object) => ({
      path: 'card.json',
      data: JSON.stringify({ id: 'echo', version: 1, ...more }),
    })
    const golden = { path: 'golden.json', data: '{}' }
    const model = { path: 'model.onnx', data: 'x' }
    const extra = { path: 'train.py', data: 'import os' }
    const graph = (paths: unknown) => ({
      path: 'model.json',
      data: JSON.stringify({ weightsManifest: [{ paths }] }),
    })
    const cases: readonly (readonly [Partial<Pushed>, RegExp])[] = [
      [{ model: '../echo' }, /no name of a model/],
      [{ version: 1.5 }, /whole number/],
      [raw([golden, model]), /card.json is missing/],
      [raw([{ path: 'card.json', data: '{' }, golden, model]), /card.json is no JSON/],
      [raw([{ path: 'card.json', data: Buffer.alloc(70_000, 32) }, golden, model]), /at most 65536/],
      [raw([card({ version: 2 }), golden, model]), /card.json says echo 2/],
      [raw([card({ id: 'other' }), golden, model]), /card.json says other 1/],
      [raw([card({}), golden]), /model.onnx is missing/],
      [raw([card({}), golden, model, extra]), /train.py, which its card does not name/],
      [raw([card({ format: 'tfjs-layers' }), golden]), /model.json is missing/],
      [raw([card({ format: 'tfjs-layers' }), golden, graph(['w.bin'])]), /w.bin is missing/],
      [raw([card({ format: 'tfjs-layers' }), golden, graph(['../w.bin'])]), /\.\.\/w.bin is missing/],
      [raw([card({}), golden, model]), /digest/],
      [
        {
          check: async at => {
            throw new ForeshockError('FS_MODEL_INVALID', `${at}: model.onnx is not what it says`)
          },
        },
        /^model.onnx is not what it says$/,
      ],
    ]
    for (const [more, reason] of cases) {
      const cause = await push(registry, {}, more).catch(thrown => thrown)
      expect(cause, String(reason)).toBeInstanceOf(ForeshockError)
      expect(cause.message).toMatch(reason)
      expect(cause.code).toBe('FS_MODEL_INVALID')
    }
    expect(registry.models()).toEqual([])
    expect(readdirSync(dir)).toEqual([])
  })

  it('is bounded: models, versions of a model, bytes of all, bytes of one', async () => {
    const limits = { models: 2, versionsPerModel: 2, bytes: 2500, packageBytes: 20_000 }
    const registry = await open(folder(), { limits })
    await push(registry, { version: 1 })
    await push(registry, { version: 2 })
    const full = async (text: PackageText) =>
      (await push(registry, text).catch(cause => cause)) as ForeshockError
    expect((await full({ version: 3 })).message).toContain('no more than 2 versions')
    expect((await full({ id: 'b', model: Buffer.alloc(5000) })).message).toContain('no more than 2500 bytes')
    expect((await full({ id: 'b', model: Buffer.alloc(30_000) })).code).toBe('FS_INPUT_TOO_LARGE')
    await push(registry, { id: 'b' })
    expect((await full({ id: 'c' })).message).toContain('no more than 2 models')
    await registry.remove('echo', 1)
    await push(registry, { version: 3 })
  })

  it('lists what is shipped beside it, and never changes that', async () => {
    const shippedDir = folder()
    const shipped = writePackage(shippedDir, { id: 'given', version: 3 })
    const registry = await open(folder(), { shippedDir })
    expect(registry.versions('given')).toMatchObject([{ version: 3, source: 'shipped', pushedBy: null }])
    expect(codeOf(await registry.remove('given', 3).catch(cause => cause))).toBe('FS_CONFLICT')
    expect((await push(registry, { id: 'given', version: 3 })).isNew).toBe(false)
    const other = await push(registry, { id: 'given', version: 3, model: 'x' }).catch(cause => cause)
    expect(codeOf(other)).toBe('FS_CONFLICT')
    expect((await push(registry, { id: 'given', version: 4 })).isNew).toBe(true)
    expect(existsSync(shipped)).toBe(true)
  })

  it('clears away what a crash left half done, and passes over what is damaged, loudly', async () => {
    const dir = folder()
    const registry = await open(dir)
    const { stored } = await push(registry, { version: 1 })
    await push(registry, { version: 2 })
    for (const left of ['.incoming-a', '.outgoing-b']) writePackage(join(dir, left))
    mkdirSync(join(dir, 'echo', '3'))
    mkdirSync(join(dir, 'Not a model'))
    writeFileSync(join(stored.folder, 'card.json'), '{"id":"echo","ver')
    const warnings: string[] = []
    const again = await open(dir, { onWarning: text => warnings.push(text) })
    expect(again.versions('echo').map(one => one.version)).toEqual([2])
    expect(warnings.map(text => text.slice(0, 28))).toEqual([
      'model echo 1 is passed over:',
      'model echo 3 is passed over:',
    ])
    expect(readdirSync(dir).filter(name => name.startsWith('.'))).toEqual([])
  })
})

describe('the ledger', () => {
  const order = (version: number, op: 'promote' | 'shadow' = 'promote') =>
    ({ op, model: 'echo', version, digest: `sha256:${version}`, by: 'ann' }) as const
  const opened = async (dir: string) => {
    const warnings: string[] = []
    mkdirSync(dir, { recursive: true })
    return { ledger: await ModelLedger.open(dir, text => warnings.push(text)), warnings }
  }

  it('keeps parts and history over a restart, and says when it is new', async () => {
    const dir = folder()
    const { ledger } = await opened(dir)
    expect(ledger.isNew).toBe(true)
    const at = Date.UTC(2026, 10, 20)
    for (const one of [
      order(1),
      order(2),
      order(3, 'shadow'),
      { op: 'rollback', model: 'echo', by: 'bob' } as const,
    ]) {
      await ledger.intend(one)
      await ledger.settle(at)
    }
    const { ledger: again } = await opened(dir)
    expect(again.isNew).toBe(false)
    expect(again.standing('echo')).toEqual({
      champion: { model: 'echo', version: 1, digest: 'sha256:1' },
      previous: null,
      challenger: { model: 'echo', version: 3, digest: 'sha256:3', mode: 'shadow', share: 0 },
    })
    expect(again.history('echo', 2).map(line => [line.time, line.order.op, line.champion?.version])).toEqual([
      ['2026-11-20T00:00:00.000Z', 'rollback', 1],
      ['2026-11-20T00:00:00.000Z', 'shadow', 2],
    ])
    expect(again.history('toString', 5)).toEqual([])
    expect(again.standing('constructor').champion).toBeNull()
  })

  it('has what was intended as pending after a crash, until it is settled or dropped', async () => {
    const dir = folder()
    const { ledger } = await opened(dir)
    await ledger.intend(order(1))
    const { ledger: again } = await opened(dir)
    expect(again.pending).toEqual(order(1))
    expect(again.standing('echo').champion).toBeNull()
    await again.settle(1)
    const { ledger: third } = await opened(dir)
    expect(third.pending).toBeNull()
    expect(third.standing('echo').champion?.version).toBe(1)
    await third.intend(order(2))
    await third.drop()
    expect(third.standing('echo').champion?.version).toBe(1)
  })

  it('reads the one before when it was damaged by others', async () => {
    const dir = folder()
    const { ledger } = await opened(dir)
    await ledger.intend(order(1))
    await ledger.settle(1)
    await ledger.intend(order(2))
    appendFileSync(join(dir, 'ledger.json'), 'rubbish')
    const { ledger: again, warnings } = await opened(dir)
    expect(again.standing('echo').champion?.version).toBe(1)
    expect(warnings).toEqual([expect.stringContaining('cannot be read')])
  })

  it('stays as it was when it cannot be written', async () => {
    const dir = folder()
    const { ledger } = await opened(dir)
    await ledger.intend(order(1))
    await ledger.settle(1)
    rmSync(dir, { recursive: true })
    expect(codeOf(await ledger.intend(order(2)).catch(cause => cause))).toBe('FS_IO')
    expect(ledger.pending).toBeNull()
  })
})

it('holds what was acknowledged, and only whole packages, after kill -9 at any moment', {
  timeout: 60_000,
}, async () => {
  const dir = folder()
  let pushed = 0
  for (let round = 0; round < 8; round++) {
    const writer = join(import.meta.dirname, 'model-writer.ts')
    const args = ['--import', 'tsx', writer, dir]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let printed = ''
    child.stdout.on('data', chunk => {
      printed += chunk
      if (printed.split('\n').length > 9 + 3 * round) setTimeout(() => child.kill('SIGKILL'), round)
    })
    await once(child, 'close')
    const last = (what: string) =>
      Math.max(0, ...[...printed.matchAll(new RegExp(`^${what} (\\d+)$`, 'gm'))].map(([, n]) => Number(n)))
    const warnings: string[] = []
    const registry = await open(dir, { onWarning: text => warnings.push(text) })
    const ledger = await ModelLedger.open(dir, text => warnings.push(text))
    expect(warnings).toEqual([])
    pushed = Math.max(pushed, last('pushed'))
    expect(registry.versions('echo')[0].version).toBeGreaterThanOrEqual(pushed)
    expect(registry.find('echo', last('removed'))).toBeUndefined()
    const champion = ledger.standing('echo').champion?.version ?? 0
    expect(champion).toBeGreaterThanOrEqual(last('settled'))
    if (ledger.pending) await ledger.settle(1)
    expect(ledger.standing('echo').champion?.version ?? 0).toBeGreaterThanOrEqual(last('intended'))
    for (const one of registry.versions('echo')) {
      const bytes = readFileSync(join(one.folder, 'model.onnx'))
      expect(bytes.equals(Buffer.alloc(50_000, one.version))).toBe(true)
    }
  }
  expect(pushed).toBeGreaterThan(20)
})
