// Shows `foreshock models validate` as a user calls it: a good package is described, a bad one gives one line with file
// and reason and exit code 2, with --json the same as JSON.
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const SHIPPED = join(ROOT, 'models/kpi-combiner/1')
const base = mkdtempSync(join(tmpdir(), 'foreshock-validate-'))
afterAll(() => rmSync(base, { recursive: true }))

function validate(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const words = ['--import', 'tsx', join(ROOT, 'src/cli.ts'), 'models', 'validate', ...args]
  return new Promise(done => {
    const child = execFile(process.execPath, words, { cwd: ROOT }, (_, out, err) =>
      done({ code: child.exitCode ?? -1, out, err }),
    )
  })
}

it('describes a package that is right', async () => {
  const [text, json] = await Promise.all([validate(SHIPPED), validate(SHIPPED, '--json')])
  expect([text.code, text.err]).toEqual([0, ''])
  expect(text.out).toMatch(
    /kpi-combiner 1, onnx, combiner, 29 to 1 columns\n {2}runs in onnxruntime-node; golden/,
  )
  expect(json.code).toBe(0)
  expect(JSON.parse(json.out)).toMatchObject({ ok: true, id: 'kpi-combiner', version: 1, isProven: true })
})

it('refuses one that is not, with one line', async () => {
  const folder = join(base, 'bad')
  cpSync(SHIPPED, folder, { recursive: true })
  writeFileSync(join(folder, 'model.onnx'), 'no model')
  const [text, json] = await Promise.all([validate(folder), validate(folder, '--json')])
  expect([text.code, text.out]).toEqual([2, ''])
  expect(text.err).toMatch(/^foreshock: .*bad: model\.onnx is sha256:\w+, the card says sha256:\w+\n$/)
  expect(json.code).toBe(2)
  expect(JSON.parse(json.out)).toMatchObject({ ok: false, folder, code: 'FS_MODEL_INVALID' })
})
