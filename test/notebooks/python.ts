// A Python with what notebooks/requirements.txt pins: the one that FORESHOCK_NOTEBOOK_PYTHON names, or an environment that is
// made once and kept in the user's cache. Where it cannot be had, the test is skipped and says how to get it, or fails when
// FORESHOCK_REQUIRE_PEERS=1.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { TestContext } from 'vitest'

export const NOTEBOOKS = resolve(import.meta.dirname, '../../notebooks')
const REQUIREMENTS = join(NOTEBOOKS, 'requirements.txt')
const INSTALL_MS = 600_000

export interface Done {
  readonly code: number | null
  readonly out: string
}

/** Runs a program to its end, both of its outputs together. */
export async function finished(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string>; limitMs?: number } = {},
): Promise<Done> {
  const { cwd, env, limitMs = 120_000 } = options
  const child = spawn(program, args, {
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: limitMs,
  })
  let out = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', chunk => {
      out = (out + chunk).slice(-200_000)
    })
  const code = await new Promise<number | null>((done, failed) => {
    child.once('error', failed)
    child.once('close', done)
  })
  return { code, out }
}

export interface PythonNeeds {
  readonly what: string
  /** File of pinned requirements, and how messages call it. */
  readonly requirements: string
  readonly shown: string
  /** Environment variable that names a Python that has them. */
  readonly variable: string
}

/** Path of a Python that has the requirements of the notebooks. */
export function notebookPython(context: TestContext): Promise<string> {
  return pythonWith(context, {
    what: 'notebooks',
    requirements: REQUIREMENTS,
    shown: 'notebooks/requirements.txt',
    variable: 'FORESHOCK_NOTEBOOK_PYTHON',
  })
}

/** Path of a Python that has what is needed. */
export async function pythonWith(context: TestContext, needs: PythonNeeds): Promise<string> {
  const { what, requirements, shown, variable } = needs
  const named = process.env[variable]
  if (named) return named
  const digest = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12)
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
  const folder = join(cache, 'foreshock', `${what}-${digest}`)
  const python = join(folder, 'bin', 'python')
  const reason = existsSync(python) ? '' : await make(folder, requirements)
  if (reason === '') return python
  const text = `no Python for ${what} (${reason}): install ${shown} somewhere and set ${variable}`
  if (process.env.FORESHOCK_REQUIRE_PEERS === '1') throw new Error(text)
  process.stderr.write(`SKIPPED ${context.task.name}: ${text}\n`)
  return context.skip(text)
}

/** Makes the environment beside its place and moves it there when it is whole; '' or what went wrong. */
async function make(folder: string, requirements: string): Promise<string> {
  if (spawnSync('python3', ['--version']).status !== 0) return 'no python3'
  const started = `${folder}.${process.pid}`
  mkdirSync(join(folder, '..'), { recursive: true })
  try {
    const venv = await finished('python3', ['-m', 'venv', started])
    if (venv.code !== 0) return `python3 -m venv failed: ${venv.out.trim().slice(-300)}`
    const python = join(started, 'bin', 'python')
    const pip = await finished(python, ['-m', 'pip', 'install', '--quiet', '-r', requirements], {
      limitMs: INSTALL_MS,
    })
    if (pip.code !== 0) return `pip install failed: ${pip.out.trim().slice(-300)}`
    if (!existsSync(folder)) renameSync(started, folder)
    return ''
  } finally {
    rmSync(started, { recursive: true, force: true })
  }
}
