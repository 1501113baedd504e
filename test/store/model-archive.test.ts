// Archives of packages are unpacked file by file, and whatever could lead out of the folder, fill the disk or pretend to be
// something else is refused with its name: absolute paths, `..`, links, devices, doubles, bombs, cut-off and random bytes.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { ForeshockError } from '../../src/core/errors.ts'
import { unpackModel } from '../../src/store/model-archive.ts'
import { inPieces, PACKAGE_FILES, type RawEntry, rawTar, tarOf, writePackage } from './model-packages.ts'

const root = mkdtempSync(join(tmpdir(), 'foreshock-archive-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let made = 0
function folder(): string {
  const path = join(root, String(made++))
  mkdirSync(path)
  return path
}
const LIMITS = { bytesMax: 100_000, filesMax: 5 }
const unpack = (bytes: Uint8Array, into = folder()) => unpackModel(inPieces(bytes), into, LIMITS)

describe('an archive', () => {
  const from = writePackage(join(root, 'source'), { model: Buffer.alloc(30_000, 7) })

  it.each([
    ['tar', false, PACKAGE_FILES],
    ['gzip', true, PACKAGE_FILES],
    ['the whole folder', true, ['.']],
  ] as const)('%s is unpacked as it was', async (_name, gzip, files) => {
    const into = folder()
    expect(await unpack(await tarOf(from, files, gzip), into)).toEqual(PACKAGE_FILES)
    for (const name of PACKAGE_FILES)
      expect(readFileSync(join(into, name)).equals(readFileSync(join(from, name)))).toBe(true)
  })

  it('may have its files in one folder', async () => {
    expect(await unpack(await tarOf(join(root, 'source'), ['echo/1']))).toEqual(PACKAGE_FILES)
  })

  const bad: readonly (readonly [string, readonly RawEntry[], RegExp])[] = [
    ['an absolute path', [{ path: '/etc/card.json', data: 'x' }], /absolute/],
    ['a drive', [{ path: 'C:card.json', data: 'x' }], /absolute/],
    ['a backslash', [{ path: '..\\card.json', data: 'x' }], /absolute/],
    ['a path out', [{ path: '../card.json', data: 'x' }], /leads out/],
    ['a path out further in', [{ path: 'a/../../card.json', data: 'x' }], /leads out/],
    ['a folder out', [{ path: '../x/', type: 'Directory' }], /leads out/],
    ['a link', [{ path: 'card.json', type: 'SymbolicLink', linkpath: '/etc/passwd' }], /SymbolicLink/],
    ['a hard link', [{ path: 'card.json', type: 'Link', linkpath: '../secret' }], /Link/],
    ['a device', [{ path: 'card.json', type: 'CharacterDevice' }], /CharacterDevice/],
    ['a pipe', [{ path: 'card.json', type: 'FIFO' }], /FIFO/],
    ['a hidden file', [{ path: '.placed.json', data: 'x' }], /not taken/],
    ['a name with a colon', [{ path: 'model.onnx:stream', data: 'x' }], /not taken/],
    [
      'a file twice',
      [
        { path: 'a', data: 'x' },
        { path: './a', data: 'y' },
      ],
      /twice/,
    ],
    [
      'a file twice, but for case',
      [
        { path: 'a', data: 'x' },
        { path: 'A', data: 'y' },
      ],
      /twice/,
    ],
    [
      'two folders',
      [
        { path: 'a/b', data: 'x' },
        { path: 'c/d', data: 'y' },
      ],
      /two folders/,
    ],
    ['too many files', Array.from({ length: 6 }, (_, i) => ({ path: `f${i}`, data: 'x' })), /more than 5/],
    ['too many bytes', [{ path: 'a', data: Buffer.alloc(110_000) }], /more than 100000 bytes/],
    ['nothing', [], /empty|cannot be read/],
  ]
  it.each(bad)('with %s is refused', async (_name, entries, reason) => {
    const into = folder()
    await expect(unpack(rawTar(entries), into)).rejects.toThrow(reason)
    for (const name of readdirSync(into)) expect(PACKAGE_FILES.includes(name) || name.length <= 2).toBe(true)
  })

  it('that unpacks to far more is refused while it is read', async () => {
    const bomb = gzipSync(Buffer.concat([rawTar([{ path: 'a', data: 'x' }]), Buffer.alloc(50_000_000)]))
    await expect(unpack(bomb)).rejects.toThrow(/more than 100000 bytes/)
    await expect(unpack(gzipSync(gzipSync(rawTar([{ path: 'a', data: 'x' }]))))).rejects.toThrow(/twice/)
  })

  it('cut off anywhere, or of random bytes, is refused and nothing else', async () => {
    const whole = await tarOf(from, PACKAGE_FILES, true)
    const anywhere = fc.integer({ min: 0, max: whole.length - 1 })
    await fc.assert(
      fc.asyncProperty(anywhere, fc.uint8Array({ maxLength: 2000 }), async (at, noise) => {
        const cut = await unpack(whole.subarray(0, at)).catch(cause => cause)
        expect(cut).toBeInstanceOf(ForeshockError)
        const random = await unpack(noise).catch(cause => cause)
        expect(random).toBeInstanceOf(ForeshockError)
        const flipped = Buffer.from(whole)
        flipped[at] ^= 1 + (noise[0] ?? 3)
        const changed = await unpack(flipped).catch(cause => cause)
        if (!Array.isArray(changed)) expect(changed).toBeInstanceOf(ForeshockError)
      }),
      { numRuns: 60, seed: 5 },
    )
  })
})
