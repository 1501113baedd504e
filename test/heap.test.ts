// What a sample leaves on the heap on the whole path, from bytes of a body to what is learned, once code is compiled: in a
// process of its own whose young generation is not collected between two windows. Series are young in one world and a day
// and a half old in the other, since old ones go other ways (their day is known, slots close, evidence is weighed). Windows of
// 4,000 series are small, so that what a window costs whatever its size is a good part of the bound; a single number boxed a
// row would be 16 bytes more. The young generation alone is collected before a window: after a whole collection some code may be
// compiled anew, in each window, and 200 kB written down in the old generation. The generations are counted apart: what samples
// left in the old one (numbers that V8 allocates old from the start) would be there in every window.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const SERIES = 4000
const PER_BODY = 1000
/** A boxed number a row would be 16. */
const BYTES_MOST = 12

const program = (stepMs: number, warm: number, windows: number) => `
import { getHeapSpaceStatistics } from 'node:v8'
import { assemble } from './src/assembly.ts'
import { parseConfig } from './src/config.ts'
import { Rejects } from './src/core/rejects.ts'
import { Telemetry } from './src/core/telemetry.ts'
import { Pipeline } from './src/pipeline.ts'
import { BodyWriter } from './bench/bodies.ts'
const parts = assemble(parseConfig({ features: { step: '${stepMs / 1000}s' } }), new Rejects())
const pipeline = new Pipeline(parts, async () => {}, new Telemetry())
const writer = new BodyWriter()
const found = []
const used = () => {
  const sums = { young: 0, old: 0 }
  for (const { space_name, space_used_size } of getHeapSpaceStatistics())
    sums[/^new_/.test(space_name) ? 'young' : 'old'] += space_used_size
  return sums
}
for (let t = 0; t < ${warm + windows}; t++) {
  const ms = 1700000400000 + t * ${stepMs}
  const bodies = []
  for (let first = 0; first < ${SERIES}; first += ${PER_BODY})
    bodies.push({ kind: 'remote-write-1', encoding: 'snappy', tenant: 'default', arrivalMs: ms + 2000,
      bytes: writer.body(first, ${PER_BODY}, t, ms) })
  if (t >= ${warm}) globalThis.gc({ type: 'minor' })
  const before = used()
  for (const body of bodies) {
    const said = pipeline.process(t, body)
    if (said instanceof Promise) await said
  }
  const after = used()
  if (t >= ${warm})
    found.push({ young: (after.young - before.young) / ${SERIES}, old: (after.old - before.old) / ${SERIES} })
}
console.log(JSON.stringify(found))
`

/**
 * Bytes a sample: of the young generation the lower quartile of windows, since every other one of five minutes is also a
 * review of profiles; of the old one what none of them was without.
 */
async function usual(stepMs: number, warm: number, windows: number): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--expose-gc',
    '--max-semi-space-size=64',
    '--min-semi-space-size=64',
    // Beside a busy machine code would be compiled late, and not yet be when it is measured.
    '--no-concurrent-recompilation',
    '--import',
    'tsx',
    '--input-type=module',
    '--eval',
    program(stepMs, warm, windows),
  ])
  const found = JSON.parse(stdout) as { young: number; old: number }[]
  const young = found.map(one => one.young).sort((a, b) => a - b)
  return young[young.length >> 2] + Math.max(0, Math.min(...found.map(one => one.old)))
}

it('costs less than one boxed number a sample, young series', { timeout: 240_000 }, async () => {
  const bytes = await usual(10_000, 120, 9)
  expect(bytes).toBeGreaterThan(0)
  expect(bytes).toBeLessThan(BYTES_MOST)
})

it('costs no more when series are a day and a half old', { timeout: 240_000 }, async () => {
  const bytes = await usual(300_000, 440, 9)
  expect(bytes).toBeGreaterThan(0)
  expect(bytes).toBeLessThan(BYTES_MOST)
})
