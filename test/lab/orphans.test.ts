// Shows that no lab process outlives its lab: a program that runs the fleet is killed without warning (SIGKILL) and
// ended politely (process.exit), and every process of its fleet is gone soon after. A fault in the middle changes
// nothing about it.
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'foreshock-orphans-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const PROGRAM = `
import { Fleet } from ${JSON.stringify(pathToFileURL(join(ROOT, 'dist/lab/fleet.js')).href)}
const fleet = await Fleet.start({ url: 'http://127.0.0.1:9', seed: 1 })
await fleet.turn('checkout-2', { silent: true })
await fleet.turn('inventory', { burnShare: 0.5 })
process.send(fleet.pids)
process.on('message', () => process.exit(0))
setInterval(() => undefined, 1000)
`

async function startProgram(): Promise<{ child: ChildProcess; pids: number[] }> {
  const file = join(folder, 'program.mjs')
  writeFileSync(file, PROGRAM)
  const child = fork(file, [], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const pids = await new Promise<number[]>((done, failed) => {
    child.once('message', message => done(message as number[]))
    child.once('exit', code => failed(new Error(`the program ended with ${code}`)))
  })
  return { child, pids }
}

function alive(pids: readonly number[]): number[] {
  return pids.filter(pid => {
    try {
      process.kill(pid, 0)
      return true
    } catch {
      return false
    }
  })
}

async function expectGone(pids: readonly number[]): Promise<void> {
  for (let tries = 0; tries < 50 && alive(pids).length > 0; tries++) await pause(100)
  expect(alive(pids)).toEqual([])
}

describe('the processes of the lab', { timeout: 90_000 }, () => {
  it('go when their parent is killed', async () => {
    const { child, pids } = await startProgram()
    expect(alive(pids).length).toBe(10)
    child.kill('SIGKILL')
    await expectGone(pids)
  })

  it('go when their parent exits', async () => {
    const { child, pids } = await startProgram()
    child.send('leave')
    await expectGone(pids)
  })
})
