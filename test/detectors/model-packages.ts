// Writes model packages for tests: a folder with a model, its card and golden rows.
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { z } from 'zod'
import type { cardSchema } from '../../src/detectors/model-card.ts'
import { OPSET } from './onnx-builder.ts'

type Card = z.input<typeof cardSchema>
type Rows = readonly (readonly (number | null)[])[]

export interface PackageParts {
  /** Files of the model by name: model.onnx, or model.json and its weights in the order it names them. */
  readonly files: Readonly<Record<string, Uint8Array | string>>
  readonly inputs: Rows
  readonly outputs: Rows
  /** What the card says otherwise than is usual here. */
  readonly card?: Partial<Card>
}

export const digestOf = (files: PackageParts['files']) => {
  const hash = createHash('sha256')
  for (const bytes of Object.values(files)) hash.update(bytes)
  return `sha256:${hash.digest('hex')}`
}

/** Writes a package into `folder` and returns it. */
export function writePackage(folder: string, { files, inputs, outputs, card }: PackageParts): string {
  mkdirSync(folder, { recursive: true })
  const isOnnx = 'model.onnx' in files
  const whole: Card = {
    id: 'test-model',
    version: 1,
    title: 'A model made in a test',
    format: isOnnx ? 'onnx' : 'tfjs-layers',
    task: 'score',
    input: {
      name: 'x',
      width: inputs[0].length,
      window: { of: 'series', length: inputs[0].length },
      normalisation: { by: 'none' },
    },
    output: { name: 'y', width: outputs[0].length, meaning: 'whatever it is' },
    opsets: isOnnx ? { 'ai.onnx': OPSET } : {},
    digest: digestOf(files),
    training: { data: ['none'], script: 'none', command: 'none', seed: 0, cost: 'none', repeatable: 'yes' },
    metrics: {},
    licence: 'Apache-2.0',
    budget: { msPer256Rows: 50, megabytes: 64 },
    ...card,
  }
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes)
  writeFileSync(join(folder, 'card.json'), JSON.stringify(whole))
  writeFileSync(join(folder, 'golden.json'), JSON.stringify({ inputs, outputs }))
  return folder
}
