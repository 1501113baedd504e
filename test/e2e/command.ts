import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { TestContext } from 'vitest'
import { CLI } from './service.ts'

export interface Ran {
  readonly code: number | null
  readonly out: Buffer
  readonly err: string
}

const LIMIT_MS = 120_000

/** Runs the built command to its end. Variables of the environment that configure it are left out. */
export function foreshock(args: readonly string[], options: { cwd?: string; input?: Buffer } = {}): Ran {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('FORESHOCK_')),
  )
  const done = spawnSync(process.execPath, [CLI, ...args], {
    ...options,
    env,
    timeout: LIMIT_MS,
    maxBuffer: 256 * 1_048_576,
  })
  return { code: done.status, out: done.stdout, err: done.stderr.toString() }
}

/** The folder of public recordings; it is no part of the project. */
const DATA = resolve(process.env.FORESHOCK_DATA ?? join(import.meta.dirname, '../../../shared/data'))

/** A path in the folder of recordings; where it is not there the test ends as skipped, loudly. */
export function recording(path: string, context: TestContext): string {
  const full = join(DATA, path)
  if (existsSync(full)) return full
  const text = `no recording ${path}: set FORESHOCK_DATA to the folder that has it`
  process.stderr.write(`SKIPPED ${context.task.name}: ${text}\n`)
  return context.skip(text)
}
