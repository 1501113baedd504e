// What a sample leaves on the heap on the whole path, from bytes of a body to what is learned, once code is compiled: in a
// process of its own whose young generation is not collected between two windows. Series are young in one world and a day
// and a half old in the other, since old ones go other ways (their day is known, slots close, evidence is weighed). Windows of
// 4,000 series are small, so that what a window costs whatever its size is a good part of the bound; a single number boxed a
// row would be 16 bytes more.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const SERIES = 4000
const PER_BODY = 1000
/** A boxed number a row would be 16. */
const BYTES_MOST = 12

const program = (stepMs: number, warm: number, windows: number) => `
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
for (let t = 0; t < ${warm + windows}; t++) {
  const ms = 1700000400000 + t * ${stepMs}
  const bodies = []
  for (let first = 0; first < ${SERIES}; first += ${PER_BODY})
    bodies.push({ kind: 'remote-write-1', encoding: 'snappy', tenant: 'default', arrivalMs: ms + 2000,
      bytes: writer.body(first, ${PER_BODY}, t, ms) })
  if (t >= ${warm}) globalThis.gc()
  const before = process.memoryUsage().heapUsed
  for (const body of bodies) {
    const said = pipeline.process(t, body)
    if (said instanceof Promise) await said
  }
  if (t >= ${warm}) found.push((process.memoryUsage().heapUsed - before) / ${SERIES})
}
console.log(JSON.stringify(found))
`

/** The lower quartile of windows: every other one of five minutes is also a review of profiles. */
async function usual(stepMs: number, warm: number, windows: number): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--expose-gc',
    '--max-semi-space-size=64',
    '--min-semi-space-size=64',
    '--import',
    'tsx',
    '--input-type=module',
    '--eval',
    program(stepMs, warm, windows),
  ])
  const found = (JSON.parse(stdout) as number[]).sort((a, b) => a - b)
  return found[found.length >> 2]
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
