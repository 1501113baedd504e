// Shows how commands write what they make: a disk that is full is one clear line and exit 1, whichever the command and the form;
// whoever reads standard output slowly gets all of it, and whoever has enough of it ends the command in peace.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { Output } from '../../src/commands/output.ts'
import { scoreCommand } from '../../src/commands/score.ts'
import { addWindowsCommand } from '../../src/commands/windows-export.ts'
import { printed } from './printed.ts'

/** A device on which every write fails as on a full disk. */
const FULL = '/dev/full'
const folder = mkdtempSync(join(tmpdir(), 'foreshock-output-'))
afterAll(() => rmSync(folder, { recursive: true }))
const MINUTES = 3000
const input = join(folder, 'in.csv')
const rows = Array.from({ length: MINUTES }, (_, i) => `${1_700_006_400 + 60 * i},${Math.sin(i).toFixed(3)}`)
writeFileSync(input, `timestamp,shop|latency\n${rows.join('\n')}\n`)

describe.skipIf(!existsSync(FULL))('a full disk', () => {
  it('is told by whoever writes next, and by the end', async () => {
    const out = new Output(FULL, [])
    const told = { code: 'FS_IO', message: expect.stringContaining(`${FULL}: cannot be written (ENOSPC`) }
    await out.write('something')
    await expect(out.end()).rejects.toMatchObject(told)
    await expect(out.write('more')).rejects.toMatchObject(told)
  })

  it('ends score with one line', async () => {
    const said: string[] = []
    const spy = vi.spyOn(process.stderr, 'write').mockImplementation(text => said.push(String(text)) > 0)
    const code = await scoreCommand({ input, out: FULL }).finally(() => spy.mockRestore())
    expect([code, said.length, said[0]]).toEqual([1, 1, expect.stringContaining(`score: ${FULL}: cannot be`)])
  })

  it('ends windows export with the path', async () => {
    const words = ['windows', 'export', '--format', 'ndjson', '--input', input, '--out', FULL]
    await expect(printed(addWindowsCommand, words)).rejects.toThrow(`${FULL}: cannot be written`)
  })
})

it('writes files, gzip where the name says so', async () => {
  const path = join(folder, 'a.txt.gz')
  const out = new Output(path, [])
  for (let i = 0; i < 1000; i++) await out.write(`${i} ${'x'.repeat(500)}\n`)
  await out.end()
  expect(gunzipSync(readFileSync(path)).toString().split('\n')).toHaveLength(1001)
})

it('hands windows to standard output as it takes them', async () => {
  const text = await printed(addWindowsCommand, ['windows', 'export', '--input', input, '--out', '-'])
  expect(text.trimEnd().split('\n')).toHaveLength(MINUTES)
})

describe('standard output', () => {
  const BYTES = 3_000_000
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
  const source = (name: string) => join(import.meta.dirname, '../../src', name)
  const start = (...words: string[]) =>
    spawn(process.execPath, ['--import', tsx, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })

  it('is all there for a slow reader', async () => {
    const program = `import { Output } from '${pathToFileURL(source('commands/output.ts')).href}'
      const out = new Output('-', [])
      for (let i = 0; i < ${BYTES / 1000}; i++) await out.write(new Uint8Array(1000))
      await out.end()`
    const child = start('--input-type=module', '-e', program)
    const ended = once(child, 'exit')
    let bytes = 0
    for await (const chunk of child.stdout) {
      if (bytes === 0) await pause(300)
      bytes += chunk.length
    }
    expect([bytes, (await ended)[0]]).toEqual([BYTES, 0])
  })

  it('ends the command when its reader has enough', async () => {
    const child = start(source('cli.ts'), 'windows', 'export', '--input', input, '--out', '-')
    let said = ''
    child.stderr.on('data', text => {
      said += text
    })
    const ended = once(child, 'exit')
    await once(child.stdout, 'data')
    child.stdout.destroy()
    expect([(await ended)[0], said]).toEqual([0, ''])
  })
})
