// Shows that a data folder has one service at a time: a living holder is named, a dead one's lock is taken over.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { lockFolder } from '../../src/store/folder-lock.ts'

const folders: string[] = []
const fresh = () => {
  const folder = mkdtempSync(join(tmpdir(), 'foreshock-lock-'))
  folders.push(folder)
  return folder
}
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

describe('folder lock', () => {
  it('names the living process that holds it', async () => {
    const folder = fresh()
    writeFileSync(join(folder, 'lock'), String(process.ppid))
    await expect(lockFolder(folder)).rejects.toMatchObject({
      code: 'FS_FOLDER_IN_USE',
      message: expect.stringContaining(String(process.ppid)),
    })
  })

  it('takes over what a dead process or a torn write left', async () => {
    const folder = fresh()
    const dead = spawnSync(process.execPath, ['-e', '0']).pid
    for (const left of [String(dead), '', 'nonsense']) {
      writeFileSync(join(folder, 'lock'), left)
      const lock = await lockFolder(folder)
      expect(readFileSync(join(folder, 'lock'), 'utf8')).toBe(String(process.pid))
      await lock.release()
    }
  })

  it('can be taken again once released', async () => {
    const folder = fresh()
    await (await lockFolder(folder)).release()
    await (await lockFolder(folder)).release()
  })
})
