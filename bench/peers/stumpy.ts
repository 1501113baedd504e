// stumpy's incremental matrix profile, as it is published on PyPI; FORESHOCK_STUMPY_PYTHON names one that is there already.
import { resolve } from 'node:path'
import { pythonWith, run } from './venv.ts'

const STUMPY_VERSION = '1.13.0'

/** Values nearer than a quarter of a stretch are left out: its default. */
export function stumpyExclusion(length: number): number {
  return Math.ceil(length / 4) + 1
}

/** CPU ns a value, and the left distance of each of `timed` values after the first `held`. Throws with the reason where it cannot be had. */
export function runStumpy(
  file: string,
  length: number,
  held: number,
  timed: number,
): { readonly ns: number; readonly distances: readonly number[] } {
  const python = pythonWith('stumpy', STUMPY_VERSION, process.env.FORESHOCK_STUMPY_PYTHON)
  const script = resolve(import.meta.dirname, '../python/left_profile.py')
  const [ns, ...lines] = run(python, [script, file, ...[length, held, timed].map(String)])
    .trim()
    .split('\n')
  return { ns: Number(ns.split(' ')[1]), distances: lines.map(Number) }
}
