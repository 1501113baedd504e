// Shows the whole of it: the real service, embedded, watches the real fleet. `foreshock lab` is run as people run it,
// with a short warm-up; it finds a fault, names its cause first, reports as JSON, and leaves no process; Ctrl-C in the
// middle leaves none either. Wrong usage is refused with one line.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import type { LabReport } from '../../src/lab/report.ts'
import { CLI } from '../e2e/service.ts'

const folder = mkdtempSync(join(tmpdir(), 'foreshock-lab-test-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function lab(...flags: string[]): { child: ChildProcess; out: () => string; ended: Promise<number | null> } {
  const child = spawn(process.execPath, [CLI, 'lab', ...flags])
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
  return { child, out: () => text, ended: new Promise(done => child.once('close', done)) }
}

/** Processes whose parent is the given one, from the process table of Linux; none elsewhere. */
async function childrenOf(pid: number | undefined): Promise<number[]> {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .filter(Boolean)
      .map(Number)
  } catch {
    return []
  }
}

const gone = (pid: number) => {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}

describe('foreshock lab', { timeout: 240_000 }, () => {
  it('finds a crashed dependency, names it first and reports', async () => {
    const file = join(folder, 'report.json')
    const run = lab('--fault', 'dependency-down', '--warm-up', '30', '--report', file)
    const code = await run.ended
    expect(run.out()).toContain('fault injected in cache')
    expect(run.out()).toContain('the true cause, cache, is ranked first')
    const report = JSON.parse(readFileSync(file, 'utf8')) as LabReport
    expect(report.outcomes[0]).toMatchObject({
      kind: 'dependency-down',
      root: 'cache',
      detected: true,
      rankAtEnd: 1,
    })
    expect(report.outcomes[0].secondsToDetect).toBeLessThan(25)
    expect(code).toBe(0)
  })

  it.skipIf(process.platform !== 'linux')('leaves no process behind when it is interrupted', async () => {
    const run = lab('--json')
    let children: number[] = []
    for (let tries = 0; tries < 600 && children.length < 10; tries++) {
      await pause(100)
      children = await childrenOf(run.child.pid)
    }
    expect(children.length).toBeGreaterThanOrEqual(10)
    run.child.kill('SIGINT')
    expect(await run.ended).toBe(1)
    expect(run.out()).toContain('stopped on request')
    for (let tries = 0; tries < 50 && !children.every(gone); tries++) await pause(100)
    expect(children.filter(pid => !gone(pid))).toEqual([])
  })

  it('refuses what it does not know in one line', async () => {
    for (const flags of [
      ['--fault', 'meteor'],
      ['--seconds', 'soon'],
      ['--seeds', '1,x'],
    ]) {
      const run = lab(...flags)
      expect(await run.ended).toBe(2)
      expect(run.out().trim().split('\n').length).toBe(1)
      expect(run.out()).toContain(flags[1].split(',').at(-1))
    }
  })
})
