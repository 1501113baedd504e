// Shows that `replay` knows of a change from its time on and no sooner, wherever it falls among the samples: a disruption that
// opens after a deploy names it, one that opened before does not.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { addExplainCommand } from '../../src/commands/explain.ts'
import { addReplayCommand } from '../../src/commands/replay.ts'
import type { Disruption } from '../../src/core/disruption.ts'
import { mulberry32 } from '../../src/math/mulberry32.ts'
import { printed } from './printed.ts'

const folder = mkdtempSync(join(tmpdir(), 'foreshock-replay-'))
afterAll(() => rmSync(folder, { recursive: true }))
const START_MS = Date.UTC(2026, 0, 5)
const MINUTE_MS = 60_000
/** Few enough samples for one batch of the reader. */
const [MINUTES, FAULT] = [1300, 1200] as const

function recording(): string {
  const random = mulberry32(1)
  const rows = ['timestamp,a|latency_seconds,b|latency_seconds,c|latency_seconds']
  for (let t = 0; t < MINUTES; t++) {
    const slow = t >= FAULT && t < FAULT + 30 ? 5 : 0.1
    const cells = [slow, 0.2, 0.3].map(level => (level + 0.02 * random()).toFixed(5))
    rows.push([(START_MS + t * MINUTE_MS) / 1000, ...cells].join(','))
  }
  const path = join(folder, 'three.csv')
  writeFileSync(path, `${rows.join('\n')}\n`)
  return path
}

/** What the disruption was opened with, for a deploy in a minute of the recording. */
async function openedWith(input: string, minute: number): Promise<string> {
  const changes = join(folder, 'changes.jsonl')
  const time = new Date(START_MS + minute * MINUTE_MS).toISOString()
  // With the mark that editors of Windows begin a file with.
  writeFileSync(changes, `\ufeff${JSON.stringify({ time, entity: 'a', kind: 'deploy', ref: 'v2' })}\r\n`)
  const text = await printed(addReplayCommand, ['replay', '--input', input, '--changes', changes])
  const [opened] = text.split('\n').map(line => (line === '' ? undefined : JSON.parse(line))) as Disruption[]
  expect(opened.suspects[0].entity).toBe('a')
  return opened.suspects[0].why.join('; ')
}

it('knows of a change from its time on', async () => {
  const input = recording()
  expect(await openedWith(input, FAULT - 1)).toContain('deploy v2')
  expect(await openedWith(input, FAULT + 60)).not.toContain('deploy')
})

it('has no windows of a length that there cannot be, nor more of them than can be looked back on', async () => {
  const at = new Date(START_MS + FAULT * MINUTE_MS).toISOString()
  const refusal = (step: string) =>
    printed(addExplainCommand, ['explain', '--input', recording(), '--at', at, '--step', step]).catch(
      error => (error as Error).message,
    )
  expect(await refusal('0.0001')).toBe('--step 0.0001: must be longer than nothing')
  expect(await refusal('40000000')).toBe('--step 40000000: must be at most 24d')
  expect(await refusal('0.001')).toMatch(/^--step 0.001: 72000008 windows of it are more than the 1000000 /)
})
