// What ours is set against in Python, from PyPI: an environment for each, kept in the cache folder for the next run.
import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Where peers are kept between runs. */
export const CACHE = join(homedir(), '.cache', 'foreshock')

/** What the command printed; throws with the end of what it complained of. */
export function run(command: string, args: readonly string[], cwd?: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    cwd,
  })
  if (error) throw new Error(`${command} cannot be run: ${error.message}`)
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr.slice(-500)}`)
  return stdout
}

/** The Python that has the package: the one given, or one made for it. Throws with the reason where it cannot be had. */
export function pythonWith(name: string, version: string, given: string | undefined): string {
  if (given !== undefined && given !== '') return given
  const home = join(CACHE, `${name}-${version}`)
  const python = join(home, 'bin', 'python')
  if (existsSync(join(home, 'ready'))) return python
  run('python3', ['-m', 'venv', home])
  run(python, ['-m', 'pip', 'install', '-q', `${name}==${version}`])
  writeFileSync(join(home, 'ready'), '')
  return python
}
